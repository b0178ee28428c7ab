//! Wrong answers on demand, for tests.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use drover::api::Span;
use serde::{Deserialize, Serialize};

use crate::delivery::Delivery;

/// Which deliveries go wrong, and how. Every part of the match that is given must hold; with none,
/// every delivery matches. The first matching fault of the list counts.
///
/// `{"key": "user-7", "next": 3, "status": 500}` answers the next three deliveries of user-7 with 500.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fault {
    /// Matches the record's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Matches the record's sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Matches the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Matches the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Matches the offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Matches headers of the request, name to value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,

    /// Only the next so many matching deliveries; without it, all until the fault is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,

    /// The answer's status. Default 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer's `Retry-After`, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// The answer's `Drover-Result`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Time to take before the answer, on top of HANDLER_DELAY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Never answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hang: bool,
}

impl Fault {
    fn matches(&self, delivery: &Delivery, headers: &HeaderMap) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, found: Option<&T>) -> bool {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        }
        is(&self.key, Some(&delivery.key))
            && is(&self.seq, delivery.seq.as_ref())
            && is(&self.topic, Some(&delivery.topic))
            && is(
                &self.partition,
                delivery.place.map(|place| place.0).as_ref(),
            )
            && is(&self.offset, delivery.place.map(|place| place.1).as_ref())
            && self.headers.iter().all(|(name, value)| {
                headers
                    .get_all(name)
                    .iter()
                    .any(|found| found.as_bytes() == value.as_bytes())
            })
    }

    /// The wrong answer.
    pub fn response(&self) -> Response {
        let status = self
            .status
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::OK);
        let mut response = status.into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Ok(result)) = self.result.as_deref().map(HeaderValue::from_str) {
            response.headers_mut().insert("drover-result", result);
        }
        response
    }
}

/// The faults in force, in the order in which they were given.
#[derive(Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The fault that this delivery meets; counts it.
    pub fn take(&mut self, delivery: &Delivery, headers: &HeaderMap) -> Option<Fault> {
        let index = self
            .0
            .iter()
            .position(|fault| fault.next != Some(0) && fault.matches(delivery, headers))?;
        let fault = &mut self.0[index];
        if let Some(left) = &mut fault.next {
            *left -= 1;
        }
        Some(fault.clone())
    }

    /// Puts faults behind those that are there.
    pub fn add(&mut self, new: Vec<Fault>) {
        self.0.extend(new);
    }

    /// Those in force; `next` counts down to 0.
    pub fn list(&self) -> Vec<Fault> {
        self.0.clone()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// One fault or a list of them.
pub fn parse(body: &[u8]) -> Result<Vec<Fault>, serde_json::Error> {
    if body.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(body);
    }
    serde_json::from_slice(body).map(|fault| vec![fault])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(key: &str, offset: i64) -> Delivery {
        Delivery {
            topic: "orders".into(),
            place: Some((0, offset)),
            key: key.into(),
            seq: Some(1),
            attempt: 1,
        }
    }

    fn faults(body: &str) -> Faults {
        Faults(parse(body.as_bytes()).expect("faults"))
    }

    #[test]
    fn a_fault_meets_only_what_it_names() {
        let mut faults = faults(r#"{"key": "bad", "offset": 7, "status": 500}"#);
        let none = HeaderMap::new();
        assert!(faults.take(&delivery("good", 7), &none).is_none());
        assert!(faults.take(&delivery("bad", 8), &none).is_none());
        let fault = faults.take(&delivery("bad", 7), &none).expect("the fault");
        assert_eq!(fault.response().status(), 500);
    }

    #[test]
    fn a_counted_fault_ends_and_the_one_behind_it_follows() {
        let mut faults =
            faults(r#"[{"next": 2, "status": 429, "retryAfter": 3}, {"status": 503}]"#);
        let none = HeaderMap::new();
        let statuses: Vec<u16> = (0..4)
            .filter_map(|_| faults.take(&delivery("k", 0), &none))
            .map(|fault| fault.response().status().as_u16())
            .collect();
        assert_eq!(statuses, [429, 429, 503, 503]);
    }

    #[test]
    fn a_header_is_matched_by_name_and_value() {
        let mut faults = faults(r#"{"headers": {"drover-attempt": "1"}, "status": 500}"#);
        let mut headers = HeaderMap::new();
        assert!(faults.take(&delivery("k", 0), &headers).is_none());
        headers.insert("drover-attempt", HeaderValue::from_static("1"));
        assert!(faults.take(&delivery("k", 0), &headers).is_some());
    }

    #[test]
    fn a_misspelt_fault_is_refused() {
        assert!(parse(br#"{"stauts": 500}"#).is_err());
    }
}
