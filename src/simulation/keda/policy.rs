//! KEDA and the HPA on their clocks, in the world.

use std::collections::VecDeque;

use super::super::controller::{Controller, Order, Seen};
use super::super::random::Random;
use super::super::setup::Setup;
use super::hpa;
use super::hpa::{Behavior, Hpa, Limit, Metric, Rules, Scale, Select, Target};
use super::lag::{LagScaler, Offsets, Reading, Trigger};
use super::scaled_object::{ScaledObject, Spec};

/// `pollingInterval`, seconds.
const POLL: f64 = 30.0;
/// `--horizontal-pod-autoscaler-sync-period`, seconds.
const SYNC: f64 = 15.0;
/// Prometheus looks at end offsets so often, seconds.
const SCRAPE: f64 = 15.0;

/// What a user sets, beside the topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// `lagThreshold` in seconds of one pod's work; none for KEDA's default of ten records.
    pub lag_seconds: Option<f64>,
    /// A second trigger: arrivals per second over what one pod can do, at this share of it.
    pub rate_share: Option<f64>,
    /// Over so many seconds of arrivals.
    pub rate_window: f64,
    /// `behavior.scaleDown.stabilizationWindowSeconds`; none leaves `behavior` away.
    pub down_window: Option<f64>,
    /// `behavior.scaleUp.stabilizationWindowSeconds`.
    pub up_window: f64,
    /// `behavior.scaleDown`: at most so many per cent a minute.
    pub down_percent: Option<u32>,
    /// `ensureEvenDistributionOfPartitions`.
    pub even: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            lag_seconds: None,
            rate_share: None,
            rate_window: 60.0,
            down_window: None,
            up_window: 0.0,
            down_percent: None,
            even: false,
        }
    }
}

impl Tuning {
    fn behavior(&self) -> Option<Behavior> {
        let window = self.down_window?;
        let mut behavior = Behavior::default();
        behavior.up.window = self.up_window;
        behavior.down.window = window;
        if let Some(value) = self.down_percent {
            let period = 60.0;
            behavior.down = Rules {
                policies: vec![Limit::Percent { value, period }],
                select: Select::Max,
                ..behavior.down
            };
        }
        Some(behavior)
    }
}

/// KEDA and the HPA.
pub struct Keda {
    scaler: LagScaler,
    object: ScaledObject,
    hpa: Hpa,
    /// Arrivals per second that one pod is trusted with, and over how many seconds they are taken.
    rate: Option<(f64, f64)>,
    /// When Prometheus looked, and the sum of end offsets.
    scraped: VecDeque<(f64, u64)>,
    next_poll: f64,
    next_sync: f64,
    next_scrape: f64,
    offsets: Vec<Offsets>,
}

impl Keda {
    /// As a user would set it up who has measured `setup.per_pod` by hand.
    pub fn new(setup: &Setup, tuning: &Tuning) -> Self {
        let threshold = |seconds: f64| (seconds * setup.per_pod).round().max(1.0) as u64;
        let trigger = Trigger {
            lag_threshold: tuning.lag_seconds.map_or(10, threshold),
            even_distribution: tuning.even,
            ..Trigger::default()
        };
        let spec = Spec {
            min: setup.min,
            max: setup.max,
            ..Spec::default()
        };
        let object = ScaledObject::new(spec, 0.0);
        let hpa = Hpa::new(hpa::Spec {
            min: object.hpa_min(),
            max: setup.max,
            behavior: tuning.behavior(),
        });
        // The clocks know nothing of each other.
        let mut phase = Random::new(setup.seed, 4);
        let mut begin = |period: f64| (phase.uniform() * period).floor();
        Self {
            scaler: LagScaler::new(trigger),
            object,
            hpa,
            rate: tuning
                .rate_share
                .map(|share| (share * setup.per_pod, tuning.rate_window)),
            scraped: VecDeque::new(),
            next_poll: begin(POLL),
            next_sync: begin(SYNC),
            next_scrape: begin(SCRAPE),
            offsets: Vec::new(),
        }
    }

    /// One call of the trigger; it counts for the fallback whoever asked.
    fn read(&mut self, seen: &Seen<'_>) -> Option<Reading> {
        self.object.count(!seen.readable);
        if !seen.readable {
            self.scaler.rebuild();
            return None;
        }
        let signed = |records: u64| i64::try_from(records).unwrap_or(i64::MAX);
        self.offsets.clear();
        self.offsets
            .extend(seen.partitions().map(|partition| Offsets {
                end: Some(signed(partition.end)),
                start: Some(0),
                committed: Some(signed(partition.committed)),
            }));
        Some(self.scaler.read(&self.offsets))
    }

    fn scrape(&mut self, seen: &Seen<'_>) {
        let Some((_, window)) = self.rate else { return };
        if !seen.readable {
            return;
        }
        let ends = seen.partitions().map(|partition| partition.end).sum();
        self.scraped.push_back((seen.now, ends));
        while self
            .scraped
            .front()
            .is_some_and(|first| seen.now - first.0 > window)
        {
            self.scraped.pop_front();
        }
    }

    /// `rate(…[window])` as Prometheus has it; none where it has less than two points.
    fn arrivals(&self, now: f64, window: f64) -> Option<f64> {
        let recent = |scrape: &&(f64, u64)| now - scrape.0 <= window;
        let first = self.scraped.iter().find(recent)?;
        let last = self.scraped.back()?;
        (last.0 > first.0).then(|| (last.1 - first.1) as f64 / (last.0 - first.0))
    }

    fn sync(&mut self, seen: &Seen<'_>) -> Option<Order> {
        let n = seen.replicas();
        let reading = self.read(seen);
        let lag_target = self.scaler.target();
        let stand_in = self.object.falls_back_to(n).map(|pods| match lag_target {
            Target::AverageValue(target) | Target::Value(target) => target * f64::from(pods),
        });
        let lag = Metric {
            value: reading.map(|reading| reading.metric).or(stand_in),
            target: lag_target,
        };
        let mut metrics = vec![lag];
        if let Some((per_pod, window)) = self.rate {
            metrics.push(Metric {
                value: self.arrivals(seen.now, window),
                target: Target::AverageValue(per_pod),
            });
        }
        let scale = Scale {
            spec: n,
            status: n,
            ready: seen.ready(),
        };
        let replicas = self.hpa.sync(seen.now, scale, &metrics)?;
        Some(Order {
            replicas,
            why: why(&metrics),
        })
    }
}

fn why(metrics: &[Metric]) -> String {
    let mut parts = Vec::new();
    for (metric, name) in metrics.iter().zip(["lag", "arrivals per second"]) {
        let (Target::AverageValue(target) | Target::Value(target)) = metric.target;
        parts.push(match metric.value {
            Some(value) => format!("{name} {value:.0}, {target:.0} for each pod"),
            None => format!("{name} unknown"),
        });
    }
    parts.join("; ")
}

impl Controller for Keda {
    fn due(&self, now: f64, _: bool) -> bool {
        now >= self.next_poll || now >= self.next_sync || now >= self.next_scrape
    }

    fn decide(&mut self, seen: &Seen<'_>) -> Option<Order> {
        if seen.now >= self.next_scrape {
            self.next_scrape += SCRAPE;
            self.scrape(seen);
        }
        let mut order = None;
        if seen.now >= self.next_poll {
            self.next_poll += POLL;
            let active = self.read(seen).map(|reading| reading.active);
            order = self
                .object
                .poll(seen.now, seen.replicas(), active)
                .map(|replicas| Order {
                    replicas,
                    why: if replicas == 0 {
                        "nothing to do for the cooldown period".to_owned()
                    } else {
                        "there is work".to_owned()
                    },
                });
        }
        if seen.now >= self.next_sync {
            self.next_sync += SYNC;
            if order.is_none() {
                order = self.sync(seen);
            }
        }
        order
    }
}
