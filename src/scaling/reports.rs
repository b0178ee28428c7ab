//! What pods say to have done, added up so that the old fades.

use std::time::Duration;

use jiff::Timestamp;

use super::sample::PodSample;

/// What was done and the time that it took are forgotten at this pace: seconds, or records where
/// those take longer. All pods together change with the handler, one pod differs from the others
/// for as long as its node does.
pub(super) const MEMORY: Memory = Memory {
    seconds: 60.0,
    records: 100.0,
};
pub(super) const MEMORY_LATELY: Memory = Memory {
    seconds: 15.0,
    records: 100.0,
};
const MEMORY_OF_POD: Memory = Memory {
    seconds: 600.0,
    records: 300.0,
};
/// No record takes less time than this, seconds.
const QUICKEST: f64 = 1e-6;

/// A pod's counters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counters {
    /// What was counted.
    pub(super) done: u64,
    pub(super) busy: Duration,
    /// Since when it is known.
    pub(super) since: Timestamp,
    /// It has been at work for long enough to be counted.
    pub(super) tells: bool,
    /// What this pod did of late.
    pub(super) work: Work,
}

impl Counters {
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            done: 0,
            busy: Duration::ZERO,
            since,
            tells: false,
            work: Work::default(),
        }
    }

    /// What the pod has done since it was last counted.
    pub(super) fn fresh(&self, pod: &PodSample) -> Work {
        let records = (pod.done - self.done) as f64;
        Work {
            done: records,
            busy: (pod.busy - self.busy).as_secs_f64(),
            slots: records * f64::from(pod.slots.max(1)),
        }
    }

    /// The same, and counts it.
    pub(super) fn count(&mut self, pod: &PodSample, elapsed: f64) -> Work {
        let more = self.fresh(pod);
        (self.done, self.busy) = (pod.done, pod.busy);
        self.work.add(&more, elapsed, &MEMORY_OF_POD);
        more
    }
}

/// How fast work done is forgotten.
pub(super) struct Memory {
    pub(super) seconds: f64,
    pub(super) records: f64,
}

/// Work done of late: all fades.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Work {
    /// Records.
    pub(super) done: f64,
    /// Seconds inside the handler.
    pub(super) busy: f64,
    /// Records, each times the slots of its pod.
    pub(super) slots: f64,
}

impl Work {
    pub(super) fn add(&mut self, more: &Self, elapsed: f64, memory: &Memory) {
        let fade = (-(elapsed / memory.seconds).min(more.done / memory.records)).exp();
        self.done = self.done * fade + more.done;
        self.busy = self.busy * fade + more.busy;
        self.slots = self.slots * fade + more.slots;
    }

    pub(super) fn join(&mut self, more: &Self) {
        self.done += more.done;
        self.busy += more.busy;
        self.slots += more.slots;
    }

    /// Records per second that a pod can do, by this.
    pub(super) fn rate(&self) -> Option<f64> {
        let Self { done, busy, slots } = *self;
        let enough = (done >= 10.0 && busy >= 1.0) || (done >= 1.0 && busy >= 10.0);
        // Handlers faster than the clock's grain are measured too, by many records. Nothing is done
        // in no time, though: whoever reports that does not measure it.
        let believed = busy >= done * QUICKEST;
        (believed && (enough || done >= 1000.0)).then(|| slots / busy)
    }
}
