//! KEDA's trigger `kafka`: from offsets to the one number that the HPA gets.
//!
//! After `kafka_scaler.go` of KEDA 2.20, quirks included.

use super::hpa::Target;

/// `metadata` of a trigger of type `kafka`; the defaults are KEDA's.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// `lagThreshold`.
    pub lag_threshold: u64,
    /// `activationLagThreshold`.
    pub activation_lag_threshold: u64,
    /// `offsetResetPolicy: earliest`.
    pub earliest: bool,
    /// `allowIdleConsumers`.
    pub allow_idle_consumers: bool,
    /// `limitToPartitionsWithLag`.
    pub limit_to_partitions_with_lag: bool,
    /// `ensureEvenDistributionOfPartitions`.
    pub even_distribution: bool,
    /// `excludePersistentLag`.
    pub exclude_persistent_lag: bool,
    /// `scaleToZeroOnInvalidOffset`.
    pub zero_on_invalid_offset: bool,
    /// Of a partition without a commit only what Kafka still has counts: KEDA 2.21.
    pub since_2_21: bool,
}

impl Default for Trigger {
    fn default() -> Self {
        Self {
            lag_threshold: 10,
            activation_lag_threshold: 0,
            earliest: false,
            allow_idle_consumers: false,
            limit_to_partitions_with_lag: false,
            even_distribution: false,
            exclude_persistent_lag: false,
            zero_on_invalid_offset: false,
            since_2_21: false,
        }
    }
}

/// A partition's offsets as KEDA reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The log's end; none where the answer lacks it.
    pub end: Option<i64>,
    /// The log's start; none where the question failed.
    pub start: Option<i64>,
    /// What the group has committed.
    pub committed: Option<i64>,
}

/// What one reading gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The metric for the HPA.
    pub metric: f64,
    /// Whether there is work at all.
    pub active: bool,
}

/// A trigger at work. It remembers commits from call to call, for `excludePersistentLag`.
#[derive(Clone, Debug, PartialEq)]
pub struct LagScaler {
    trigger: Trigger,
    previous: Vec<Option<i64>>,
}

impl LagScaler {
    /// A scaler that was just built.
    pub fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            previous: Vec::new(),
        }
    }

    /// What a metric of this trigger is held against.
    pub fn target(&self) -> Target {
        Target::AverageValue(self.trigger.lag_threshold as f64)
    }

    /// After an error the scaler is built anew: what it remembered is gone.
    pub fn rebuild(&mut self) {
        self.previous.clear();
    }

    /// One call.
    pub fn read(&mut self, partitions: &[Offsets]) -> Reading {
        let (mut lag, mut lag_for_activation) = (0_i64, 0_i64);
        let mut lagging = 0;
        self.previous.resize(partitions.len(), None);
        for (number, offsets) in partitions.iter().enumerate() {
            let (for_scaling, for_activation) = self.of_partition(number, offsets);
            lag += for_scaling;
            lag_for_activation += for_activation;
            lagging += i64::from(for_scaling > 0);
        }
        let capped = self.cap(lag, partitions.len() as i64, lagging);
        Reading {
            metric: capped.max(0) as f64,
            active: lag_for_activation > self.trigger.activation_lag_threshold as i64,
        }
    }

    /// For scaling, and for activation. Neither is clamped: a committed offset beyond the end
    /// lowers the sum.
    fn of_partition(&mut self, number: usize, offsets: &Offsets) -> (i64, i64) {
        let trigger = &self.trigger;
        let Some(committed) = offsets.committed else {
            let lag = match (trigger.zero_on_invalid_offset, trigger.earliest) {
                (true, _) => 0,
                (false, false) => 1,
                (false, true) => {
                    let start = offsets.start.filter(|_| trigger.since_2_21).unwrap_or(0);
                    offsets.end.map_or(0, |end| end - start)
                }
            };
            return (lag, lag);
        };
        let Some(end) = offsets.end else {
            return (0, 0);
        };
        let lag = end - committed;
        if trigger.exclude_persistent_lag
            && self.previous[number].replace(committed) == Some(committed)
        {
            return (0, lag);
        }
        (lag, lag)
    }

    fn cap(&self, lag: i64, partitions: i64, lagging: i64) -> i64 {
        let trigger = &self.trigger;
        let threshold = trigger.lag_threshold.max(1) as i64;
        let capped = !trigger.allow_idle_consumers
            || trigger.limit_to_partitions_with_lag
            || trigger.even_distribution;
        if !capped {
            return lag;
        }
        let mut lag = lag;
        if trigger.even_distribution {
            let divisors = (1..=partitions).filter(|d| partitions % d == 0);
            let mut enough = divisors.filter(|d| d * threshold >= lag);
            lag = enough.next().unwrap_or(partitions) * threshold;
        }
        let bound = if trigger.limit_to_partitions_with_lag {
            lagging
        } else {
            partitions
        };
        // Whole division: up to threshold - 1 records more pass, and ask for one pod more.
        if lag / threshold > bound {
            lag = bound * threshold;
        }
        lag
    }
}
