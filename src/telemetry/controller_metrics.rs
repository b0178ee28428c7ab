//! The controller's metrics, all of them: those of its own work here, those of fleets in
//! `fleet_metrics`. The `/metrics` page and `docs/metrics.md` come from here.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::fleet_metrics::FleetTable;
pub use super::fleet_metrics::{Attention, FleetGauges};
use super::registrar::{Purpose, Registrar, SecondsCounter, SecondsGauge};

/// `reason`: the first reason of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// Such as `DelayProjected`.
    pub reason: &'static str,
}

/// `direction`: of a change of size.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DirectionLabel {
    /// `up` or `down`.
    pub direction: &'static str,
}

/// `verb`: what kind of call it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerbLabel {
    /// The HTTP method, or `WATCH`.
    pub verb: &'static str,
}

/// A DeadLetterReplay that ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReplayLabel {
    /// `namespace/name` of the KafkaConsumer.
    pub consumer: String,
    /// One of [`RESULTS`].
    pub result: &'static str,
}

/// How a DeadLetterReplay can end.
pub const RESULTS: [&str; 3] = ["complete", "stopped", "failed"];

/// A call and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabel {
    /// The HTTP method, or `WATCH`.
    pub verb: &'static str,
    /// The HTTP status, or `none`.
    pub code: String,
}

/// What was asked of Kafka so far, and what is open.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Clients of Kafka clusters.
    pub clients: usize,
    /// Fleets whose offsets are read.
    pub fleets: usize,
    /// Questions so far.
    pub requests: u64,
    /// Questions without an answer so far.
    pub failures: u64,
    /// Rounds so far.
    pub rounds: u64,
    /// Time that they took, added up.
    pub rounds_took: Duration,
    /// Age of the oldest fleet's newest offsets; none if no fleet was read yet.
    pub oldest: Option<Duration>,
}

/// The controller's metrics.
pub struct ControllerMetrics {
    reconciles: Counter,
    reconcile_failures: Counter,
    reconcile_seconds: Histogram,
    watched: Gauge,
    decisions: Family<ReasonLabel, Counter>,
    api_requests: Family<AnswerLabel, Counter>,
    api_request_seconds: Family<VerbLabel, Histogram>,
    api_writes: Family<VerbLabel, Counter>,
    drift_corrections: Counter,
    scale_changes: Family<DirectionLabel, Counter>,
    replays: Family<ReplayLabel, Counter>,
    leader: Gauge,
    kafka_clients: Gauge,
    kafka_fleets: Gauge,
    kafka_requests: Counter,
    kafka_failures: Counter,
    kafka_rounds: Counter,
    kafka_rounds_seconds: SecondsCounter,
    kafka_oldest_seconds: SecondsGauge,
    fleets: FleetTable,
}

impl ControllerMetrics {
    /// Registers every metric.
    pub fn new(registry: &mut Registry) -> Self {
        Self::register(registry, Purpose::Scraped)
    }

    pub(super) fn register(registry: &mut Registry, purpose: Purpose) -> Self {
        let fleets = FleetTable::register(registry, purpose);
        let mut to = Registrar::new(registry, "drover_controller", purpose);
        to.version("The controller's version");
        let metrics = Self {
            reconciles: to.counter("reconciles", "Reconciles that ended"),
            reconcile_failures: to.counter("reconcile_failures", "Reconciles that ended with something that is tried again"),
            reconcile_seconds: to.histogram("reconcile", "How long reconciles took", exponential_buckets(0.001, 4.0, 8)),
            watched: to.gauge("fleets", "KafkaConsumers that are watched"),
            decisions: to.family("decisions", "Decisions about a size, by the first of their reasons", ReasonLabel { reason: "Enough" }),
            api_requests: to.family("api_requests", "Calls to the API server that ended, by HTTP method (WATCH for one that begins to watch) and HTTP status of the answer; none where none came within ten seconds", AnswerLabel { verb: "GET", code: "200".to_owned() }),
            api_request_seconds: to.histograms("api_request_duration", "Time from a call to the API server to the last byte of its answer, watches left out", VerbLabel { verb: "GET" }, || Histogram::new(exponential_buckets(0.004, 4.0, 7))),
            api_writes: to.family("api_writes", "Writing calls to the API server that went out, by HTTP method; the Lease's are among them", VerbLabel { verb: "PATCH" }),
            drift_corrections: to.counter("drift_corrections", "Child objects put right after somebody else had changed them"),
            scale_changes: to.family("scale_changes", "Changes of fleets' sizes, by direction: up, down", DirectionLabel { direction: "up" }),
            replays: to.family("replays", "DeadLetterReplays that ended, by the fleet that they are of and how: complete, stopped (too many failed again), failed", ReplayLabel { consumer: "namespace/name".to_owned(), result: "complete" }),
            leader: to.gauge("leader", "1 while this process leads, else 0"),
            kafka_clients: to.gauge("kafka_clients", "Clients of Kafka clusters that are open: one for each cluster and credential"),
            kafka_fleets: to.gauge("kafka_fleets", "Fleets whose offsets are read"),
            kafka_requests: to.counter("kafka_requests", "Questions to Kafka clusters"),
            kafka_failures: to.counter("kafka_request_failures", "Questions to Kafka clusters without an answer"),
            kafka_rounds: to.counter("kafka_rounds", "Rounds of questions to a Kafka cluster, each for all fleets that were due"),
            kafka_rounds_seconds: to.seconds_counter("kafka_rounds", "Time that rounds took, added up; by kafka_rounds_total it is the time of one"),
            kafka_oldest_seconds: to.seconds("kafka_oldest_offsets_age", "Age of the newest offsets of the fleet that has waited longest for new ones; NaN while there are none"),
            fleets,
        };
        for direction in ["up", "down"] {
            let label = DirectionLabel { direction };
            drop(metrics.scale_changes.get_or_create(&label));
        }
        // Unknown is not zero.
        metrics.kafka_oldest_seconds.set(f64::NAN);
        metrics
    }

    /// A reconcile ended after `took`.
    pub fn reconciled(&self, took: Duration) {
        self.reconciles.inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// A reconcile ended with something that is tried again.
    pub fn reconcile_failed(&self) {
        self.reconcile_failures.inc();
    }

    /// A decision was made.
    pub fn decided(&self, reason: &'static str) {
        self.decisions.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A writing call goes out.
    pub fn api_write(&self, verb: &'static str) {
        self.api_writes.get_or_create(&VerbLabel { verb }).inc();
    }

    /// A call ended after `took`, with an HTTP status where there was an answer.
    pub fn api_call(&self, verb: &'static str, status: Option<u16>, took: Duration) {
        let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.api_requests
            .get_or_create(&AnswerLabel { verb, code })
            .inc();
        if verb != "WATCH" {
            self.api_request_seconds
                .get_or_create(&VerbLabel { verb })
                .observe(took.as_secs_f64());
        }
    }

    /// A child was put right.
    pub fn drift_corrected(&self) {
        self.drift_corrections.inc();
    }

    /// A fleet's size was changed.
    pub fn scaled(&self, from: u32, to: u32) {
        let direction = if to > from { "up" } else { "down" };
        self.scale_changes
            .get_or_create(&DirectionLabel { direction })
            .inc();
    }

    /// A DeadLetterReplay of this fleet ended, in one of [`RESULTS`].
    pub fn replay_ended(&self, consumer: &str, result: &'static str) {
        let consumer = consumer.to_owned();
        self.replays
            .get_or_create(&ReplayLabel { consumer, result })
            .inc();
    }

    /// This process leads, or does not.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// So many KafkaConsumers are watched.
    pub fn watches(&self, fleets: usize) {
        self.watched.set(gauge(fleets));
    }

    /// How reading offsets goes, and what was added since `before`.
    pub fn sampling(&self, now: &Sampling, before: &Sampling) {
        self.kafka_clients.set(gauge(now.clients));
        self.kafka_fleets.set(gauge(now.fleets));
        for (counter, now, before) in [
            (&self.kafka_requests, now.requests, before.requests),
            (&self.kafka_failures, now.failures, before.failures),
            (&self.kafka_rounds, now.rounds, before.rounds),
        ] {
            counter.inc_by(now.saturating_sub(before));
        }
        let took = now.rounds_took.saturating_sub(before.rounds_took);
        self.kafka_rounds_seconds.inc_by(took.as_secs_f64());
        let oldest = now.oldest.map_or(f64::NAN, |age| age.as_secs_f64());
        self.kafka_oldest_seconds.set(oldest);
    }

    /// What is known of one fleet now.
    pub fn fleet(&self, consumer: &str, gauges: FleetGauges) {
        self.fleets.set(consumer, gauges);
    }

    /// Somebody else leads: what was known of fleets is not known any more.
    pub fn forget_all(&self) {
        self.fleets.clear();
        for gauge in [&self.watched, &self.kafka_clients, &self.kafka_fleets] {
            gauge.set(0);
        }
        self.kafka_oldest_seconds.set(f64::NAN);
    }

    /// The fleet is gone: its series end.
    pub fn forget(&self, consumer: &str) {
        self.fleets.forget(consumer);
        for result in RESULTS {
            let consumer = consumer.to_owned();
            self.replays.remove(&ReplayLabel { consumer, result });
        }
    }
}

fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replays_that_ended_are_counted_for_as_long_as_their_fleet_is_there() {
        let mut registry = Registry::default();
        let metrics = ControllerMetrics::new(&mut registry);
        let page = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            let lines = text
                .lines()
                .filter(|line| line.starts_with("drover_controller_replays_total{"));
            lines.collect::<Vec<_>>().join("\n")
        };
        metrics.replay_ended("shop/orders", "failed");
        metrics.replay_ended("shop/orders", "failed");
        assert_eq!(
            page(),
            "drover_controller_replays_total{consumer=\"shop/orders\",result=\"failed\"} 2"
        );
        metrics.forget("shop/orders");
        assert_eq!(page(), "");
    }
}
