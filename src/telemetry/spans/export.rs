//! The queue of ended spans, and the thread that empties it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::collector::Trouble;
use super::settings::Settings;
use super::{Counters, Ends};

/// Takes ended spans, as long as there is room.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    /// So many are worth a request.
    enough: usize,
    has_enough: Arc<Notify>,
    dropped: Counter,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
        } else if self.spans.max_capacity() - self.spans.capacity() == self.enough {
            // Not for each span: to wake a thread is dearer than all else here.
            self.has_enough.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The thread that exports, which ends with this.
#[derive(Debug)]
pub(super) struct Exporting {
    ends: Ends,
    over: oneshot::Receiver<()>,
}

impl Exporting {
    /// Exports what is left, for as long as `limit`.
    pub async fn close(mut self, limit: Duration) {
        self.ends.soon.cancel();
        if timeout(limit, &mut self.over).await.is_err() {
            self.ends.now.cancel();
            // It counts what it drops; that takes no time.
            let _ = timeout(limit, &mut self.over).await;
        }
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        self.ends.soon.cancel();
        self.ends.now.cancel();
    }
}

/// Starts the thread.
pub(super) fn begin(
    settings: &Settings,
    exporter: SpanExporter,
    trouble: Trouble,
    counters: Counters,
) -> Result<(Queue, Exporting), String> {
    let (spans, queue) = mpsc::channel(settings.queue);
    let (tell, over) = oneshot::channel();
    let (ends, has_enough) = (Ends::default(), Arc::new(Notify::new()));
    let taking = Queue {
        spans,
        enough: settings.batch,
        has_enough: Arc::clone(&has_enough),
        dropped: counters.dropped.clone(),
    };
    let mut work = Work {
        exporter,
        trouble,
        counters,
        queue,
        has_enough,
        ends: ends.clone(),
        batch: settings.batch,
        delay: settings.delay,
        is_away: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .map_err(|error| format!("start the runtime for spans: {error}"))?;
    thread::Builder::new()
        .name("spans".to_owned())
        .spawn(move || {
            runtime.block_on(work.run());
            // A name that is being looked up must not hold up the exit.
            runtime.shutdown_background();
            let _ = tell.send(());
        })
        .map_err(|error| format!("start the thread for spans: {error}"))?;
    Ok((taking, Exporting { ends, over }))
}

struct Work {
    exporter: SpanExporter,
    trouble: Trouble,
    counters: Counters,
    queue: mpsc::Receiver<SpanData>,
    has_enough: Arc<Notify>,
    ends: Ends,
    batch: usize,
    delay: Duration,
    /// The collector did not take the last request.
    is_away: bool,
}

impl Work {
    async fn run(&mut self) {
        while !self.ends.soon.is_cancelled() {
            tokio::select! {
                () = sleep(self.delay) => {}
                () = self.has_enough.notified() => {}
                () = self.ends.soon.cancelled() => {}
            }
            // What comes meanwhile is for the next time, unless it is a request's worth.
            while !self.queue.is_empty() && self.export().await {}
        }
        self.queue.close();
        while !self.queue.is_empty() && self.export().await {}
        self.drop_all();
    }

    /// Exports a request's worth; false if there is no time for more.
    async fn export(&mut self) -> bool {
        let mut spans = Vec::with_capacity(self.batch.min(self.queue.len()));
        while spans.len() < self.batch
            && let Ok(span) = self.queue.try_recv()
        {
            spans.push(span);
        }
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let exported = tokio::select! {
            biased;
            exported = self.exporter.export(spans) => exported,
            () = self.ends.now.cancelled() => {
                self.counters.dropped.inc_by(count);
                return false;
            }
        };
        match exported {
            Ok(()) => {
                self.counters.exported.inc_by(count);
                if std::mem::take(&mut self.is_away) {
                    info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.counters.failed.inc_by(count);
                let why = self.trouble.take().unwrap_or_else(|| error.to_string());
                if !std::mem::replace(&mut self.is_away, true) {
                    warn!(
                        why,
                        "the collector does not take spans; they are counted and dropped, deliveries go on"
                    );
                }
            }
        }
        true
    }

    fn drop_all(&mut self) {
        while self.queue.try_recv().is_ok() {
            self.counters.dropped.inc();
        }
    }
}
