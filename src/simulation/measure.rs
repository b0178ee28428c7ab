//! What became of a run: the figures that policies are compared by.

use serde::Serialize;

/// Points that a run is drawn with, at most.
const POINTS: u32 = 1200;

/// The figures of one run. Times are seconds unless the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// From the creation of each pod to its end.
    pub pod_hours: f64,
    /// Seconds in which any partition's oldest record had waited for longer than promised.
    pub seconds_over: u64,
    /// The same as a share of all seconds.
    pub share_over: f64,
    /// Records done later than promised, as a share of all.
    pub share_late: f64,
    /// Half of the records were done so soon after their arrival,
    pub p50: f64,
    /// 99 of 100,
    pub p99: f64,
    /// 999 of 1000,
    pub p999: f64,
    /// and all.
    pub worst: f64,
    /// Changes of the group's members; those within one pause count once.
    pub rebalances: u64,
    /// Partitions that changed their pod.
    pub moved: u64,
    /// Orders that changed the size.
    pub orders: u64,
    /// The most pods at once.
    pub peak: u32,
    /// Records that arrived,
    pub arrived: u64,
    /// were done,
    pub done: u64,
    /// and still wait at the end.
    pub left: u64,
    /// Pod-hours with a price on broken promises (20 pod-seconds each second) and on rebalances
    /// (60 pod-seconds each): one number to search by, not to compare by.
    pub score: f64,
}

/// A change of the size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Seconds from the beginning.
    pub at: f64,
    /// The size before,
    pub from: u32,
    /// and after.
    pub to: u32,
    /// Why, in the policy's words.
    pub why: String,
}

/// A run over time, in equal steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Course {
    /// Seconds from point to point.
    pub step: u32,
    /// Records that arrived per second: the mean of each step.
    pub arrivals: Vec<f64>,
    /// Records that waited: the most in each step.
    pub lag: Vec<u64>,
    /// How long the oldest record had waited, seconds: the most in each step.
    pub delay: Vec<f64>,
    /// Pods ordered: the most in each step.
    pub replicas: Vec<u32>,
}

/// What one second was like.
pub(super) struct Second {
    pub(super) arrived: u64,
    pub(super) lag: u64,
    /// How long the oldest record has waited.
    pub(super) delay: f64,
    /// Pods that are paid for.
    pub(super) pods: u32,
    pub(super) replicas: u32,
}

/// Collects a run's figures.
pub(super) struct Measure {
    promise: f64,
    delays: Histogram,
    late: u64,
    pod_seconds: u64,
    over: u64,
    seconds: u64,
    pub(super) rebalances: u64,
    pub(super) moved: u64,
    peak: u32,
    arrived: u64,
    course: Course,
    /// Seconds in the current point.
    filled: u32,
}

impl Measure {
    pub(super) fn new(promise: f64, length: u32) -> Self {
        Self {
            promise,
            delays: Histogram::default(),
            late: 0,
            pod_seconds: 0,
            over: 0,
            seconds: 0,
            rebalances: 0,
            moved: 0,
            peak: 0,
            arrived: 0,
            course: Course {
                step: length.div_ceil(POINTS).max(1),
                ..Course::default()
            },
            filled: 0,
        }
    }

    /// `count` records were done `delay` seconds after their arrival.
    pub(super) fn done(&mut self, delay: f64, count: u64) {
        self.delays.add(delay, count);
        if delay > self.promise {
            self.late += count;
        }
    }

    /// A second has gone by.
    pub(super) fn second(&mut self, second: &Second) {
        self.seconds += 1;
        self.arrived += second.arrived;
        self.pod_seconds += u64::from(second.pods);
        self.over += u64::from(second.delay > self.promise);
        self.peak = self.peak.max(second.pods);

        let course = &mut self.course;
        if self.filled == 0 {
            course.arrivals.push(0.0);
            course.lag.push(0);
            course.delay.push(0.0);
            course.replicas.push(0);
        }
        let last = course.lag.len() - 1;
        course.arrivals[last] += second.arrived as f64 / f64::from(course.step);
        course.lag[last] = course.lag[last].max(second.lag);
        course.delay[last] = course.delay[last].max(second.delay);
        course.replicas[last] = course.replicas[last].max(second.replicas);
        self.filled = (self.filled + 1) % course.step;
    }

    pub(super) fn close(mut self, orders: u64, left: u64) -> (Figures, Course) {
        if self.filled > 0
            && let Some(last) = self.course.arrivals.last_mut()
        {
            *last *= f64::from(self.course.step) / f64::from(self.filled);
        }
        let done = self.delays.count;
        let pod_hours = self.pod_seconds as f64 / 3600.0;
        let price = 20.0 * self.over as f64 + 60.0 * self.rebalances as f64;
        let figures = Figures {
            pod_hours,
            seconds_over: self.over,
            share_over: self.over as f64 / (self.seconds as f64).max(1.0),
            share_late: self.late as f64 / (done as f64).max(1.0),
            p50: self.delays.quantile(0.5),
            p99: self.delays.quantile(0.99),
            p999: self.delays.quantile(0.999),
            worst: self.delays.quantile(1.0),
            rebalances: self.rebalances,
            moved: self.moved,
            orders,
            peak: self.peak,
            arrived: self.arrived,
            done,
            left,
            score: pod_hours + price / 3600.0,
        };
        (figures, self.course)
    }
}

/// Bits of a value that are kept: one part in 64 is precise enough.
const PRECISION: u32 = 6;

/// Delays by count; each is kept to one part in 64, in hundredths of a second at best.
#[derive(Default)]
struct Histogram {
    counts: Vec<u64>,
    count: u64,
}

impl Histogram {
    fn add(&mut self, delay: f64, count: u64) {
        let bin = Self::bin((delay * 100.0).max(0.0) as u64);
        if bin >= self.counts.len() {
            self.counts.resize(bin + 1, 0);
        }
        self.counts[bin] += count;
        self.count += count;
    }

    fn bin(value: u64) -> usize {
        let bits = 64 - value.leading_zeros();
        let shift = bits.saturating_sub(PRECISION + 1);
        ((u64::from(shift) << PRECISION) + (value >> shift)) as usize
    }

    /// The middle of a bin, seconds.
    fn value(bin: usize) -> f64 {
        let bin = bin as u64;
        let shift = (bin >> PRECISION).saturating_sub(1);
        let low = (bin - (shift << PRECISION)) << shift;
        (low as f64 + (1_u64 << shift) as f64 / 2.0) / 100.0
    }

    fn quantile(&self, q: f64) -> f64 {
        let wanted = (self.count as f64 * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bin, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Self::value(bin);
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_part_in_64_over_six_decades() {
        let mut delays = Histogram::default();
        for hundredth in 1..=1_000_000_u64 {
            delays.add(hundredth as f64 / 100.0, 1);
        }
        for q in [0.001, 0.01, 0.5, 0.99, 0.999, 1.0] {
            let exact = 10_000.0 * q;
            let found = delays.quantile(q);
            assert!((found / exact - 1.0).abs() < 1.0 / 64.0, "{q}: {found}");
        }
        assert_eq!(Histogram::default().quantile(0.5), 0.0);
    }

    #[test]
    fn every_bin_is_its_own_values_bin() {
        for bin in 0..2000 {
            let value = (Histogram::value(bin) * 100.0) as u64;
            assert_eq!(Histogram::bin(value), bin, "{value}");
        }
    }

    #[test]
    fn a_course_has_the_mean_of_arrivals_and_the_most_of_the_rest() {
        let mut measure = Measure::new(10.0, 2400);
        for second in 0..3_u64 {
            measure.second(&Second {
                arrived: second,
                lag: 10 - second,
                delay: 9.5 + second as f64,
                pods: 2,
                replicas: 1 + second as u32,
            });
        }
        let (figures, course) = measure.close(0, 8);
        assert_eq!(course.step, 2);
        assert_eq!(course.arrivals, [0.5, 2.0]);
        assert_eq!(course.lag, [10, 8]);
        assert_eq!(course.delay, [10.5, 11.5]);
        assert_eq!(course.replicas, [2, 3]);
        assert_eq!((figures.seconds_over, figures.peak), (2, 2));
        assert_eq!(figures.pod_hours, 6.0 / 3600.0);
    }
}
