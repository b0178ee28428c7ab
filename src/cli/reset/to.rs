//! Where a group is to go on, as an argument. Pure.

use std::fmt;
use std::str::FromStr;

use crate::api::Moment;

/// Where a group is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// At the oldest record that Kafka still has.
    Earliest,
    /// At what is produced from now on.
    Latest,
    /// At the first record with this time or a later one.
    At(Moment),
    /// At this offset, of partitions that are named.
    Offset(i64),
}

/// Why a text is not a [`To`].
#[derive(Debug, thiserror::Error)]
#[error(
    "write earliest, latest, how long ago, such as 2h, a time, such as 2026-11-01T06:00:00Z, or an offset"
)]
pub(super) struct NotAPlace;

impl FromStr for To {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        match text {
            "earliest" | "Earliest" => Ok(Self::Earliest),
            "latest" | "Latest" => Ok(Self::Latest),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map(Self::Offset).map_err(|_| NotAPlace)
            }
            other => other.parse().map(Self::At).map_err(|_| NotAPlace),
        }
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::At(Moment::At(at)) => at.fmt(f),
            Self::At(Moment::Ago(ago)) => write!(f, "{ago} ago"),
            Self::Offset(offset) => offset.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_word_a_time_or_an_offset() {
        for (text, means) in [
            ("earliest", "earliest"),
            ("Latest", "latest"),
            ("2h", "2h ago"),
            ("2026-11-01T06:00:00Z", "2026-11-01T06:00:00Z"),
            ("1042", "1042"),
            ("0", "0"),
        ] {
            assert_eq!(text.parse::<To>().unwrap().to_string(), means);
        }
        for text in ["", "-1", "first", "2 hours", "99999999999999999999"] {
            let error = text.parse::<To>().unwrap_err().to_string();
            assert!(error.contains("earliest, latest"), "{text}: {error}");
        }
    }
}
