//! What a handler's answer means: the reference is `docs/http-handler.md`.

use std::time::Duration;

use http::header::{CONTENT_ENCODING, LOCATION, RETRY_AFTER};
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
/// Of them, for where a redirect leads.
const PLACE: usize = 60;

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
            &redirect(status, headers),
        )),
        429 | 503 => slow_down(class::STATUS),
        400..=407 | 409..=499 => Verdict::Reject(because(class::STATUS)),
        // What is no class of status is as a 5xx (RFC 9110, section 15).
        _ => Verdict::Retry(because(class::STATUS)),
    }
}

/// What to do about a 3xx.
fn redirect(status: StatusCode, headers: &HeaderMap) -> String {
    let code = status.as_u16();
    if status == StatusCode::NOT_MODIFIED {
        return format!(
            "the handler answered {code}: nothing has changed. A POST does not ask that, so something before it, such as a cache, answers; let POSTs through to the handler, or let it answer 2xx"
        );
    }
    match leads_to(headers) {
        Some(place) => format!(
            "the handler answered {code} to {place}; redirects are not followed, since a redirected POST loses its body: set the handler's URL to where it leads"
        ),
        None => format!(
            "the handler answered {code} and not where to; look what answers there, such as a proxy or a cache, or let the handler answer 2xx"
        ),
    }
}

/// Where a redirect leads, without what may hold a secret.
fn leads_to(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let place = location.split(['?', '#']).next()?;
    let is_plain = !place.is_empty() && !place.contains('@');
    is_plain.then(|| place.chars().take(PLACE).collect())
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
#[path = "answer_tests.rs"]
mod tests;
