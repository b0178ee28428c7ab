//! The controller's metrics, all of them. The `/metrics` page and the docs table come from here.
//!
//! A fleet's label is `namespace/name`; no label has a partition, an offset or a pod in it.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// `consumer`: `namespace/name` of the KafkaConsumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConsumerLabel {
    /// `namespace/name`.
    pub consumer: String,
}

/// `reason`: the first reason of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// Such as `DelayProjected`.
    pub reason: &'static str,
}

/// `verb`: the HTTP method of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerbLabel {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub verb: &'static str,
}

type Number = Gauge<f64, AtomicU64>;

/// What is known of one fleet. An unknown number has no series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FleetGauges {
    /// Pods wanted.
    pub wanted: Option<u32>,
    /// Pods that exist.
    pub replicas: Option<u32>,
    /// Pods that are ready.
    pub ready: Option<u32>,
    /// Records that are not committed yet.
    pub lag: Option<u64>,
    /// How long the oldest unfinished record has waited.
    pub delay: Option<Duration>,
    /// Age of the newest offsets.
    pub sample_age: Option<Duration>,
    /// Records that nothing gets past.
    pub stuck: Option<u32>,
}

/// The controller's metrics.
pub struct ControllerMetrics {
    reconciles: Counter,
    reconcile_failures: Counter,
    reconcile_seconds: Histogram,
    fleets: Gauge,
    wanted: Family<ConsumerLabel, Gauge>,
    replicas: Family<ConsumerLabel, Gauge>,
    ready: Family<ConsumerLabel, Gauge>,
    lag: Family<ConsumerLabel, Gauge>,
    delay_seconds: Family<ConsumerLabel, Number>,
    sample_age_seconds: Family<ConsumerLabel, Number>,
    stuck: Family<ConsumerLabel, Gauge>,
    decisions: Family<ReasonLabel, Counter>,
    api_writes: Family<VerbLabel, Counter>,
    drift_corrections: Counter,
    scale_changes: Counter,
    leader: Gauge,
}

impl ControllerMetrics {
    /// Registers every metric.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Counter::default(),
            reconcile_failures: Counter::default(),
            reconcile_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            fleets: Gauge::default(),
            wanted: Family::default(),
            replicas: Family::default(),
            ready: Family::default(),
            lag: Family::default(),
            delay_seconds: Family::default(),
            sample_age_seconds: Family::default(),
            stuck: Family::default(),
            decisions: Family::default(),
            api_writes: Family::default(),
            drift_corrections: Counter::default(),
            scale_changes: Counter::default(),
            leader: Gauge::default(),
        };
        metrics.register(registry.sub_registry_with_prefix("drover_controller"));
        metrics.register_fleets(registry.sub_registry_with_prefix("drover_fleet"));
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "reconciles",
            "Reconciles that ended.",
            self.reconciles.clone(),
        );
        registry.register(
            "reconcile_failures",
            "Reconciles that ended with something that is tried again.",
            self.reconcile_failures.clone(),
        );
        registry.register_with_unit(
            "reconcile",
            "How long reconciles took.",
            Unit::Seconds,
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "fleets",
            "KafkaConsumers that are watched.",
            self.fleets.clone(),
        );
        registry.register(
            "decisions",
            "Decisions about a size, by the first of their reasons.",
            self.decisions.clone(),
        );
        registry.register(
            "api_writes",
            "Writing calls to the API server, by HTTP method; the Lease's are among them.",
            self.api_writes.clone(),
        );
        registry.register(
            "drift_corrections",
            "Child objects put right after somebody else had changed them.",
            self.drift_corrections.clone(),
        );
        registry.register(
            "scale_changes",
            "Changes of a fleet's size.",
            self.scale_changes.clone(),
        );
        registry.register(
            "leader",
            "1 while this process leads, else 0.",
            self.leader.clone(),
        );
    }

    fn register_fleets(&self, registry: &mut Registry) {
        registry.register(
            "wanted_replicas",
            "Pods that a fleet should have.",
            self.wanted.clone(),
        );
        registry.register("replicas", "Pods that a fleet has.", self.replicas.clone());
        registry.register(
            "ready_replicas",
            "Pods of a fleet that are ready.",
            self.ready.clone(),
        );
        registry.register(
            "lag_records",
            "Records that are not committed yet; absent while unknown.",
            self.lag.clone(),
        );
        registry.register_with_unit(
            "delay",
            "How long the oldest unfinished record has waited; absent while unknown.",
            Unit::Seconds,
            self.delay_seconds.clone(),
        );
        registry.register_with_unit(
            "offsets_age",
            "Age of the newest offsets at the last reconcile; absent while there are none.",
            Unit::Seconds,
            self.sample_age_seconds.clone(),
        );
        registry.register(
            "stuck_records",
            "Records that nothing gets past, as far as pods have reported.",
            self.stuck.clone(),
        );
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

    /// Writing calls so far.
    pub fn api_writes(&self) -> u64 {
        let verbs = ["POST", "PUT", "PATCH", "DELETE"];
        verbs
            .map(|verb| self.api_writes.get_or_create(&VerbLabel { verb }).get())
            .iter()
            .sum()
    }

    /// A child was put right.
    pub fn drift_corrected(&self) {
        self.drift_corrections.inc();
    }

    /// A fleet's size was changed.
    pub fn scaled(&self) {
        self.scale_changes.inc();
    }

    /// This process leads, or does not.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// So many KafkaConsumers are watched.
    pub fn watches(&self, fleets: usize) {
        self.fleets.set(i64::try_from(fleets).unwrap_or(i64::MAX));
    }

    /// What is known of one fleet now.
    pub fn fleet(&self, consumer: &str, gauges: &FleetGauges) {
        let label = ConsumerLabel {
            consumer: consumer.to_owned(),
        };
        let count = |number: Option<u32>| number.map(i64::from);
        set(&self.wanted, &label, count(gauges.wanted));
        set(&self.replicas, &label, count(gauges.replicas));
        set(&self.ready, &label, count(gauges.ready));
        set(&self.stuck, &label, count(gauges.stuck));
        let lag = gauges.lag.map(|lag| i64::try_from(lag).unwrap_or(i64::MAX));
        set(&self.lag, &label, lag);
        set_number(&self.delay_seconds, &label, gauges.delay);
        set_number(&self.sample_age_seconds, &label, gauges.sample_age);
    }

    /// The fleet is gone: its series end.
    pub fn forget(&self, consumer: &str) {
        self.fleet(consumer, &FleetGauges::default());
    }
}

fn set(family: &Family<ConsumerLabel, Gauge>, label: &ConsumerLabel, value: Option<i64>) {
    match value {
        Some(value) => {
            family.get_or_create(label).set(value);
        }
        None => {
            family.remove(label);
        }
    }
}

fn set_number(
    family: &Family<ConsumerLabel, Number>,
    label: &ConsumerLabel,
    value: Option<Duration>,
) {
    match value {
        Some(value) => {
            family.get_or_create(label).set(value.as_secs_f64());
        }
        None => {
            family.remove(label);
        }
    }
}
