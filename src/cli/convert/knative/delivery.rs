//! `spec.delivery` of a KafkaSource: attempts, waits, what becomes of what cannot be delivered.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::api::Span;
use crate::cli::convert::draft::Draft;
use crate::cli::convert::notes::{NOT_KNOWN, Notes, Spot};

/// Of `delivery.retry`: the shortest and the longest wait, and the longest without saying so.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3_600));
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Of `handler.timeout`.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1_800));

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Delivery {
    retry: Option<u32>,
    backoff_policy: Option<String>,
    backoff_delay: Option<String>,
    timeout: Option<String>,
    format: Option<String>,
    dead_letter_sink: Option<Value>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

pub(super) fn write(draft: &mut Draft, notes: &mut Notes, written: &Delivery, spot: &Spot) {
    let format = match written.format.as_deref() {
        Some("json") => "CloudEventsStructured",
        _ => "CloudEvents",
    };
    draft.set("handler.http.format", format, Some(spot.then("format")));
    if let Some(retry) = written.retry {
        // There the attempts after the first are counted, here all.
        draft.set(
            "delivery.retry.attempts",
            retry.saturating_add(1),
            Some(spot.then("retry")),
        );
    }
    if let Some(wait) = &written.backoff_delay {
        let from = spot.then("backoffDelay");
        if let Some(wait) = duration(notes, &from, wait, BACKOFF) {
            draft.set(
                "delivery.retry.initialBackoff",
                Span(wait).to_string(),
                Some(from.clone()),
            );
            if wait > MAX_BACKOFF {
                draft.set(
                    "delivery.retry.maxBackoff",
                    Span(wait).to_string(),
                    Some(from),
                );
            }
        }
    }
    if written.backoff_policy.as_deref() == Some("linear") {
        notes.not_carried(spot.then("backoffPolicy"), "the wait between attempts doubles each time, up to spec.delivery.retry.maxBackoff; set that to bound it");
    }
    if let Some(timeout) = &written.timeout {
        let from = spot.then("timeout");
        if let Some(timeout) = duration(notes, &from, timeout, TIMEOUT) {
            draft.set("handler.timeout", Span(timeout).to_string(), Some(from));
        }
    }
    match written.dead_letter_sink {
        Some(_) => notes.not_carried(spot.then("deadLetterSink"), "dead letters go to a topic; create one and name it in spec.delivery.deadLetter.topic: until then a record that fails is tried on, and what must wait for it waits"),
        None => notes.assumed(spot.then("retry"), "after its last attempt Knative gives a record up, and Drover tries it on until somebody acts; name a topic in spec.delivery.deadLetter.topic, or set spec.delivery.onExhausted to Skip"),
    }
    for name in written.rest.keys() {
        notes.not_carried(spot.then(name), NOT_KNOWN);
    }
}

/// A duration of ISO 8601, such as `PT0.5S`, within bounds.
fn duration(
    notes: &mut Notes,
    spot: &Spot,
    text: &str,
    (least, most): (Duration, Duration),
) -> Option<Duration> {
    let read = text.parse::<jiff::SignedDuration>().ok();
    let Some(read) = read.and_then(|read| Duration::try_from(read).ok()) else {
        notes.not_carried(spot.clone(), format!("\"{text}\" is not a duration such as PT2S; write one by hand, if the default does not do"));
        return None;
    };
    // Whole milliseconds are what a span has.
    let millis = u64::try_from(read.as_millis()).unwrap_or(u64::MAX);
    let taken = Duration::from_millis(millis).clamp(least, most);
    if taken != read {
        notes.assumed(
            spot.clone(),
            format!(
                "{text} is not between {} and {}; {} was written",
                Span(least),
                Span(most),
                Span(taken)
            ),
        );
    }
    Some(taken)
}
