//! Numbers of a line, written as people and models write them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::protocol::Error;

/// Times further from zero than this, in seconds, are no times.
const FAR: f64 = 1e11;

pub(super) fn timestamp(field: &str, seconds: f64) -> Result<Timestamp, Error> {
    let micros = (seconds * 1e6).round();
    let time = (seconds.abs() < FAR).then(|| Timestamp::from_microsecond(micros as i64).ok());
    time.flatten()
        .ok_or_else(|| Error::Value(format!("{field} is {seconds}, which is no time in seconds")))
}

pub(super) fn span(field: &str, seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| Error::Value(format!("{field} is {seconds} seconds: {error}")))
}

/// An integer or, as models that compute write it, 940.0; a part of a record does not count.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let integer = number.as_i64().or_else(|| {
        let float = number.as_f64()?.floor();
        (float.abs() < 9e15).then_some(float as i64)
    });
    integer.ok_or_else(|| serde::de::Error::custom(format!("{number} is no count")))
}

#[derive(Deserialize)]
struct Integer(#[serde(deserialize_with = "integer")] i64);

/// A count, if it is told.
pub(super) fn maybe_count<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    let count = Option::<Integer>::deserialize(deserializer)?;
    let count = count.map(|Integer(count)| {
        let no_count = |_| serde::de::Error::custom(format!("{count} is no count"));
        u64::try_from(count).map_err(no_count)
    });
    count.transpose()
}

/// An offset; none where it is null, or negative as Kafka's own "none" is.
pub(super) fn maybe_offset<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    let offset = Option::<Integer>::deserialize(deserializer)?;
    Ok(offset
        .map(|Integer(offset)| offset)
        .filter(|&offset| offset >= 0))
}

/// A count of what there are never billions of.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let count = serde_json::Number::deserialize(deserializer)?;
    let integer = count.as_u64().or_else(|| {
        let float = count.as_f64().filter(|float| float.fract() == 0.0)?;
        (0.0..4e9).contains(&float).then_some(float as u64)
    });
    integer
        .and_then(|count| u32::try_from(count).ok())
        .ok_or_else(|| {
            serde::de::Error::custom(format!("{count} is no whole number that fits here"))
        })
}

#[derive(Clone, Copy, Deserialize)]
pub(super) struct Number(#[serde(deserialize_with = "number")] pub u32);

pub(super) fn maybe_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    Ok(Option::<Number>::deserialize(deserializer)?.map(|Number(number)| number))
}

/// A list; empty where it is null, as empty lists of some languages are.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
