//! A partition: records in order, each done once.

use std::collections::VecDeque;

use super::measure::Measure;

/// Records of one second.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    second: u32,
    count: u32,
}

/// A partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Partition {
    /// Records that ever arrived,
    pub(super) end: u64,
    /// of which so many are done,
    pub(super) done: u64,
    /// and so many are committed.
    pub(super) committed: u64,
    /// Not all done, oldest first.
    queue: VecDeque<Arrived>,
    /// Done of the first of them.
    of_first: u32,
    /// Nobody works on it before this second.
    pub(super) rests_until: u32,
    /// Nothing gets past its next record.
    pub(super) stuck: bool,
    /// It was stuck, and what had waited since then is not yet done: that is nobody's fault.
    pub(super) excused: bool,
    /// The pod that committed last, and when.
    pub(super) pod: Option<usize>,
    pub(super) committed_at: u32,
}

/// How fast a pod went on with a partition within a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The second.
    pub(super) second: u32,
    /// Seconds that a record is in the handler.
    pub(super) handling: f64,
    /// The pod had more to do than it could.
    pub(super) saturated: bool,
}

impl Partition {
    pub(super) fn arrive(&mut self, second: u32, count: u32) {
        if count > 0 {
            self.end += u64::from(count);
            self.queue.push_back(Arrived { second, count });
        }
    }

    pub(super) fn backlog(&self) -> u64 {
        self.end - self.done
    }

    /// How long the oldest record has waited at the end of `second`; 0 where none waits.
    pub(super) fn waited(&self, second: u32) -> f64 {
        self.queue.front().map_or(0.0, |first| {
            let into = f64::from(self.of_first) / f64::from(first.count);
            f64::from(second + 1 - first.second) - into
        })
    }

    /// The next `count` records are done.
    pub(super) fn work(&mut self, count: u64, pace: Pace, measure: &mut Measure) {
        let waited = self
            .queue
            .front()
            .is_some_and(|first| first.second < pace.second);
        let mut left = count;
        let mut before = 0;
        while left > 0 {
            let Some(first) = self.queue.front() else {
                break;
            };
            let taken = left.min(u64::from(first.count - self.of_first)) as u32;
            if !self.excused {
                let delay = if pace.saturated || waited {
                    // Both arrivals and work are spread evenly over their second.
                    let middle = f64::from(taken) / 2.0;
                    let finished = (before as f64 + middle) / count as f64;
                    let arrived = (f64::from(self.of_first) + middle) / f64::from(first.count);
                    f64::from(pace.second - first.second) + finished - arrived
                } else {
                    0.0
                };
                measure.done(delay.max(pace.handling), u64::from(taken));
            }
            before += u64::from(taken);
            left -= u64::from(taken);
            self.of_first += taken;
            if self.of_first == first.count {
                self.queue.pop_front();
                self.of_first = 0;
            }
        }
        self.done += before;
        if self.excused && !self.stuck && self.queue.is_empty() {
            self.excused = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(second: u32) -> Pace {
        Pace {
            second,
            handling: 0.01,
            saturated: true,
        }
    }

    #[test]
    fn records_are_done_in_order_and_each_waits_from_its_own_second() {
        let mut partition = Partition::default();
        let mut measure = Measure::new(5.0, 100);
        partition.arrive(0, 4);
        partition.arrive(3, 2);
        assert_eq!((partition.backlog(), partition.waited(3)), (6, 4.0));
        // Half of the first second's are done in second 8, and are late; the rest in second 9.
        partition.work(2, pace(8), &mut measure);
        assert_eq!((partition.backlog(), partition.waited(8)), (4, 8.5));
        partition.work(4, pace(9), &mut measure);
        assert_eq!((partition.backlog(), partition.waited(9)), (0, 0.0));
        let (figures, _) = measure.close(0, 0);
        assert_eq!(figures.done, 6);
        // 8.25 s for the first two; 8.5 s and 6.25 s for the next ones, after their places in both seconds.
        assert!((figures.worst - 8.5).abs() < 0.2, "{figures:?}");
        assert!((figures.p50 - 8.25).abs() < 0.2, "{figures:?}");
        assert_eq!(figures.share_late, 1.0);
    }

    #[test]
    fn work_beyond_what_there_is_does_nothing() {
        let mut partition = Partition::default();
        let mut measure = Measure::new(5.0, 100);
        partition.arrive(0, 3);
        partition.work(9, pace(0), &mut measure);
        assert_eq!((partition.done, partition.end), (3, 3));
        assert!(partition.waited(0) == 0.0);
    }
}
