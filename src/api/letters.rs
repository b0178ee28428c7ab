//! Which dead letters, in texts: times, and ranges of offsets.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Span, text};

/// A time, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A time.
    At(Timestamp),
    /// So long before now.
    Ago(Span),
}

impl Moment {
    /// Milliseconds since 1970, as seen at `now`.
    pub fn millis(self, now: Timestamp) -> i64 {
        match self {
            Self::At(at) => at.as_millisecond(),
            Self::Ago(ago) => {
                let ago = i64::try_from(ago.0.as_millis()).unwrap_or(i64::MAX);
                now.as_millisecond().saturating_sub(ago)
            }
        }
    }
}

/// Offsets from the first to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets(pub i64, pub i64);

/// Why a text is not a [`Moment`].
#[derive(Debug, thiserror::Error)]
#[error("write how long ago, such as 2h, or a time, such as 2026-11-01T06:00:00Z")]
pub struct NotAMoment;

/// Why a text does not say [`Offsets`].
#[derive(Debug, thiserror::Error)]
#[error("write 100..200, 100.., ..200 or 100")]
pub struct NotOffsets;

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        text.parse::<Span>().map(Self::Ago).map_err(|_| NotAMoment)
    }
}

impl FromStr for Offsets {
    type Err = NotOffsets;

    fn from_str(text: &str) -> Result<Self, NotOffsets> {
        let number = |text: &str, without: i64| match text {
            "" => Some(without),
            text => text.parse::<i64>().ok().filter(|number| *number >= 0),
        };
        let range = match text.split_once("..") {
            Some((first, end)) => number(first, 0).zip(number(end, i64::MAX)),
            None => text
                .parse::<i64>()
                .ok()
                .and_then(|one| Some((one, one.checked_add(1)?))),
        };
        match range {
            Some((first, end)) if first >= 0 && first < end => Ok(Self(first, end)),
            _ => Err(NotOffsets),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Ago(ago) => ago.fmt(f),
        }
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(first, i64::MAX) => write!(f, "{first}.."),
            Self(first, end) => write!(f, "{first}..{end}"),
        }
    }
}

macro_rules! as_text {
    ($type:ty, $name:literal, $schema:path) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema()
            }
        }
    };
}

as_text!(Moment, "Moment", text::moment);
as_text!(Offsets, "Offsets", text::offsets);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_times_are_read_and_written_so_that_they_are_read_again() {
        for (text, range) in [
            ("3..5", Some((3, 5))),
            ("3..", Some((3, i64::MAX))),
            ("..5", Some((0, 5))),
            ("3", Some((3, 4))),
            ("5..3", None),
            ("-1", None),
            ("x", None),
            ("9223372036854775807", None),
        ] {
            let read = text.parse::<Offsets>().ok();
            assert_eq!(
                read.map(|Offsets(first, end)| (first, end)),
                range,
                "{text}"
            );
            if let Some(read) = read {
                assert_eq!(read.to_string().parse::<Offsets>().ok(), Some(read));
            }
        }
        assert!(matches!("2h".parse(), Ok(Moment::Ago(_))));
        assert!(matches!("2026-11-01T06:00:00Z".parse(), Ok(Moment::At(_))));
        assert!("yesterday".parse::<Moment>().is_err());
        let now = Timestamp::from_second(7_200).unwrap();
        assert_eq!("2h".parse::<Moment>().unwrap().millis(now), 0);
    }
}
