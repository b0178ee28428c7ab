//! The records of `__consumer_offsets` that tell a group's generation. Pure.
//!
//! Formats: Kafka's `GroupMetadataKey/Value.json` (classic groups) and
//! `ConsumerGroupMetadataKey/Value.json` (KIP-848).

/// A generation of a group.
#[derive(Debug, PartialEq, Eq)]
pub struct Generation {
    pub group: String,
    /// The generation of a classic group, the epoch of a KIP-848 one.
    pub generation: i32,
    /// Not told by KIP-848 groups.
    pub members: Option<i32>,
}

/// What the record says, if it is about a group and not about an offset.
pub fn generation(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Generation> {
    let (mut key, mut value) = (Reader(key?), Reader(value?));
    match key.i16()? {
        2 => {
            let group = key.string()??;
            let version = value.i16()?;
            if version > 3 {
                return None;
            }
            let _protocol_type = value.string()?;
            let generation = value.i32()?;
            let _protocol = value.string()?;
            let _leader = value.string()?;
            if version >= 2 {
                value.take(8)?;
            }
            Some(Generation {
                group,
                generation,
                members: Some(value.i32()?.max(0)),
            })
        }
        3 => {
            let group = key.string()??;
            let _version = value.i16()?;
            Some(Generation {
                group,
                generation: value.i32()?,
                members: None,
            })
        }
        _ => None,
    }
}

/// Kafka's primitive types, big-endian. None at the end of the bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take(2)?.try_into().ok().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    /// A string with its length before it; the inner None is Kafka's null.
    fn string(&mut self) -> Option<Option<String>> {
        let Ok(length) = usize::try_from(self.i16()?) else {
            return Some(None);
        };
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).ok().map(Some)
    }
}
