//! KEDA and the HPA worked by hand, step by step: what a trigger reads, what the cap makes of it,
//! what the scale loop does, what the HPA does with it, and the quirks that follow.

mod autoscaler;
mod fallback;
mod loops;
mod quirks;
mod trigger;

use super::hpa::{Behavior, Hpa, Metric, Scale, Spec, Target};
use super::lag::{LagScaler, Offsets, Trigger};

/// A partition with `lag` records, all of them readable.
fn lagging(lag: i64) -> Offsets {
    Offsets {
        end: Some(1000 + lag),
        start: Some(0),
        committed: Some(1000),
    }
}

/// A partition without a commit.
fn uncommitted(start: i64, end: i64) -> Offsets {
    Offsets {
        end: Some(end),
        start: Some(start),
        committed: None,
    }
}

fn trigger(lag_threshold: u64) -> Trigger {
    Trigger {
        lag_threshold,
        ..Trigger::default()
    }
}

/// The metric of a fresh scaler for `total` records in the first of `partitions` partitions.
fn metric(trigger: Trigger, partitions: usize, total: i64) -> f64 {
    let mut offsets = vec![lagging(0); partitions];
    offsets[0] = lagging(total);
    LagScaler::new(trigger).read(&offsets).metric
}

fn average(value: f64, target: f64) -> Metric {
    Metric {
        value: Some(value),
        target: Target::AverageValue(target),
    }
}

fn scale(replicas: u32) -> Scale {
    Scale {
        spec: replicas,
        status: replicas,
        ready: replicas,
    }
}

fn hpa(max: u32, behavior: Option<Behavior>) -> Hpa {
    Hpa::new(Spec {
        min: 1,
        max,
        behavior,
    })
}

/// Syncs every 15 s from `from` pods on, with the same metric; the sizes it goes through.
fn ramp(hpa: &mut Hpa, from: u32, syncs: u32, metric: Metric) -> Vec<u32> {
    let mut n = from;
    let mut sizes = vec![n];
    for sync in 0..syncs {
        let wanted = hpa.sync(f64::from(sync) * 15.0, scale(n), &[metric]);
        if let Some(wanted) = wanted {
            n = wanted;
            sizes.push(n);
        }
    }
    sizes
}
