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
    /// When it was made, and when it became ready, in seconds from the beginning.
    pub(super) made: f64,
    pub(super) ready: Option<f64>,
    /// Times the speed of an average one.
    pub(super) speed: f64,
    pub(super) partitions: Vec<usize>,
    /// Parts of a record that it could have done beyond what it did.
    credit: f64,
    counters: PodSeen,
    /// The counters at its last commit.
    pub(super) reported: PodSeen,
    /// The partition whose turn it is, or that of the next one after it.
    turn: usize,
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
            made: f64::from(second),
            ready: None,
            speed,
            partitions: Vec::new(),
            credit: 0.0,
            counters: PodSeen::default(),
            reported: PodSeen::default(),
            turn: 0,
            order: Vec::new(),
        }
    }

    /// It was made so long before the beginning, and began then what it has to do before it works.
    pub(super) fn was_there_for(&mut self, seconds: f64) {
        if let Stage::Starting { ready_at } = self.stage {
            self.ready = Some(f64::from(ready_at) - seconds);
        }
        self.made = -seconds;
        self.stage = Stage::Member;
    }

    /// Whether the Deployment counts it.
    pub(super) fn stays(&self) -> bool {
        matches!(self.stage, Stage::Member | Stage::Starting { .. })
    }

    pub(super) fn report(&mut self) {
        self.reported = self.counters;
    }

    /// Works for a second at `rate` records per second: a record of each of its partitions in turn,
    /// as the engine does.
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
        let done = can.min(waiting);
        let (turns, mut more) = if pace.saturated {
            turns(&mut self.order, can)
        } else {
            (u64::MAX, 0)
        };
        // What does not divide goes to those whose turn is next.
        self.order.sort_unstable_by_key(|&(_, number)| number);
        let next = self.order.partition_point(|&(_, n)| n < self.turn);
        self.order.rotate_left(next);
        for &(backlog, number) in &self.order {
            let mut work = backlog.min(turns);
            if more > 0 && backlog > turns {
                work += 1;
                more -= 1;
                self.turn = number + 1;
            }
            if work > 0 {
                partitions[number].work(work, pace, measure);
            }
        }
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

/// How many whole turns `records` records last for partitions with these backlogs, and how many are
/// left for one turn more. There are fewer than wait.
fn turns(backlogs: &mut [(u64, usize)], records: u64) -> (u64, u64) {
    backlogs.sort_unstable();
    let (mut left, mut turns) = (records, 0);
    let mut sharers = backlogs.len() as u64;
    for &(backlog, _) in backlogs.iter() {
        let emptied = (backlog - turns) * sharers;
        if emptied > left {
            break;
        }
        left -= emptied;
        turns = backlog;
        sharers -= 1;
    }
    (turns + left / sharers.max(1), left % sharers.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_shared_out_one_by_one_and_nothing_is_lost() {
        assert_eq!(turns(&mut [(9, 0), (9, 1), (9, 2)], 7), (2, 1));
        assert_eq!(turns(&mut [(1, 0), (9, 1), (9, 2)], 8), (3, 1));
        assert_eq!(turns(&mut [(9, 0), (2, 1)], 1), (0, 1));
        for records in 0..30 {
            let mut backlogs = [(3, 0), (10, 1), (5, 2), (12, 3)];
            let (turns, more) = turns(&mut backlogs, records);
            let whole: u64 = backlogs.iter().map(|one| one.0.min(turns)).sum();
            let sharers = backlogs.iter().filter(|one| one.0 > turns).count() as u64;
            assert_eq!(whole + more, records);
            assert!(more <= sharers);
        }
    }

    /// A pod that does a record in five seconds has had its eight partitions in forty, however full
    /// some of them are.
    #[test]
    fn a_slow_pod_serves_its_partitions_in_turn() {
        let setup = Setup {
            partitions: 8,
            per_pod: 0.2,
            ..Setup::default().without_chance()
        };
        let mut partitions = vec![Partition::default(); 8];
        let mut measure = Measure::new(60.0, 100);
        for (number, partition) in partitions.iter_mut().enumerate() {
            partition.arrive(0, 1 + 5 * number as u32);
        }
        let mut pod = Pod::new(0, 0, &setup);
        pod.partitions = (0..8).collect();
        for second in 0..40 {
            pod.work(0.2, second, &setup, &mut partitions, &mut measure);
        }
        let done: Vec<u64> = partitions.iter().map(|partition| partition.done).collect();
        assert_eq!(done, [1; 8]);
    }
}
