//! What arrives in each partition, second by second: the trace, spread with skew and chance.

use super::random::Random;
use super::trace::{Trace, Walk};

/// Above so many records a count is split by halves of chance, not record by record.
const ONE_BY_ONE: u32 = 300;

/// What arrives, second by second. Does not depend on what becomes of it, so that every policy
/// gets the same.
pub(super) struct Load<'a> {
    walk: Walk<'a>,
    counts: bool,
    /// Each partition's share; they add up to 1.
    weights: Vec<f64>,
    /// Their running sum.
    cumulative: Vec<f64>,
    random: Random,
    /// The rate of `exponents`.
    rate: f64,
    /// For each partition, exp(-expected).
    exponents: Vec<f64>,
}

impl<'a> Load<'a> {
    /// `skew` is the sigma of the partitions' log-normal weights.
    pub(super) fn new(trace: &'a Trace, partitions: usize, skew: f64, seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let drawn: Vec<f64> = (0..partitions).map(|_| random.log_normal(skew)).collect();
        let total: f64 = drawn.iter().sum();
        let weights: Vec<f64> = drawn.iter().map(|weight| weight / total).collect();
        let mut sum = 0.0;
        let cumulative = weights.iter().map(|weight| {
            sum += weight;
            sum
        });
        Self {
            walk: trace.walk(),
            counts: trace.is_counts(),
            cumulative: cumulative.collect(),
            weights,
            random: Random::new(seed, 2),
            rate: f64::NAN,
            exponents: vec![1.0; partitions],
        }
    }

    /// Fills in what arrives in the second that begins at `second`.
    pub(super) fn arrive(&mut self, second: u32, arrivals: &mut [u32]) {
        let rate = self.walk.rate(second);
        if self.counts {
            self.spread(rate.round() as u32, arrivals);
        } else {
            self.independent(rate, arrivals);
        }
    }

    /// Independent arrivals: each partition's are, too.
    fn independent(&mut self, rate: f64, arrivals: &mut [u32]) {
        if rate != self.rate {
            self.rate = rate;
            for (exponent, weight) in self.exponents.iter_mut().zip(&self.weights) {
                *exponent = (-rate * weight).exp();
            }
        }
        if rate < 2.0 {
            // Most partitions get nothing: one draw instead of many.
            let count = self.random.poisson(rate);
            self.one_by_one(count, arrivals);
            return;
        }
        for (partition, arrived) in arrivals.iter_mut().enumerate() {
            let expected = rate * self.weights[partition];
            *arrived = if expected > 30.0 {
                self.random.poisson(expected)
            } else {
                self.random.poisson_from(self.exponents[partition])
            };
        }
    }

    /// Exactly `count` records.
    fn spread(&mut self, count: u32, arrivals: &mut [u32]) {
        if count <= ONE_BY_ONE {
            self.one_by_one(count, arrivals);
            return;
        }
        let (mut left, mut weight) = (count, 1.0);
        for (partition, arrived) in arrivals.iter_mut().enumerate() {
            let share = self.weights[partition] / weight;
            *arrived = if partition + 1 == self.weights.len() {
                left
            } else {
                self.random.binomial(left, share)
            };
            left -= *arrived;
            weight = (weight - self.weights[partition]).max(1e-12);
        }
    }

    fn one_by_one(&mut self, count: u32, arrivals: &mut [u32]) {
        arrivals.fill(0);
        let last = arrivals.len() - 1;
        for _ in 0..count {
            let drawn = self.random.uniform();
            let partition = self.cumulative.partition_point(|&sum| sum <= drawn);
            arrivals[partition.min(last)] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(trace: &Trace, seconds: u32, skew: f64, seed: u64) -> (Vec<u64>, Vec<u64>) {
        let mut load = Load::new(trace, 12, skew, seed);
        let mut arrivals = vec![0; 12];
        let mut by_partition = vec![0; 12];
        let mut by_second = Vec::new();
        for second in 0..seconds {
            load.arrive(second, &mut arrivals);
            by_second.push(arrivals.iter().map(|&n| u64::from(n)).sum());
            for (total, arrived) in by_partition.iter_mut().zip(&arrivals) {
                *total += u64::from(*arrived);
            }
        }
        (by_partition, by_second)
    }

    #[test]
    fn counts_of_seconds_are_replayed_exactly() {
        let trace = Trace::read("0,3\n1,0\n2,5000\n3,250\n").unwrap();
        let (_, by_second) = totals(&trace, 4, 0.25, 1);
        assert_eq!(by_second, [3, 0, 5000, 250]);
    }

    #[test]
    fn rates_come_out_on_average_at_any_size() {
        for rate in [0.5, 20.0, 3000.0] {
            let seconds = 20_000;
            let trace = Trace::constant(rate, f64::from(seconds));
            let (_, by_second) = totals(&trace, seconds, 0.25, 3);
            let mean = by_second.iter().sum::<u64>() as f64 / f64::from(seconds);
            assert!((mean / rate - 1.0).abs() < 0.03, "{rate}: {mean}");
        }
    }

    #[test]
    fn skew_makes_partitions_unequal_and_none_leaves_them_equal() {
        let trace = Trace::constant(500.0, 2000.0);
        let spread = |skew| {
            let (by_partition, _) = totals(&trace, 2000, skew, 5);
            *by_partition.iter().max().unwrap() as f64 / *by_partition.iter().min().unwrap() as f64
        };
        assert!(spread(0.0) < 1.05, "{}", spread(0.0));
        assert!(spread(0.6) > 1.8, "{}", spread(0.6));
    }
}
