//! How fast records may be delivered, where the user limits the whole fleet.
//!
//! Nobody hands out leave: each pod takes the share of the rate that it has of the partitions. A partition
//! has one owner at a time, so the shares never come to more than the whole, through every rebalance; and
//! nothing has to be agreed on, so nothing can be away.

use std::time::Duration;

/// Leave that was not used is kept for so long: a fleet that had nothing to do may not make up for it.
const KEPT: Duration = Duration::from_millis(100);
/// And for so long where runs of records stay together, which then wait for leave for as many as that.
const KEPT_FOR_RUNS: Duration = Duration::from_secs(1);

/// Records within a time, at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// So many of the whole fleet,
    pub records: u32,
    /// within this.
    pub per: Duration,
}

impl RateLimit {
    /// Records a second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.records) / self.per.as_secs_f64().max(1e-3)
    }
}

/// The pod's share of the limit, and what is left of it.
#[derive(Debug)]
pub(super) struct Pace {
    limit: RateLimit,
    /// Partitions of all topics; none until somebody has said.
    partitions: Option<usize>,
    /// Partitions of this pod.
    own: usize,
    /// Records that stay together at most.
    run: usize,
    /// Records that may be delivered now.
    leave: f64,
    counted: Duration,
}

impl Pace {
    pub(super) fn new(limit: RateLimit, run: usize) -> Self {
        Self {
            limit,
            run,
            partitions: None,
            own: 0,
            leave: 0.0,
            counted: Duration::ZERO,
        }
    }

    /// Records a second that this pod may deliver; none until it is known how many partitions there are.
    pub(super) fn share(&self) -> Option<f64> {
        // A topic that has just grown may have given us more than was counted.
        let all = self.partitions?.max(self.own).max(1);
        Some(self.limit.per_second() * self.own as f64 / all as f64)
    }

    /// All topics together have so many partitions.
    pub(super) fn partitions_are(&mut self, partitions: usize, now: Duration) {
        self.count(now);
        self.partitions = Some(partitions);
    }

    /// The pod has so many of them.
    pub(super) fn own_are(&mut self, own: usize, now: Duration) {
        if self.own != own {
            self.count(now);
            self.own = own;
        }
    }

    /// Whether a record may be delivered, or a run begin.
    pub(super) fn allows(&mut self, now: Duration) -> bool {
        self.count(now);
        self.leave >= self.needed()
    }

    /// Whether the run that has begun may go on: what is left of it is a run of its own.
    pub(super) fn allows_more(&self) -> bool {
        self.leave >= 1.0
    }

    /// Leave that it takes to begin: runs wait until it is for a run, or as much as is kept.
    fn needed(&self) -> f64 {
        (self.run as f64).min(self.most()).floor().max(1.0)
    }

    fn most(&self) -> f64 {
        let kept = if self.run > 1 { KEPT_FOR_RUNS } else { KEPT };
        (self.share().unwrap_or(0.0) * kept.as_secs_f64()).max(1.0)
    }

    pub(super) fn start(&mut self) {
        self.leave -= 1.0;
    }

    /// When the next record may be delivered; none while nobody can say.
    pub(super) fn next(&self) -> Option<Duration> {
        let share = self.share().filter(|share| *share > 0.0)?;
        let seconds = (self.needed() - self.leave).max(0.0) / share;
        // Not a moment too early, or the wait would be for nothing.
        let wait = Duration::try_from_secs_f64(seconds).ok()? + Duration::from_micros(1);
        self.counted.checked_add(wait)
    }

    fn count(&mut self, now: Duration) {
        let share = self.share().unwrap_or(0.0);
        let elapsed = now.saturating_sub(self.counted).as_secs_f64();
        self.leave = (self.leave + share * elapsed).min(self.most());
        self.counted = self.counted.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(records: u32, per: Duration) -> RateLimit {
        RateLimit { records, per }
    }

    /// Deliveries of a pod that always has something to do, until `until`.
    fn deliveries(pace: &mut Pace, from: Duration, until: Duration) -> usize {
        let (mut now, mut count) = (from, 0);
        loop {
            if pace.allows(now) {
                let most = pace.run.max(1);
                pace.start();
                count += 1;
                for _ in 1..most {
                    if !pace.allows_more() {
                        break;
                    }
                    pace.start();
                    count += 1;
                }
                continue;
            }
            match pace.next() {
                Some(next) if next < until => now = next.max(now),
                _ => return count,
            }
        }
    }

    #[test]
    fn a_pod_has_the_share_of_its_partitions() {
        let mut pace = Pace::new(limit(100, SECOND), 1);
        pace.partitions_are(12, Duration::ZERO);
        pace.own_are(3, Duration::ZERO);
        assert_eq!(pace.share(), Some(25.0));
        let count = deliveries(&mut pace, Duration::ZERO, 60 * SECOND);
        assert!((1490..=1500).contains(&count), "{count}");
    }

    #[test]
    fn nothing_is_delivered_before_the_share_is_known() {
        let mut pace = Pace::new(limit(100, SECOND), 1);
        pace.own_are(3, Duration::ZERO);
        assert!(!pace.allows(60 * SECOND));
        assert_eq!(pace.next(), None, "only news can change it");
        pace.partitions_are(3, 60 * SECOND);
        assert!(!pace.allows(60 * SECOND), "it begins with nothing");
        assert!(pace.allows(61 * SECOND));
    }

    #[test]
    fn a_pod_without_partitions_has_none_of_it() {
        let mut pace = Pace::new(limit(100, SECOND), 1);
        pace.partitions_are(12, Duration::ZERO);
        assert_eq!(pace.share(), Some(0.0));
        assert!(!pace.allows(60 * SECOND));
        assert_eq!(pace.next(), None);
    }

    #[test]
    fn what_was_not_used_is_not_made_up_for() {
        let mut pace = Pace::new(limit(100, SECOND), 1);
        pace.partitions_are(1, Duration::ZERO);
        pace.own_are(1, Duration::ZERO);
        let mut at_once = 0;
        while pace.allows(3600 * SECOND) {
            pace.start();
            at_once += 1;
        }
        assert_eq!(at_once, 10, "a tenth of a second's");
    }

    /// What had to stay together would be a debt that ends with the pod: each new one would begin another.
    #[test]
    fn a_run_waits_for_its_leave_and_leaves_no_debt() {
        let mut pace = Pace::new(limit(20, SECOND), 500);
        pace.partitions_are(12, Duration::ZERO);
        pace.own_are(6, Duration::ZERO);
        assert!(!pace.allows(SECOND / 2), "five of ten");
        assert!(pace.allows(SECOND));
        let mut run = 0;
        while pace.allows_more() {
            pace.start();
            run += 1;
        }
        assert_eq!(run, 10, "a second's worth of half the limit");
        assert!(!pace.allows(SECOND));
        assert!(pace.next() > Some(2 * SECOND - Duration::from_millis(1)));
    }

    #[test]
    fn a_few_an_hour_are_a_few_an_hour() {
        let hour = 3600 * SECOND;
        let mut pace = Pace::new(limit(6, hour), 1);
        pace.partitions_are(12, Duration::ZERO);
        pace.own_are(12, Duration::ZERO);
        assert_eq!(deliveries(&mut pace, Duration::ZERO, hour + SECOND), 6);
    }

    proptest! {
        /// However partitions move between pods, all together deliver no more in any time than the
        /// limit, and what each pod may have kept.
        #[test]
        fn pods_together_keep_the_limit(
            records in 1_u32..2000,
            run in 1_usize..600,
            moves in prop::collection::vec((0_usize..4, 0_usize..4, 1_u64..20_000), 1..40),
        ) {
            let limit = limit(records, SECOND);
            let mut own = [12_usize, 0, 0, 0];
            let mut pods: Vec<_> = own.iter().map(|&own| {
                let mut pace = Pace::new(limit, run);
                pace.partitions_are(12, Duration::ZERO);
                pace.own_are(own, Duration::ZERO);
                pace
            }).collect();
            let (mut now, mut delivered) = (Duration::ZERO, 0);
            for (from, to, millis) in moves {
                let until = now + Duration::from_millis(millis);
                for pace in &mut pods {
                    delivered += deliveries(pace, now, until);
                }
                now = until;
                let given = own[from].min(3);
                own[from] -= given;
                own[to] += given;
                for (pace, own) in pods.iter_mut().zip(own) {
                    pace.own_are(own, now);
                }
            }
            let kept = if run > 1 { KEPT_FOR_RUNS } else { KEPT };
            let kept = f64::from(records) * kept.as_secs_f64() + 4.0;
            let most = f64::from(records) * now.as_secs_f64() + kept;
            prop_assert!(delivered as f64 <= most, "{delivered} of {most}");
        }
    }
}
