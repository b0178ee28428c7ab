//! Where a group without committed offsets begins: a word or a time, as one text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::api::text;

/// Where a group without committed offsets begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest record that Kafka still has.
    #[default]
    Earliest,
    /// At what is produced after the resource was first seen.
    Latest,
    /// At the first record with this time or a later one.
    Time(Timestamp),
}

impl fmt::Display for StartAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("Earliest"),
            Self::Latest => f.write_str("Latest"),
            Self::Time(time) => time.fmt(f),
        }
    }
}

/// Why a text is not a [`StartAt`].
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a start; write Earliest, Latest or a time such as 2026-11-01T06:00:00Z")]
pub struct NotAStart(String);

impl FromStr for StartAt {
    type Err = NotAStart;

    fn from_str(text: &str) -> Result<Self, NotAStart> {
        match text {
            "Earliest" => Ok(Self::Earliest),
            "Latest" => Ok(Self::Latest),
            other => other
                .parse()
                .map(Self::Time)
                .map_err(|_| NotAStart(other.to_owned())),
        }
    }
}

impl Serialize for StartAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StartAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for StartAt {
    fn schema_name() -> Cow<'static, str> {
        "StartAt".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text::start_at()
    }
}
