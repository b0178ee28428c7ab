//! Offsets that are no records: what marks the end of a transaction, or was taken away by compaction.
//!
//! What arrives and what is done is told by offsets, and what a pod can do by the records that it reports. Where each record
//! takes two offsets a pod does twice as many of those. So what pods commit is held against what they say to have done in
//! the same time.

use std::collections::VecDeque;

/// A stretch says something after so many seconds, and so many records, or so many for each that may be in hand: those are
/// committed sooner or later than they are told.
const SECONDS: f64 = 30.0;
const RECORDS: f64 = 100.0;
const IN_HAND: f64 = 10.0;
/// The first says it at once, or pods would be ordered meanwhile, and those after it as soon as it would be wrong.
const AT_ONCE: f64 = 4.0;
const SOON: f64 = 15.0;
/// Of so many stretches the one with the fewest counts: that offsets were set by hand, or that commits were held up, is of
/// one or two of them.
const STRETCHES: usize = 3;
/// Less than this is no gap, but records that were told and committed at other times,
const CLEARLY: f64 = 1.05;
/// and more are none either.
const MOST: f64 = 64.0;

/// How many offsets a record takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spacing {
    now: Stretch,
    /// Offsets of a record in the stretches before.
    shown: VecDeque<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Stretch {
    seconds: f64,
    offsets: f64,
    records: f64,
}

impl Spacing {
    /// Offsets that a record takes: 1 where it is not clearly more, or not known.
    pub(super) fn per_record(&self) -> f64 {
        let soon = match self.shown.len() {
            0 => AT_ONCE,
            few if few < STRETCHES => SOON,
            _ => f64::INFINITY,
        };
        let now = Some(&self.now).filter(|now| now.seconds >= soon && now.records >= RECORDS);
        let now = now.map(Stretch::per_record);
        let least = now.into_iter().chain(self.shown.iter().copied());
        match least.reduce(f64::min) {
            Some(least) if least >= CLEARLY => least.min(MOST),
            _ => 1.0,
        }
    }

    /// In so many seconds pods of so many slots have committed so many offsets, and told so many records.
    pub(super) fn add(&mut self, seconds: f64, offsets: f64, records: f64, slots: f64) {
        let now = &mut self.now;
        now.seconds += seconds;
        now.offsets += offsets;
        now.records += records;
        if now.seconds < SECONDS || now.records < RECORDS.max(IN_HAND * slots) {
            return;
        }
        self.shown.push_back(std::mem::take(now).per_record());
        if self.shown.len() > STRETCHES {
            self.shown.pop_front();
        }
    }
}

impl Stretch {
    fn per_record(&self) -> f64 {
        self.offsets / self.records.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks each 5 s, with 500 records in each.
    fn after(offsets: &[f64]) -> f64 {
        let mut spacing = Spacing::default();
        for &offsets in offsets {
            spacing.add(5.0, offsets, 500.0, 16.0);
        }
        spacing.per_record()
    }

    #[test]
    fn what_records_take_shows_within_some_seconds_and_what_was_set_by_hand_does_not_count() {
        let markers = [1000.0; 40];
        assert_eq!(after(&markers[..1]), 2.0);
        assert_eq!(after(&markers), 2.0);
        assert_eq!(after(&[520.0; 40]), 1.0, "that is no gap");
        assert_eq!(after(&[300.0; 40]), 1.0, "records that were done twice");
        let mut skipped = [500.0; 40];
        for late in 20..40 {
            skipped[late] = 1e6;
            assert_eq!(after(&skipped[..=late]), 1.0, "at {late}");
            skipped[late] = 500.0;
        }
        // After a compacted past.
        let tail: Vec<f64> = markers.into_iter().chain([500.0; 12]).collect();
        assert_eq!(after(&tail), 1.0);
    }

    #[test]
    fn slow_records_that_are_in_hand_are_no_gap() {
        let mut spacing = Spacing::default();
        for look in 0..20 {
            // All that is in hand is committed at once.
            let offsets = if look % 2 == 0 { 160.0 } else { 0.0 };
            spacing.add(5.0, offsets, 80.0, 160.0);
        }
        assert_eq!(spacing.per_record(), 1.0);
    }
}
