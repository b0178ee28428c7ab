//! A collector of spans inside the test: OTLP over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// A span, and the process that made it.
#[derive(Debug, Clone)]
pub struct Collected {
    pub span: Span,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

impl Collected {
    /// Of the span.
    pub fn says(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    pub fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All spans of a request.
pub fn spans(body: &[u8]) -> Vec<Collected> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut all = Vec::new();
    for of_process in request.resource_spans {
        let resource = texts(&of_process.resource.unwrap_or_default().attributes);
        let spans = of_process.scope_spans.into_iter().flat_map(|s| s.spans);
        all.extend(spans.map(|span| Collected {
            attributes: texts(&span.attributes),
            span,
            resource: resource.clone(),
        }));
    }
    all
}

pub fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|v| v.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => panic!("{other:?}"),
    };
    let attributes = attributes.iter();
    attributes
        .map(|attribute| (attribute.key.clone(), text(&attribute.value)))
        .collect()
}

#[derive(Default)]
struct Shared {
    collected: Mutex<Vec<Collected>>,
    headers: Mutex<Vec<HeaderMap>>,
}

/// A collector that listens until it is dropped.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, stop) = (Arc::<Shared>::default(), CancellationToken::new());
        let router = Router::new()
            .route("/v1/traces", post(collect))
            .with_state(Arc::clone(&shared));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(stopped.run_until_cancelled(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let _ = axum::serve(listener, router).await;
            }));
        });
        Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn collected(&self) -> Vec<Collected> {
        self.shared.collected.lock().unwrap().clone()
    }

    /// The headers of all requests.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.shared.headers.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || std::thread::panicking());
        }
    }
}

async fn collect(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static [u8]) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    shared.headers.lock().unwrap().push(headers);
    shared.collected.lock().unwrap().extend(spans(&body));
    (StatusCode::OK, b"")
}
