//! A record whose key or headers are more than servers take in the head of a request: they are in its body.
//!
//! That is a batch of this one record, or its event with everything in it. The reference is `docs/http-handler.md`.

use std::slice;

use http::HeaderName;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::head::Outgoing;
use super::headers::{PASSED_ON, text_value};
use super::{Format, Http, batch, cloud_event, extensions, name, request};
use crate::engine::Verdict;
use crate::worker::delivery::answer::{Answer, class};
use crate::worker::delivery::document::{self, Item};
use crate::worker::record::Record;

/// The request for one attempt on a record, whose head has nothing in it that a producer can make large.
pub fn request(http: &Http, item: &Item<'_>) -> Outgoing {
    let mut head = request::begin(item);
    head.add(&name::IN_BODY, b"true");
    let mut body = Vec::new();
    match http.format {
        Format::Plain => {
            head.add(&CONTENT_TYPE, batch::JSON);
            head.add_number(&name::BATCH, 1);
            document::write_all(slice::from_ref(item), None, &mut body);
        }
        Format::CloudEvents | Format::CloudEventsStructured => {
            head.add(&CONTENT_TYPE, cloud_event::STRUCTURED.as_bytes());
            extensions::write_whole_event(item, &http.source, &mut body);
        }
    }
    for name in PASSED_ON {
        let value = item.prepared.record.header(name).and_then(text_value);
        if let Some(value) = value.filter(|value| head.has_room(name.len() + value.len())) {
            head.add(&HeaderName::from_static(name), value);
        }
    }
    let body = body.into();
    Outgoing { head, body }
}

/// The verdict on a record that went as a batch of one where no batches are: a handler may know batches and answer it as
/// one, or know nothing of them, and then the body means as little as that of any other answer.
pub fn verdict(answer: &Answer, record: &Record) -> Verdict {
    match answer.verdicts(&[record]).pop() {
        Some(Verdict::Misconfigured(failure))
            if failure.class == class::UNKNOWN_RESULT && !has_results(&answer.body) =>
        {
            answer.verdict()
        }
        Some(verdict) => verdict,
        None => answer.verdict(),
    }
}

fn has_results(body: &[u8]) -> bool {
    let body = serde_json::from_slice::<Value>(body);
    body.is_ok_and(|body| body.get("results").is_some_and(Value::is_array))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::topic::Offset;

    fn verdict_on(status: u16, body: &str) -> Verdict {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            whole: true,
        };
        let record = Record {
            topic: "orders".into(),
            partition: 0,
            offset: Offset(7),
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        verdict(&answer, &record)
    }

    #[test]
    fn what_is_no_result_of_a_batch_means_nothing_and_what_is_one_counts() {
        for (status, body) in [
            (200, ""),
            (204, ""),
            (200, "ok"),
            (200, r#""ok""#),
            (200, r#"{"ok":true}"#),
            (200, r#"{"result":"what"}"#),
            (200, r#"{"results":5}"#),
            (200, r#"{"results":["done"]}"#),
            (200, r#""done""#),
        ] {
            let verdict = verdict_on(status, body);
            assert!(matches!(verdict, Verdict::Done), "{status} {body}");
        }
        for body in [r#"{"results":["retry"]}"#, r#"{"result":"retry"}"#] {
            assert!(matches!(verdict_on(200, body), Verdict::Retry(_)), "{body}");
        }
        for body in [r#"{"results":[]}"#, r#"{"results":["what"]}"#] {
            let verdict = verdict_on(200, body);
            assert!(matches!(verdict, Verdict::Misconfigured(_)), "{body}");
        }
        assert!(matches!(verdict_on(400, "no"), Verdict::Reject(_)));
        assert!(matches!(verdict_on(500, "no"), Verdict::Retry(_)));
        assert!(matches!(verdict_on(302, ""), Verdict::Misconfigured(_)));
    }
}
