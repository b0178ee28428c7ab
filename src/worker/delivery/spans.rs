//! A span for each attempt: what traces say of a delivery. The reference is `docs/tracing.md`.
//!
//! Names are those of OpenTelemetry's semantic conventions for messaging and for Kafka, and `drover.…`
//! where they have none. No value and no key is in them, nor anything that the handler wrote.

use std::fmt::Write as _;
use std::sync::Arc;

use http::HeaderName;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue, StringValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::document::Item;
use super::http::head::{Head, is_text};
use crate::engine::{Failure, Verdict};
use crate::worker::record::Record;

/// Bytes of a `traceparent`.
const TRACE_PARENT: usize = 55;

/// Makes a span for each attempt.
#[derive(Debug)]
pub struct Tracing {
    tracer: SdkTracer,
    group: Arc<str>,
    pod: Arc<str>,
    consumer: Arc<str>,
    propagator: TraceContextPropagator,
}

/// The span of an attempt that is under way; it ends with this.
pub struct Attempt(Span);

/// What the handler is told of the span, so that its own are below it.
#[derive(Debug, PartialEq)]
pub struct Hop {
    /// W3C's `traceparent`.
    pub traceparent: String,
    /// W3C's `tracestate`; empty where there is none.
    pub tracestate: String,
}

impl Tracing {
    /// Spans of `consumer`, which is `namespace/name`, in `group`, made by `pod`.
    pub fn new(tracer: SdkTracer, consumer: &str, group: &str, pod: &str) -> Self {
        Self {
            tracer,
            group: group.into(),
            pod: pod.into(),
            consumer: consumer.into(),
            propagator: TraceContextPropagator::new(),
        }
    }

    /// The span of an attempt on `items`. One record's goes on with the trace of that record; several
    /// records' begins a trace, with a link to each of theirs.
    pub fn begin(&self, items: &[Item<'_>]) -> Attempt {
        let mut attributes = vec![
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.name", "process"),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.consumer.group.name", Arc::clone(&self.group)),
            KeyValue::new("messaging.client.id", Arc::clone(&self.pod)),
            KeyValue::new("drover.consumer", Arc::clone(&self.consumer)),
        ];
        let attempt = items.iter().map(|item| item.attempt).max().unwrap_or(1);
        attributes.push(KeyValue::new("drover.attempt", i64::from(attempt)));
        let records = || items.iter().map(|item| item.prepared.record);
        let topic = same(records().map(|record| &record.topic));
        if let Some(topic) = topic {
            let name = StringValue::from(Arc::clone(topic));
            attributes.push(KeyValue::new("messaging.destination.name", name));
        }
        if let Some(partition) = same(records().map(|record| record.partition)) {
            attributes.push(partition_id(partition));
        }
        let (parent, links) = match items {
            [Item { prepared, .. }] => {
                attributes.push(offset(prepared.record));
                if prepared.value.is_none() {
                    attributes.push(KeyValue::new("messaging.kafka.message.tombstone", true));
                }
                (self.context(prepared.record), Vec::new())
            }
            _ => {
                let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
                attributes.push(KeyValue::new("messaging.batch.message_count", count));
                (Context::new(), self.links(items))
            }
        };
        let name = topic.map_or("process".to_owned(), |topic| format!("process {topic}"));
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Consumer)
            .with_attributes(attributes)
            .with_links(links);
        Attempt(self.tracer.build_with_context(builder, &parent))
    }

    /// What the record says of the trace that it belongs to.
    fn context(&self, record: &Record) -> Context {
        let nothing = Context::new();
        let carrier = Carrier(record);
        self.propagator.extract_with_context(&nothing, &carrier)
    }

    fn links(&self, items: &[Item<'_>]) -> Vec<Link> {
        let link = |item: &Item<'_>| {
            let record = item.prepared.record;
            let context = self.context(record);
            let of = context.span().span_context().clone();
            let place = || {
                vec![
                    partition_id(record.partition),
                    offset(record),
                    KeyValue::new("drover.attempt", i64::from(item.attempt)),
                ]
            };
            of.is_valid().then(|| Link::new(of, place(), 0))
        };
        items.iter().filter_map(link).collect()
    }
}

fn offset(record: &Record) -> KeyValue {
    KeyValue::new("messaging.kafka.offset", record.offset.0)
}

fn partition_id(partition: i32) -> KeyValue {
    KeyValue::new("messaging.destination.partition.id", partition.to_string())
}

/// The one that all are.
fn same<T: PartialEq>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

impl Attempt {
    /// What the handler is told.
    pub fn hop(&self) -> Hop {
        Hop::of(self.0.span_context())
    }

    /// The attempt is over, with a verdict on each of its records.
    pub fn end(mut self, verdicts: &[Verdict]) {
        let span = &mut self.0;
        if !span.is_recording() {
            return;
        }
        let outcome = same(verdicts.iter().map(word)).unwrap_or("mixed");
        span.set_attribute(KeyValue::new("drover.outcome", outcome));
        if outcome == "mixed" {
            let mut counts: Vec<(&'static str, i64)> = Vec::new();
            for word in verdicts.iter().map(word) {
                match counts.iter_mut().find(|(known, _)| *known == word) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((word, 1)),
                }
            }
            for (word, count) in counts {
                span.set_attribute(KeyValue::new(format!("drover.records.{word}"), count));
            }
        }
        if let Some(failure) = verdicts.iter().find_map(failure) {
            span.set_attribute(KeyValue::new("error.type", failure.class));
            let mut words = failure.class.to_owned();
            if let Some(status) = failure.status {
                let status = i64::from(status);
                span.set_attribute(KeyValue::new("http.response.status_code", status));
                let _ = write!(words, " {status}");
            }
            // Not its message, in which the handler's own words are.
            span.set_status(Status::error(words));
        }
        span.end();
    }
}

/// The words of `docs/http-handler.md`.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "done",
        Verdict::Skip => "skip",
        Verdict::Retry(_) => "retry",
        Verdict::Reject(_) => "reject",
        Verdict::SlowDown { .. } => "slow-down",
        Verdict::Misconfigured(_) => "misconfigured",
        Verdict::Cancelled => "cancelled",
        Verdict::Duplicate => "duplicate",
        Verdict::Postponed { .. } => "postponed",
        Verdict::Undeliverable { .. } | Verdict::NotYet(_) => "undeliverable",
    }
}

fn failure(verdict: &Verdict) -> Option<&Failure> {
    match verdict {
        Verdict::Retry(failure)
        | Verdict::Reject(failure)
        | Verdict::Misconfigured(failure)
        | Verdict::SlowDown { failure, .. }
        | Verdict::Undeliverable { failure, .. }
        | Verdict::NotYet(failure) => Some(failure),
        Verdict::Postponed { failure, .. } => failure.as_ref(),
        Verdict::Done | Verdict::Skip | Verdict::Duplicate | Verdict::Cancelled => None,
    }
}

impl Hop {
    fn of(span: &SpanContext) -> Self {
        let (trace, id) = (span.trace_id(), span.span_id());
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        Self {
            traceparent: format!("00-{trace}-{id}-{flags:02x}"),
            tracestate: span.trace_state().header(),
        }
    }

    /// Puts it in the place of what the record said.
    pub fn put_into(&self, head: &mut Head) {
        for (name, value) in [
            ("traceparent", &self.traceparent),
            ("tracestate", &self.tracestate),
        ] {
            let name = HeaderName::from_static(name);
            head.remove(&name);
            // A trace goes on without the state that others have put there.
            let fits =
                value.len() <= TRACE_PARENT || head.has_room(name.as_str().len() + value.len());
            if !value.is_empty() && fits && is_text(value.as_bytes()) {
                head.add(&name, value.as_bytes());
            }
        }
    }
}

/// A record's headers, for those who read a trace out of them.
struct Carrier<'a>(&'a Record);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.header(key)?.value.as_ref()?;
        std::str::from_utf8(value).ok()
    }

    fn keys(&self) -> Vec<&str> {
        let names = self.0.headers.iter().map(|header| &*header.name);
        names
            .filter_map(|name| std::str::from_utf8(name).ok())
            .collect()
    }
}

#[cfg(test)]
#[path = "spans_tests.rs"]
mod tests;
