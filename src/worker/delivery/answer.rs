//! What a handler's answer means: the reference is `docs/http-handler.md`.

use std::time::Duration;

use http::header::{CONTENT_ENCODING, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::results;
use crate::clock;
use crate::engine::{Failure, Verdict};
use crate::worker::record::Record;

/// The header by which a handler says what it means, whatever the status.
pub static RESULT: HeaderName = HeaderName::from_static("drover-result");

/// The longest wait that a handler may ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Words of a failure that people, headers and metrics may rely on.
pub mod class {
    /// The status says that it failed.
    pub const STATUS: &str = "HttpStatus";
    /// The handler said so by `Drover-Result`.
    pub const RESULT: &str = "HandlerResult";
    /// No whole answer within the handler's time-out.
    pub const TIMEOUT: &str = "Timeout";
    /// The connection broke before the answer was complete.
    pub use crate::engine::CONNECTION_BROKE as CONNECTION;
    /// The handler could not be connected to.
    pub use crate::engine::NOT_CONNECTED as CONNECT;
    /// The handler answers in another protocol than `spec.handler.http.protocol` says.
    pub const PROTOCOL: &str = "Protocol";
    /// The command ended in the middle of a delivery.
    pub const PROCESS: &str = "Process";
    /// The command could not be started, or ended and is not started again yet.
    pub const START: &str = "Start";
    /// The handler redirects.
    pub const REDIRECT: &str = "Redirect";
    /// The record has not the key that `spec.idempotency` asks for.
    pub const MISSING_KEY: &str = "MissingKey";
    /// `Drover-Result` holds a word that is not known.
    pub const UNKNOWN_RESULT: &str = "UnknownResult";

    /// All of them.
    pub const ALL: [&str; 11] = [
        STATUS,
        RESULT,
        TIMEOUT,
        CONNECT,
        CONNECTION,
        PROTOCOL,
        PROCESS,
        START,
        REDIRECT,
        MISSING_KEY,
        UNKNOWN_RESULT,
    ];
}

/// Characters of a failure's message, at most.
const MESSAGE: usize = 200;

/// A failure, its message cut to what a report may carry.
pub fn failure(class: &'static str, status: Option<u16>, message: &str) -> Failure {
    let visible = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = visible
        .chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE)
        .collect();
    Failure {
        class,
        status,
        message,
    }
}

/// What an answer says.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body.
    pub body: Vec<u8>,
    /// All of its body is there.
    pub whole: bool,
}

/// Bytes of a body that are kept for the text of a failure.
pub const EXCERPT: usize = 1024;

impl Answer {
    /// The verdict on the one record that was delivered.
    pub fn verdict(&self) -> Verdict {
        let went_well = self.status.is_success() && !self.headers.contains_key(&RESULT);
        let excerpt = if went_well || self.body.is_empty() {
            "".into()
        } else if let Some(coding) = self.coding() {
            format!("(a body in Content-Encoding {coding})").into()
        } else {
            String::from_utf8_lossy(&self.body[..self.body.len().min(EXCERPT)])
        };
        verdict(self.status, &self.headers, &excerpt, clock::now)
    }

    /// The verdicts on `records`, which were delivered together.
    pub fn verdicts(&self, records: &[&Record]) -> Vec<Verdict> {
        let count = records.len();
        // Many a framework ends an answer of nothing with a line's end.
        let silent = self.body.trim_ascii().is_empty() && self.whole;
        if self.status.is_success() && !self.headers.contains_key(&RESULT) && !silent {
            let results = if let Some(coding) = self.coding() {
                // None was wanted.
                Err(format!("Content-Encoding {coding}, which is not read"))
            } else if self.whole {
                results::of(&self.body, records)
            } else {
                Err(format!("more than {} bytes", self.body.len()))
            };
            return results.unwrap_or_else(|why| {
                let message = format!(
                    "the handler answered a batch with {why}; answer nothing for all done, or {{\"results\": [\u{2026}]}} with one for each record"
                );
                let failure = failure(class::UNKNOWN_RESULT, Some(self.status.as_u16()), &message);
                vec![Verdict::Misconfigured(failure); count]
            });
        }
        let verdict = match self.verdict() {
            // No record is to blame for its company: each is tried alone.
            Verdict::Reject(failure) if count > 1 && !self.headers.contains_key(&RESULT) => {
                Verdict::Retry(failure)
            }
            verdict => verdict,
        };
        vec![verdict; count]
    }

    /// How the body is encoded, where it is not as it stands.
    fn coding(&self) -> Option<&str> {
        let lines = self.headers.get_all(CONTENT_ENCODING).into_iter();
        let lines = lines.map(|line| line.to_str().unwrap_or("(unreadable)"));
        let mut codings = lines.flat_map(|line| line.split(',')).map(str::trim);
        codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
    }
}

/// Sorts an answer. `excerpt` is the beginning of its body, for the failure's message; `now` is
/// for a `Retry-After` that is a date.
pub fn verdict(
    status: StatusCode,
    headers: &HeaderMap,
    excerpt: &str,
    now: impl FnOnce() -> Timestamp,
) -> Verdict {
    let because = |class| {
        let reason = status.canonical_reason().unwrap_or("");
        let colon = if excerpt.is_empty() { "" } else { ": " };
        let message = format!("{} {reason}{colon}{excerpt}", status.as_u16());
        failure(class, Some(status.as_u16()), &message)
    };
    if status.is_success() && !headers.contains_key(&RESULT) {
        return Verdict::Done; // nearly always
    }
    let slow_down = |class| Verdict::SlowDown {
        after: retry_after(headers, now),
        failure: because(class),
    };
    if headers.contains_key(&RESULT) {
        return match result(headers).as_str() {
            "done" => Verdict::Done,
            "skip" => Verdict::Skip,
            "retry" => Verdict::Retry(because(class::RESULT)),
            "reject" => Verdict::Reject(because(class::RESULT)),
            "slow-down" => slow_down(class::RESULT),
            said => Verdict::Misconfigured(failure(
                class::UNKNOWN_RESULT,
                Some(status.as_u16()),
                &format!(
                    "the handler answered Drover-Result: {said}, which is none of done, skip, retry, reject, slow-down"
                ),
            )),
        };
    }
    match status.as_u16() {
        200..=299 => Verdict::Done,
        300..=399 => Verdict::Misconfigured(failure(
            class::REDIRECT,
            Some(status.as_u16()),
            &format!(
                "the handler answered {} and redirects are not followed, since a redirected POST loses its body; set the handler's URL to where it leads",
                status.as_u16()
            ),
        )),
        429 | 503 => slow_down(class::STATUS),
        400..=407 | 409..=499 => Verdict::Reject(because(class::STATUS)),
        // What is no class of status is as a 5xx (RFC 9110, section 15).
        _ => Verdict::Retry(because(class::STATUS)),
    }
}

/// The one word that `Drover-Result` says, however often: several lines, or a list, mean the same to HTTP (RFC 9110, section
/// 5.3), and somebody on the way may make one of the other. All that it says, if that is not one word.
fn result(headers: &HeaderMap) -> String {
    let lines = headers.get_all(&RESULT).into_iter();
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
    let lines: Vec<String> = lines.map(|line| line.to_ascii_lowercase()).collect();
    let mut words = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    let first = words.next().unwrap_or_default();
    match words.all(|other| other == first) {
        true => first.to_owned(),
        false => lines.join(", "),
    }
}

/// How long the handler wants to be left alone: seconds or a date, as RFC 9110 has it.
fn retry_after(headers: &HeaderMap, now: impl FnOnce() -> Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
            LONGEST_WAIT
        }
        Err(_) => {
            let now = TimeZone::UTC.to_datetime(now());
            Duration::try_from(date(text)?.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// A date in any of the three forms that RFC 9110, section 5.6.7, has understood, in UTC. Not a
/// [`Timestamp`], which ends a day before the calendar does: "never" is often said as its last second.
fn date(text: &str) -> Option<DateTime> {
    let forms = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let other = || {
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(TimeZone::UTC.to_datetime(date.timestamp()))
    };
    let read = |form| DateTime::strptime(form, text).ok();
    forms.into_iter().find_map(read).or_else(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Offset;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Verdict {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        verdict(StatusCode::from_u16(status).unwrap(), &headers, "", || now)
    }

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Done => "done",
            Verdict::Skip => "skip",
            Verdict::Retry(_) => "retry",
            Verdict::Reject(_) => "reject",
            Verdict::SlowDown { .. } => "slow-down",
            Verdict::Misconfigured(_) => "misconfigured",
            Verdict::Duplicate => "duplicate",
            Verdict::Postponed { .. } => "postponed",
            Verdict::Undeliverable { .. } | Verdict::NotYet(_) => "not given to a handler",
            Verdict::Cancelled => "cancelled",
        }
    }

    #[test]
    fn each_status_means_what_the_reference_says() {
        let of = |statuses: &[u16], meaning| {
            let pairs = statuses.iter().map(|status| (*status, meaning));
            pairs.collect::<Vec<(u16, &str)>>()
        };
        for (status, meaning) in [
            of(&[200, 201, 202, 203, 204, 205, 206, 226, 299], "done"),
            of(&[300, 301, 302, 303, 304, 307, 308, 399], "misconfigured"),
            // 431: headers that are too large for it.
            of(&[400, 401, 403, 404, 405, 409, 410, 413, 414, 415], "reject"),
            of(&[421, 422, 425, 426, 431, 451, 499], "reject"),
            of(&[408], "retry"),
            of(&[429, 503], "slow-down"),
            of(&[500, 501, 502, 504, 505, 507, 511, 599], "retry"),
            // No class of status.
            of(&[600, 799, 999], "retry"),
        ]
        .concat()
        {
            assert_eq!(word(&answer(status, &[])), meaning, "{status}");
        }
    }

    #[test]
    fn drover_result_overrides_the_status() {
        for (result, meaning) in [
            ("done", "done"),
            ("Skip", "skip"),
            ("retry", "retry"),
            ("reject", "reject"),
            ("slow-down", "slow-down"),
            ("dnoe", "misconfigured"),
        ] {
            for status in [200, 404, 500] {
                assert_eq!(
                    word(&answer(status, &[(RESULT.as_str(), result)])),
                    meaning,
                    "{result}"
                );
            }
        }
    }

    #[test]
    fn results_that_contradict_each_other_are_none() {
        for (results, meaning) in [
            (&["skip", "Skip "][..], "skip"),
            (&["skip,skip"], "skip"),
            (&["done", "retry"], "misconfigured"),
            (&["done, retry"], "misconfigured"),
            (&["done", ""], "misconfigured"),
            (&[""], "misconfigured"),
        ] {
            let said: Vec<_> = results.iter().map(|said| (RESULT.as_str(), *said)).collect();
            assert_eq!(word(&answer(200, &said)), meaning, "{results:?}");
        }
    }

    #[test]
    fn a_body_that_is_encoded_is_not_taken_for_text() {
        let gzip = |status: u16| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: [(CONTENT_ENCODING, "gzip".parse().unwrap())]
                .into_iter()
                .collect(),
            body: vec![0x1f, 0x8b, 8, 0],
            whole: true,
        };
        let Verdict::Reject(failure) = gzip(422).verdict() else {
            panic!("422 rejects");
        };
        assert!(
            failure
                .message
                .ends_with(": (a body in Content-Encoding gzip)")
        );
        let verdicts = gzip(200).verdicts(&[&record(0), &record(1)]);
        let Verdict::Misconfigured(failure) = &verdicts[1] else {
            panic!("{verdicts:?}");
        };
        assert!(
            failure.message.contains("Content-Encoding gzip"),
            "{failure:?}"
        );
        let mut plain = gzip(422);
        plain.body = b"no such user".to_vec();
        for coding in ["", "identity", "Identity, "] {
            let coding = coding.parse().unwrap();
            plain.headers.insert(CONTENT_ENCODING, coding);
            let Verdict::Reject(failure) = plain.verdict() else {
                panic!("422 rejects");
            };
            assert!(failure.message.ends_with("no such user"), "{failure:?}");
        }
        // With a good status it is a failure's body if a header says so.
        plain.status = StatusCode::OK;
        plain.headers.insert(&RESULT, "reject".parse().unwrap());
        let Verdict::Reject(failure) = plain.verdict() else {
            panic!("it rejects");
        };
        assert_eq!(failure.message, "200 OK: no such user");
        // What says nothing needs no reading.
        let mut empty = gzip(200);
        empty.body.clear();
        assert!(matches!(
            empty.verdicts(&[&record(0), &record(1)])[..],
            [Verdict::Done, Verdict::Done]
        ));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (text, wait) in [
            ("7", Some(7)),
            ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30)),
            ("Thursday, 01-Jan-26 00:00:30 GMT", Some(30)),
            ("Thu Jan  1 00:00:30 2026", Some(30)),
            ("Wed, 31 Dec 2025 23:59:00 GMT", Some(0)),
            ("Thu, 1 Jan 2026 01:00:30 +0100", Some(30)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(3600)),
            ("soon", None),
            ("999999999", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("", None),
        ] {
            let Verdict::SlowDown { after, .. } = answer(503, &[("retry-after", text)]) else {
                panic!("{text}");
            };
            assert_eq!(after, wait.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_message_is_one_short_line() {
        let failure = failure(
            class::STATUS,
            None,
            &format!("a\n  b\u{7} {}", "x".repeat(500)),
        );
        assert!(failure.message.starts_with("a b x"));
        assert_eq!(failure.message.chars().count(), 200);
    }

    fn record(offset: i64) -> Record {
        Record {
            topic: "orders".into(),
            partition: 3,
            offset: Offset(offset),
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    /// Of a batch of the records at 41 and 42.
    fn answers(status: u16, headers: &[(&'static str, &str)], body: &str) -> Vec<&'static str> {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect(),
            body: body.as_bytes().to_vec(),
            whole: true,
        };
        let verdicts = answer.verdicts(&[&record(41), &record(42)]);
        verdicts.iter().map(word).collect()
    }

    #[test]
    fn a_batch_is_answered_as_a_whole_or_record_by_record() {
        for (status, body, meaning) in [
            (204, "", ["done", "done"]),
            (200, " ", ["done", "done"]),
            (200, "\r\n", ["done", "done"]),
            (200, r#"{"results":["done","retry"]}"#, ["done", "retry"]),
            (200, r#"{"results":["done"]}"#, ["misconfigured"; 2]),
            (200, r#"{"result":"skip"}"#, ["skip"; 2]),
            (
                200,
                r#"{"results":[{"result":"done","offset":41},{"result":"retry","offset":42}]}"#,
                ["done", "retry"],
            ),
            // In another order than asked, or of one of them only.
            (
                200,
                r#"{"results":[{"result":"retry","offset":42},{"result":"done","offset":41}]}"#,
                ["misconfigured"; 2],
            ),
            (200, r#"{"result":"done","offset":41}"#, ["misconfigured"; 2]),
            (200, "OK", ["misconfigured"; 2]),
            (500, r#"{"results":["done","done"]}"#, ["retry"; 2]),
            (503, "", ["slow-down"; 2]),
            (302, "", ["misconfigured"; 2]),
            // Each is tried alone.
            (413, "", ["retry"; 2]),
            (422, "", ["retry"; 2]),
        ] {
            assert_eq!(answers(status, &[], body), meaning, "{status} {body}");
        }
        let said = [(RESULT.as_str(), "reject")];
        assert_eq!(answers(200, &said, "whatever"), ["reject"; 2]);
    }
}
