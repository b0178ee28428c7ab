//! A pod: starts, works, drains.

use super::controller::PodSeen;
use super::measure::Measure;
use super::partition::{Pace, Partition};
use super::random::Random;
use super::setup::Setup;

/// Where a pod is in its life. Times are seconds from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Starting { ready_at: u32 },
    Member,
    Draining { until: u32 },
    Gone,
}

/// A pod.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) stage: Stage,
    /// Times the speed of an average one.
    pub(super) speed: f64,
    pub(super) partitions: Vec<usize>,
    /// Parts of a record that it could have done beyond what it did.
    credit: f64,
    counters: PodSeen,
    /// The counters at its last commit.
    pub(super) reported: PodSeen,
    /// Room for `work`.
    order: Vec<(u64, usize)>,
}

impl Pod {
    /// Pod number `number` is the same in every fleet of a seed.
    pub(super) fn new(number: usize, second: u32, setup: &Setup) -> Self {
        let mut random = Random::new(setup.seed, 1000 + number as u64);
        let speed = random.log_normal(setup.pod_spread);
        let start_up = setup.start_up * random.log_normal(setup.start_up_spread);
        Self {
            stage: Stage::Starting {
                ready_at: second + start_up.round() as u32,
            },
            speed,
            partitions: Vec::new(),
            credit: 0.0,
            counters: PodSeen::default(),
            reported: PodSeen::default(),
            order: Vec::new(),
        }
    }

    /// Whether the Deployment counts it.
    pub(super) fn stays(&self) -> bool {
        matches!(self.stage, Stage::Member | Stage::Starting { .. })
    }

    pub(super) fn report(&mut self) {
        self.reported = self.counters;
    }

    /// Works for a second at `rate` records per second, fair among its partitions.
    pub(super) fn work(
        &mut self,
        rate: f64,
        second: u32,
        setup: &Setup,
        partitions: &mut [Partition],
        measure: &mut Measure,
    ) {
        self.credit += rate;
        let can = self.credit as u64;
        self.order.clear();
        let mut waiting = 0;
        for &number in &self.partitions {
            let partition = &partitions[number];
            let backlog = partition.backlog();
            if backlog > 0 && !partition.stuck && partition.rests_until <= second {
                waiting += backlog;
                self.order.push((backlog, number));
            }
        }
        let pace = Pace {
            second,
            handling: f64::from(setup.concurrency.max(1)) / rate.max(1e-9),
            saturated: waiting > can,
        };
        if pace.saturated {
            // The emptiest first, each up to an equal share of what is left.
            self.order.sort_unstable();
        }
        let mut left = can.min(waiting);
        let mut sharers = self.order.len() as u64;
        for &(backlog, number) in &self.order {
            // Who is last in the order gets what does not divide.
            let share = if pace.saturated {
                left / sharers
            } else {
                backlog
            };
            let work = backlog.min(share);
            sharers -= 1;
            left -= work;
            if work > 0 {
                partitions[number].work(work, pace, measure);
            }
        }
        let done = can.min(waiting) - left;
        self.credit -= done as f64;
        if !pace.saturated {
            // An idle pod saves nothing up; a slow one may be in the midst of a record.
            self.credit = if waiting > 0 {
                self.credit.fract()
            } else {
                0.0
            };
        }
        self.counters.done += done;
        self.counters.busy += done as f64 * pace.handling;
    }
}
