use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry::Value;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanProcessor};

use super::*;
use crate::topic::Offset;
use crate::worker::delivery::prepare::Prepared;
use crate::worker::record::Header;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Spans that have ended.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn tracing(sampler: Sampler) -> (Tracing, Ended) {
    let ended = Ended::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_span_processor(ended.clone())
        .build();
    let tracer = provider.tracer("drover");
    let tracing = Tracing::new(tracer, "shop/orders", "shop.orders", "pod-1");
    (tracing, ended)
}

fn record(partition: i32, offset: i64, headers: &[(&'static str, &'static str)]) -> Record {
    Record {
        topic: "orders".into(),
        partition,
        offset: Offset(offset),
        timestamp: None,
        key: Some(Bytes::from_static(b"secret key")),
        value: Some(Bytes::from_static(b"secret value")),
        headers: headers
            .iter()
            .map(|(name, value)| Header {
                name: Bytes::from_static(name.as_bytes()),
                value: Some(Bytes::from_static(value.as_bytes())),
            })
            .collect(),
    }
}

fn item(record: &Record, attempt: u32) -> Item<'_> {
    Item {
        prepared: Prepared {
            record,
            value: record.value.clone(),
            decrypted: None,
        },
        attempt,
    }
}

fn failed(class: &'static str, status: Option<u16>) -> Failure {
    Failure {
        class,
        status,
        message: "secret words of the handler".to_owned(),
    }
}

fn says(span: &SpanData, name: &str) -> Option<Value> {
    let mut all = span.attributes.iter();
    all.find(|attribute| attribute.key.as_str() == name)
        .map(|attribute| attribute.value.clone())
}

/// The one span that has ended.
fn only(ended: &Ended) -> SpanData {
    let spans = ended.0.lock().unwrap();
    assert_eq!(spans.len(), 1);
    assert!(!format!("{spans:?}").contains("secret"), "{spans:?}");
    spans[0].clone()
}

#[test]
fn an_attempt_goes_on_with_its_records_trace_and_says_how_it_ended() {
    let (tracing, ended) = tracing(Sampler::AlwaysOn);
    let record = record(
        3,
        42,
        &[
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("tracestate", "shop=1"),
        ],
    );
    let attempt = tracing.begin(&[item(&record, 2)]);
    let hop = attempt.hop();
    attempt.end(&[Verdict::Retry(failed("HttpStatus", Some(500)))]);
    let span = only(&ended);
    let id = span.span_context.span_id();
    assert_eq!(hop.traceparent, format!("00-{TRACE}-{id}-01"));
    assert_eq!(hop.tracestate, "shop=1");
    assert_eq!(span.span_context.trace_id().to_string(), TRACE);
    assert_eq!(span.parent_span_id.to_string(), PARENT);
    assert!(span.parent_span_is_remote);
    assert_eq!(span.name, "process orders");
    assert_eq!(span.span_kind, SpanKind::Consumer);
    assert_eq!(span.status, Status::error("HttpStatus 500"));
    for (name, value) in [
        ("messaging.system", Value::from("kafka")),
        ("messaging.operation.name", "process".into()),
        ("messaging.operation.type", "process".into()),
        ("messaging.destination.name", "orders".into()),
        ("messaging.destination.partition.id", "3".into()),
        ("messaging.kafka.offset", Value::I64(42)),
        ("messaging.consumer.group.name", "shop.orders".into()),
        ("messaging.client.id", "pod-1".into()),
        ("drover.consumer", "shop/orders".into()),
        ("drover.attempt", Value::I64(2)),
        ("drover.outcome", "retry".into()),
        ("error.type", "HttpStatus".into()),
        ("http.response.status_code", Value::I64(500)),
    ] {
        assert_eq!(says(&span, name), Some(value), "{name}");
    }
}

#[test]
fn a_batch_has_links_to_the_traces_of_its_records_and_counts_how_they_ended() {
    let (tracing, ended) = tracing(Sampler::AlwaysOn);
    let traced = [(
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )];
    let records = [
        record(0, 7, &traced),
        record(1, 8, &[]),
        record(0, 9, &[("traceparent", "nonsense")]),
    ];
    let items: Vec<_> = records.iter().map(|record| item(record, 1)).collect();
    let reject = Verdict::Reject(failed("HandlerResult", None));
    tracing
        .begin(&items)
        .end(&[Verdict::Done, reject, Verdict::Done]);
    let span = only(&ended);
    assert_ne!(span.span_context.trace_id().to_string(), TRACE);
    let linked: Vec<_> = span.links.iter().collect();
    assert_eq!(linked.len(), 1);
    assert_eq!(linked[0].span_context.span_id().to_string(), PARENT);
    assert!(linked[0].attributes.contains(&offset(&records[0])));
    for (name, value) in [
        ("messaging.batch.message_count", Some(Value::I64(3))),
        ("messaging.destination.name", Some("orders".into())),
        ("messaging.destination.partition.id", None),
        ("messaging.kafka.offset", None),
        ("drover.outcome", Some("mixed".into())),
        ("drover.records.done", Some(Value::I64(2))),
        ("drover.records.reject", Some(Value::I64(1))),
        ("error.type", Some("HandlerResult".into())),
    ] {
        assert_eq!(says(&span, name), value, "{name}");
    }
}

#[test]
fn what_is_not_sampled_is_not_recorded_and_the_handler_is_told_so() {
    let (tracing, ended) = tracing(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let record = record(0, 0, &[("traceparent", traceparent)]);
    let attempt = tracing.begin(&[item(&record, 1)]);
    let hop = attempt.hop();
    attempt.end(&[Verdict::Done]);
    assert!(ended.0.lock().unwrap().is_empty());
    assert!(hop.traceparent.starts_with(&format!("00-{TRACE}-")));
    assert!(hop.traceparent.ends_with("-00") && hop.traceparent != traceparent);
}

#[test]
fn the_handler_is_sent_the_span_and_not_what_the_record_said() {
    let mut head = Head::new();
    for name in ["tracestate", "baggage", "traceparent"] {
        head.add_named("", name, b"of the record");
    }
    let hop = Hop {
        traceparent: "00-1-2-01".to_owned(),
        tracestate: String::new(),
    };
    hop.put_into(&mut head);
    let headers = head.to_map();
    assert_eq!(headers["traceparent"], "00-1-2-01");
    assert!(!headers.contains_key("tracestate"));
    assert_eq!(headers["baggage"], "of the record");
}
