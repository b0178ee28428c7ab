//! A record's content, copied out of librdkafka's memory.
//!
//! Copied, not borrowed: a borrowed record keeps the whole fetch buffer around it alive, which no
//! budget could count.

use std::hash::Hasher;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::engine::KeyHash;
use crate::kafka::Message;
use crate::topic::Offset;

/// A record's content. `None` is Kafka's null, which is not the same as empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; None is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order: names may repeat and need not be text.
    pub headers: Vec<Header>,
}

/// A record's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Normally UTF-8, but nothing enforces it.
    pub name: Bytes,
    /// Its value.
    pub value: Option<Bytes>,
}

/// What a record takes beside its content: the struct itself (160 bytes), what its key and value share
/// (40), and its places in the engine: slab, ledger, queue and table (up to 260, since each is half
/// empty when it has just grown).
const OVERHEAD: usize = 448;

/// Same in every process of one build; a producer who makes keys collide only makes its own records wait.
pub(super) fn hash_of(key: &[u8]) -> KeyHash {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(key);
    KeyHash(hasher.finish())
}

impl Record {
    /// Copies `message`, whose topic's name is known to be `topic`.
    pub fn copy(message: &Message<'_>, topic: Arc<str>) -> Self {
        let (key, value) = (message.key(), message.value());
        // One allocation for both: most records are small.
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let mut both = BytesMut::with_capacity(length(key) + length(value));
        let mut copy = |part: &[u8]| {
            both.put_slice(part);
            both.split().freeze()
        };
        let (value, key) = (value.map(&mut copy), key.map(&mut copy));
        let mut headers = Vec::new();
        message.each_header(|name, value| {
            headers.push(Header {
                name: Bytes::copy_from_slice(name),
                value: value.map(Bytes::copy_from_slice),
            });
        });
        Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp(),
            key,
            value,
            headers,
        }
    }

    /// The bytes that the record takes of the memory budget: what it takes of memory.
    pub fn footprint(&self) -> usize {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        let headers: usize = self
            .headers
            .iter()
            .map(|header| allocated(header.name.len()) + allocated(length(&header.value)))
            .sum();
        let places = allocated(self.headers.capacity() * size_of::<Header>());
        let content = allocated(length(&self.key) + length(&self.value));
        OVERHEAD + content + places + headers
    }

    /// Bytes of its key, value and headers.
    pub fn content_bytes(&self) -> usize {
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter();
        let headers: usize = headers.map(|h| h.name.len() + length(&h.value)).sum();
        length(&self.key) + length(&self.value) + headers
    }

    /// What it is called wherever a name that never changes is needed: `TOPIC/PARTITION/OFFSET`.
    pub fn name(&self) -> String {
        // One is made for every record.
        let mut number = itoa::Buffer::new();
        let mut name = String::with_capacity(self.topic.len() + 32);
        name.push_str(&self.topic);
        name.push('/');
        name.push_str(number.format(self.partition));
        name.push('/');
        name.push_str(number.format(self.offset.0));
        name
    }

    /// The hash by which records of one key find each other; None for a record without key.
    pub fn key_hash(&self) -> Option<KeyHash> {
        self.key.as_ref().map(|key| hash_of(key))
    }

    /// The last header of that name, which is the one that Kafka's own clients give.
    pub fn header(&self, name: &str) -> Option<&Header> {
        self.headers
            .iter()
            .rev()
            .find(|header| header.name.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// What the allocator takes for so many bytes: it has four sizes for each power of two.
fn allocated(bytes: usize) -> usize {
    match bytes {
        0..=64 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(bytes.next_power_of_two() / 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_for_what_the_allocator_takes_for_it() {
        for (bytes, taken) in [
            (0, 0),
            (1, 16),
            (64, 64),
            (65, 80),
            (1024, 1024),
            (1031, 1280),
            (1281, 1536),
            (1 << 20, 1 << 20),
            ((1 << 20) + 1, (1 << 20) / 4 * 5),
        ] {
            assert_eq!(allocated(bytes), taken, "{bytes}");
        }
        let part = |length| Some(Bytes::from(vec![0; length]));
        let mut record = Record {
            topic: "orders".into(),
            partition: 0,
            offset: Offset(0),
            timestamp: None,
            key: part(7),
            value: part(1024),
            headers: Vec::new(),
        };
        assert_eq!(record.footprint(), 1280 + OVERHEAD);
        let (name, value) = (Bytes::from_static(b"name"), part(100));
        record.headers = vec![Header { name, value }];
        assert_eq!(record.footprint(), 1280 + 64 + 16 + 112 + OVERHEAD);
        (record.key, record.value, record.headers) = (None, None, Vec::new());
        assert_eq!(record.footprint(), OVERHEAD);
        // What it says of itself.
        assert_eq!(allocated(size_of::<Record>()), 160);
    }
}
