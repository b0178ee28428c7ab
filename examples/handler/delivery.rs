//! Who a delivered record is: from its body, and from the headers that the worker adds.

use axum::http::HeaderMap;
use serde::Deserialize;

/// One request that carries a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// `drover-topic`; empty if it is not there.
    pub topic: String,
    /// `drover-partition` and `drover-offset`.
    pub place: Option<(i32, i64)>,
    /// The body's `key`, else `drover-key` or `drover-key-base64` as it stands, else empty.
    pub key: String,
    /// The body's `seq` (as `drover produce --count` writes it), else the offset.
    pub seq: Option<u64>,
    /// `drover-attempt`, from 1; 1 if it is not there.
    pub attempt: u32,
}

/// What `drover produce --count` writes as a record's value.
#[derive(Deserialize)]
struct Body {
    key: String,
    seq: u64,
}

impl Delivery {
    /// Reads what can be read; a foreign body is not an error.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|value| value.parse::<i64>().ok());
        let place = number("drover-partition")
            .and_then(|partition| i32::try_from(partition).ok())
            .zip(number("drover-offset"));
        let offset = place.and_then(|(_, offset)| u64::try_from(offset).ok());
        let (key, seq) = match serde_json::from_slice::<Body>(body) {
            Ok(body) => (body.key, Some(body.seq)),
            Err(_) => {
                let key = text("drover-key").or_else(|| text("drover-key-base64"));
                (key.unwrap_or_default().to_owned(), offset)
            }
        };
        Self {
            topic: text("drover-topic").unwrap_or_default().to_owned(),
            place,
            key,
            seq,
            attempt: number("drover-attempt")
                .and_then(|attempt| u32::try_from(attempt).ok())
                .unwrap_or(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse().expect("a header name"),
                    value.parse().expect("a header value"),
                )
            })
            .collect()
    }

    #[test]
    fn a_produced_record_is_known_by_its_body() {
        let headers = headers(&[
            ("drover-topic", "orders"),
            ("drover-partition", "3"),
            ("drover-offset", "41"),
            ("drover-attempt", "2"),
        ]);
        let delivery = Delivery::read(&headers, br#"{"key":"user-7","seq":12,"more":true}"#);
        assert_eq!(
            delivery,
            Delivery {
                topic: "orders".into(),
                place: Some((3, 41)),
                key: "user-7".into(),
                seq: Some(12),
                attempt: 2,
            }
        );
    }

    #[test]
    fn a_foreign_record_is_known_by_its_offset() {
        let headers = headers(&[
            ("drover-partition", "3"),
            ("drover-offset", "41"),
            ("drover-key", "user-7"),
        ]);
        let delivery = Delivery::read(&headers, b"hello");
        assert_eq!(delivery.key, "user-7");
        assert_eq!(delivery.seq, Some(41));
        assert_eq!(delivery.attempt, 1);
    }

    #[test]
    fn nothing_known_is_not_an_error() {
        assert_eq!(
            Delivery::read(&HeaderMap::new(), b""),
            Delivery {
                attempt: 1,
                ..Delivery::default()
            }
        );
    }
}
