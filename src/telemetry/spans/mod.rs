//! Spans over OTLP, where OpenTelemetry's environment variables ask for them.
//!
//! Who ends a span waits for nothing: it goes into a queue with an end, and a thread of its own takes
//! it from there to the collector. Where nobody asks for spans there is none of all this.

mod collector;
mod export;
mod settings;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::export::Exporting;
use self::settings::Settings;

/// The semantic conventions whose names are used; later ones rename much that tools do not know yet.
const CONVENTIONS: &str = "https://opentelemetry.io/schemas/1.37.0";

/// Who makes the spans: what a resource says where the environment does not say it.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `service.namespace`.
    pub namespace: &'a str,
    /// `service.name`.
    pub name: &'a str,
    /// `service.instance.id`.
    pub instance: &'a str,
}

/// What becomes of spans.
#[derive(Clone, Debug)]
pub struct Counters {
    /// The collector took them.
    pub exported: Counter,
    /// The collector did not take them, in its time.
    pub failed: Counter,
    /// The queue was full, or the process ended before it was empty.
    pub dropped: Counter,
}

/// Spans that are exported until this is dropped.
#[derive(Debug)]
pub struct Spans {
    tracer: SdkTracer,
    exporting: Exporting,
}

impl Spans {
    /// Begins to export, if the environment asks for it. What is wrong with its variables is logged, and
    /// then nothing is exported: no record waits for that.
    pub fn from_environment(
        who: &Identity<'_>,
        counters: impl FnOnce() -> Counters,
    ) -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let begun = match Settings::read(variable) {
            Ok(None) => return None,
            Ok(Some(settings)) => Self::begin(&settings, who, counters()),
            Err(why) => Err(why),
        };
        begun
            .inspect_err(|why| warn!(why, "no spans are exported; deliveries go on without"))
            .ok()
    }

    fn begin(settings: &Settings, who: &Identity<'_>, counters: Counters) -> Result<Self, String> {
        let resource = resource(who);
        let (exporter, trouble) = collector::exporter(settings, &resource)?;
        let (queue, exporting) = export::begin(settings, exporter, trouble, counters)?;
        // Sampler and limits come from the environment.
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(queue)
            .build();
        let scope = InstrumentationScope::builder("drover")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(CONVENTIONS)
            .build();
        info!(collector = settings.collector, "spans are exported");
        Ok(Self {
            tracer: provider.tracer_with_scope(scope),
            exporting,
        })
    }

    /// Makes spans.
    pub fn tracer(&self) -> SdkTracer {
        self.tracer.clone()
    }

    /// Exports what is left, for as long as `limit`; what has not gone by then never goes.
    pub async fn close(self, limit: Duration) {
        self.exporting.close(limit).await;
    }
}

/// What the environment says of the process, and what we know where it says nothing.
fn resource(who: &Identity<'_>) -> Resource {
    const NAME: &str = "service.name";
    let said = Resource::builder().build();
    let says = |key: &Key| match said.get(key) {
        // What it is called where nobody has given it a name.
        Some(name) if key.as_str() == NAME => !name.as_str().starts_with("unknown_service"),
        value => value.is_some(),
    };
    let mut known = vec![
        KeyValue::new("service.namespace", who.namespace.to_owned()),
        KeyValue::new(NAME, who.name.to_owned()),
        KeyValue::new("service.instance.id", who.instance.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    known.retain(|attribute| !says(&attribute.key));
    Resource::builder().with_attributes(known).build()
}

/// A wish to end that was told, and one that may not wait any more.
#[derive(Clone, Debug, Default)]
struct Ends {
    /// What is in the queue goes, and no more comes.
    soon: CancellationToken,
    /// Nothing more goes.
    now: CancellationToken,
}
