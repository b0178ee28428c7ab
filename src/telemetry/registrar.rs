//! Makes metrics and registers them: name, help text, unit, and for those with labels an example.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// What the registry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is scraped: a metric with labels has the series that there are; at first none, or those that are known.
    Scraped,
    /// It is described, in `docs/metrics.md`: each metric with labels has one series, so that its
    /// labels show.
    Described,
}

/// A counter of seconds.
pub(super) type SecondsCounter = Counter<f64, AtomicU64>;
/// A gauge of seconds.
pub(super) type SecondsGauge = Gauge<f64, AtomicU64>;

/// A number that may be unknown.
pub struct IfKnown(Family<Vec<(String, String)>, Gauge<f64, AtomicU64>>);

impl IfKnown {
    /// The number, or that it is not known.
    pub fn set(&self, value: Option<f64>) {
        match value {
            Some(value) => drop(self.0.get_or_create(&Vec::new()).set(value)),
            None => drop(self.0.remove(&Vec::new())),
        }
    }
}

/// Registers metrics under one prefix.
pub(super) struct Registrar<'a> {
    registry: &'a mut Registry,
    purpose: Purpose,
}

impl<'a> Registrar<'a> {
    pub(super) fn new(registry: &'a mut Registry, prefix: &str, purpose: Purpose) -> Self {
        Self {
            registry: registry.sub_registry_with_prefix(prefix),
            purpose,
        }
    }

    /// The version of this program.
    pub(super) fn version(&mut self, help: &str) {
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        self.registry.register("build", help, Info::new(version));
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) -> Counter {
        let metric = Counter::default();
        self.registry.register(name, help, metric.clone());
        metric
    }

    pub(super) fn seconds_counter(&mut self, name: &str, help: &str) -> SecondsCounter {
        let metric = Counter::default();
        self.registry
            .register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let metric = Gauge::default();
        self.registry.register(name, help, metric.clone());
        metric
    }

    pub(super) fn seconds(&mut self, name: &str, help: &str) -> SecondsGauge {
        let metric = Gauge::default();
        self.registry
            .register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        buckets: impl Iterator<Item = f64>,
    ) -> Histogram {
        let metric = Histogram::new(buckets);
        self.registry
            .register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }

    /// Counters that differ in labels, of which `example` is a set.
    pub(super) fn family<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        example: L,
    ) -> Family<L, Counter> {
        let metric = Family::default();
        self.registry.register(name, help, metric.clone());
        self.exemplify(&metric, example);
        metric
    }

    /// A number that may be unknown, which then has no series.
    pub(super) fn if_known(&mut self, name: &str, help: &str) -> IfKnown {
        let metric = Family::default();
        self.registry.register(name, help, metric.clone());
        self.exemplify(&metric, Vec::new());
        IfKnown(metric)
    }

    /// Counters that differ in labels of which all, or the usual ones, are known. Each is there from zero on: one
    /// that begins with its first event hides this event from `rate()` and `increase()`.
    pub(super) fn known_family<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        known: impl IntoIterator<Item = L>,
    ) -> Family<L, Counter> {
        let metric = Family::default();
        self.registry.register(name, help, metric.clone());
        for labels in known {
            drop(metric.get_or_create(&labels));
        }
        metric
    }

    /// Histograms of seconds that differ in labels, of which `example` is a set.
    pub(super) fn histograms<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        example: L,
        new: fn() -> Histogram,
    ) -> Family<L, Histogram> {
        let metric = Family::new_with_constructor(new);
        self.registry
            .register_with_unit(name, help, Unit::Seconds, metric.clone());
        self.exemplify(&metric, example);
        metric
    }

    fn exemplify<L: Labels, M, C: MetricConstructor<M>>(
        &self,
        family: &Family<L, M, C>,
        example: L,
    ) {
        if self.purpose == Purpose::Described {
            drop(family.get_or_create(&example));
        }
    }
}

/// A set of labels.
pub(super) trait Labels:
    EncodeLabelSet + Clone + Hash + Eq + Send + Sync + Debug + 'static
{
}

impl<T> Labels for T where T: EncodeLabelSet + Clone + Hash + Eq + Send + Sync + Debug + 'static {}
