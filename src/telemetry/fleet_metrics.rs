//! What the controller knows of each fleet, as metrics: one row of numbers for a fleet, written out
//! when somebody scrapes.
//!
//! One row, not a gauge for each number: ten thousand fleets are ten thousand entries of one map. A
//! fleet's label is `namespace/name`; no label has a partition, an offset or a pod in it. A number
//! that is not known has no series, and neither has a condition that is as on a good day, so that a
//! fleet in order has few.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::registrar::Purpose;

/// What is known of one fleet. An unknown number has no series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetGauges {
    /// Pods wanted.
    pub wanted: Option<u32>,
    /// Pods that exist.
    pub replicas: Option<u32>,
    /// Pods that are ready.
    pub ready_replicas: Option<u32>,
    /// The largest size that the user allows; none where partitions alone are the limit.
    pub max_replicas: Option<u32>,
    /// Partitions of all topics.
    pub partitions: Option<u32>,
    /// Records that are not committed yet.
    pub lag: Option<u64>,
    /// How long the oldest unfinished record has waited.
    pub delay: Option<Duration>,
    /// How long it may.
    pub promise: Option<Duration>,
    /// Records that arrive per second.
    pub arrival: Option<f64>,
    /// Records per second that one pod can do.
    pub capacity: Option<f64>,
    /// How long a new pod takes until it is ready.
    pub start_up: Option<Duration>,
    /// Age of the newest offsets.
    pub sample_age: Option<Duration>,
    /// Records that nothing gets past.
    pub stuck: Option<u32>,
    /// The condition `Ready`; none while it is unknown.
    pub ready: Option<bool>,
    /// The first reason of the newest decision.
    pub decision: Option<&'static str>,
    /// Conditions that are not as on a good day.
    pub attention: Vec<Attention>,
}

/// A condition that is not as on a good day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Its type.
    pub condition: &'static str,
    /// Its reason.
    pub reason: String,
}

/// A number of a fleet.
struct Number {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    value: fn(&FleetGauges) -> Option<f64>,
}

const NUMBERS: [Number; 14] = [
    Number {
        name: "wanted_replicas",
        help: "Pods that a fleet should have",
        unit: None,
        value: |fleet| fleet.wanted.map(f64::from),
    },
    Number {
        name: "replicas",
        help: "Pods that a fleet has",
        unit: None,
        value: |fleet| fleet.replicas.map(f64::from),
    },
    Number {
        name: "ready_replicas",
        help: "Pods of a fleet that are ready",
        unit: None,
        value: |fleet| fleet.ready_replicas.map(f64::from),
    },
    Number {
        name: "max_replicas",
        help: "Pods that spec.scaling.maxReplicas allows; absent where it says nothing, and partitions are the limit",
        unit: None,
        value: |fleet| fleet.max_replicas.map(f64::from),
    },
    Number {
        name: "partitions",
        help: "Partitions of all topics of a fleet",
        unit: None,
        value: |fleet| fleet.partitions.map(f64::from),
    },
    Number {
        name: "lag_records",
        help: "Records that are not committed yet; absent while unknown",
        unit: None,
        value: |fleet| fleet.lag.map(|lag| lag as f64),
    },
    Number {
        name: "delay",
        help: "How long the oldest unfinished record has waited, those that wait for a later attempt left out; absent while unknown",
        unit: Some(Unit::Seconds),
        value: |fleet| seconds(fleet.delay),
    },
    Number {
        name: "promised_delay",
        help: "How long a record may wait: spec.scaling.maxDelay",
        unit: Some(Unit::Seconds),
        value: |fleet| seconds(fleet.promise),
    },
    Number {
        name: "arrival_records_per_second",
        help: "Records that arrive in the topics of a fleet; absent while unknown",
        unit: None,
        value: |fleet| fleet.arrival,
    },
    Number {
        name: "pod_capacity_records_per_second",
        help: "Records that one pod can handle, measured at work; absent until it was",
        unit: None,
        value: |fleet| fleet.capacity,
    },
    Number {
        name: "start_up",
        help: "How long it takes from ordering a pod until it is ready, learned from those that were ordered; absent until it was",
        unit: Some(Unit::Seconds),
        value: |fleet| seconds(fleet.start_up),
    },
    Number {
        name: "offsets_age",
        help: "Age of the newest offsets at the last reconcile; absent while there are none",
        unit: Some(Unit::Seconds),
        value: |fleet| seconds(fleet.sample_age),
    },
    Number {
        name: "stuck_records",
        help: "Records that nothing gets past, as far as pods have reported",
        unit: None,
        value: |fleet| fleet.stuck.map(f64::from),
    },
    Number {
        name: "ready",
        help: "1 while the condition Ready is True, 0 while it is False; absent while it is Unknown",
        unit: None,
        value: |fleet| fleet.ready.map(|ready| f64::from(u8::from(ready))),
    },
];

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

/// All fleets.
#[derive(Clone, Debug, Default)]
pub(super) struct FleetTable {
    fleets: Arc<Mutex<BTreeMap<String, FleetGauges>>>,
}

impl FleetTable {
    /// Registers a table; to be described, it has one fleet of which everything is known.
    pub(super) fn register(registry: &mut Registry, purpose: Purpose) -> Self {
        let table = Self::default();
        if purpose == Purpose::Described {
            table.set("namespace/name", example());
        }
        let registry = registry.sub_registry_with_prefix("drover_fleet");
        registry.register_collector(Box::new(table.clone()));
        table
    }

    pub(super) fn set(&self, consumer: &str, gauges: FleetGauges) {
        let mut fleets = self.lock();
        match fleets.get_mut(consumer) {
            Some(known) => *known = gauges,
            None => {
                fleets.insert(consumer.to_owned(), gauges);
            }
        }
    }

    pub(super) fn forget(&self, consumer: &str) {
        self.lock().remove(consumer);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, FleetGauges>> {
        self.fleets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn example() -> FleetGauges {
    FleetGauges {
        wanted: Some(0),
        replicas: Some(0),
        ready_replicas: Some(0),
        max_replicas: Some(0),
        partitions: Some(0),
        lag: Some(0),
        delay: Some(Duration::ZERO),
        promise: Some(Duration::ZERO),
        arrival: Some(0.0),
        capacity: Some(0.0),
        start_up: Some(Duration::ZERO),
        sample_age: Some(Duration::ZERO),
        stuck: Some(0),
        ready: Some(true),
        decision: Some("Enough"),
        attention: vec![Attention {
            condition: "Ready",
            reason: "PodsNotReady".to_owned(),
        }],
    }
}

impl Collector for FleetTable {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let fleets = self.lock();
        for number in &NUMBERS {
            let unit = number.unit.as_ref();
            let help = format!("{}.", number.help);
            let mut family =
                encoder.encode_descriptor(number.name, &help, unit, MetricType::Gauge)?;
            for (consumer, gauges) in fleets.iter() {
                if let Some(value) = (number.value)(gauges) {
                    let labels = [("consumer", consumer.as_str())];
                    family.encode_family(&labels)?.encode_gauge(&value)?;
                }
            }
        }
        let help = "1 for the first reason of a fleet's newest decision about its size.";
        let mut family = encoder.encode_descriptor("decision", help, None, MetricType::Gauge)?;
        for (consumer, gauges) in fleets.iter() {
            if let Some(reason) = gauges.decision {
                let labels = [("consumer", consumer.as_str()), ("reason", reason)];
                family.encode_family(&labels)?.encode_gauge(&1_u64)?;
            }
        }
        let help = "1 for each condition that is not as on a good day, with its reason; docs/conditions.md tells what to do. A fleet in order has none.";
        let mut family = encoder.encode_descriptor("condition", help, None, MetricType::Gauge)?;
        for (consumer, gauges) in fleets.iter() {
            for Attention { condition, reason } in &gauges.attention {
                let labels = [
                    ("consumer", consumer.as_str()),
                    ("condition", condition),
                    ("reason", reason.as_str()),
                ];
                family.encode_family(&labels)?.encode_gauge(&1_u64)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(table: &FleetTable) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(table.clone()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_not_known_of_a_fleet_has_no_series() {
        let table = FleetTable::default();
        let known = FleetGauges {
            lag: Some(7),
            delay: Some(Duration::from_millis(1_500)),
            ..FleetGauges::default()
        };
        table.set("shop/orders", known);
        assert_eq!(
            page(&table),
            "lag_records{consumer=\"shop/orders\"} 7.0\ndelay_seconds{consumer=\"shop/orders\"} 1.5"
        );
        table.set("shop/orders", FleetGauges::default());
        assert_eq!(page(&table), "");
    }

    #[test]
    fn each_condition_that_asks_for_attention_has_its_reason_and_goes_with_it() {
        let table = FleetTable::default();
        let stuck = Attention {
            condition: "Stalled",
            reason: "RecordStuck".to_owned(),
        };
        let gauges = FleetGauges {
            ready: Some(false),
            decision: Some("MostlyStuck"),
            attention: vec![stuck],
            ..FleetGauges::default()
        };
        table.set("a/b", gauges.clone());
        assert_eq!(
            page(&table),
            "ready{consumer=\"a/b\"} 0.0\ndecision{consumer=\"a/b\",reason=\"MostlyStuck\"} 1\ncondition{consumer=\"a/b\",condition=\"Stalled\",reason=\"RecordStuck\"} 1"
        );
        let well = FleetGauges {
            ready: Some(true),
            attention: Vec::new(),
            ..gauges
        };
        table.set("a/b", well);
        assert!(!page(&table).contains("Stalled"));
        table.forget("a/b");
        assert_eq!(page(&table), "");
    }

    #[test]
    fn a_described_fleet_shows_every_number() {
        let mut registry = Registry::default();
        let table = FleetTable::register(&mut registry, Purpose::Described);
        assert_eq!(page(&table).lines().count(), NUMBERS.len() + 2);
    }
}
