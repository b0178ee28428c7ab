//! Bytes of records held: charged when read, refunded when finished.
//!
//! At the budget every partition pauses, at 0.8 of it they read on. Before that, a partition that
//! holds more than its share pauses alone, so that one stuck partition cannot take the room of all:
//! a share is twice what is left of three quarters of the budget (the dynamic thresholds of
//! Choudhury and Hahne, 1998), so n stuck partitions together stay below those three quarters. It reads on when it holds no
//! more than half of its share.

/// Unfinished records that one partition may have, whatever their size: they cost memory beside
/// their bytes.
pub(super) const LANE_RECORDS: usize = 8192;

#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    held: usize,
    /// The largest record so far: what may come next.
    largest: usize,
    full: bool,
    /// When no more than this is held, one of the partitions that are over their share is so no more.
    look_again_at: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: 0,
            largest: 0,
            full: false,
            look_again_at: 0,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// All partitions are to pause.
    pub(super) fn full(&self) -> bool {
        self.full
    }

    /// True if this fills the budget.
    pub(super) fn charge(&mut self, bytes: usize) -> bool {
        self.held += bytes;
        self.largest = self.largest.max(bytes);
        let fills = !self.full && self.held > self.most();
        self.full |= fills;
        fills
    }

    /// True if there is room again.
    pub(super) fn refund(&mut self, bytes: usize) -> bool {
        debug_assert!(bytes <= self.held, "a charge is refunded once");
        self.held = self.held.saturating_sub(bytes);
        let empties = self.full && self.held <= self.most() / 5 * 4;
        self.full &= !empties;
        empties
    }

    /// The most that may be held while reading goes on: room is kept for one more record of the
    /// largest size seen. Past a quarter of the budget that would cost too much: such a record, or
    /// one larger than all before, may pass the budget alone.
    fn most(&self) -> usize {
        self.limit - self.largest.min(self.limit / 4)
    }

    /// A partition that holds `bytes` in `records` holds more than its share.
    pub(super) fn over_share(&self, bytes: usize, records: usize, lanes: usize) -> bool {
        records >= LANE_RECORDS || (lanes > 1 && bytes > self.share())
    }

    /// A partition that was over its share may read on.
    pub(super) fn under_share(&self, bytes: usize, records: usize, lanes: usize) -> bool {
        records <= LANE_RECORDS / 2 && (lanes == 1 || bytes <= self.share() / 2)
    }

    fn share(&self) -> usize {
        self.shared().saturating_sub(self.held) * 2
    }

    /// What all that are over their share may hold together: less than what reading goes on at, or they could keep all others
    /// from it.
    fn shared(&self) -> usize {
        self.most() / 4 * 3
    }

    /// A partition that holds `bytes` is over its share.
    pub(super) fn watch(&mut self, bytes: usize) {
        let at = self.shared().saturating_sub(bytes);
        if at < self.held {
            self.look_again_at = self.look_again_at.max(at);
        }
    }

    /// Enough has been freed to look at all partitions that are over their share, of which those that still are are to be
    /// watched anew.
    pub(super) fn look_again(&mut self) -> bool {
        let again = self.held <= self.look_again_at;
        if again {
            self.look_again_at = 0;
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_before_another_record_of_the_size_seen_would_pass_it() {
        let mut budget = Budget::new(1000);
        for _ in 0..9 {
            assert!(!budget.charge(100));
        }
        assert!(budget.charge(100));
        assert_eq!(budget.held(), 1000);
    }

    #[test]
    fn it_has_room_again_at_four_fifths() {
        let mut budget = Budget::new(1000);
        while !budget.charge(10) {}
        assert_eq!(budget.held(), 1000);
        while !budget.refund(10) {
            assert!(budget.held() >= 800);
        }
        assert_eq!(budget.held(), 790);
        assert!(!budget.full());
    }

    #[test]
    fn a_record_larger_than_the_budget_passes_alone() {
        let mut budget = Budget::new(100);
        assert!(!budget.full());
        assert!(budget.charge(500));
        assert!(budget.refund(500));
        assert!(!budget.charge(10));
    }

    #[test]
    fn stuck_partitions_leave_room_for_others() {
        for stuck in 1..20_usize {
            let mut budget = Budget::new(1_000_000);
            let mut held = vec![0; stuck];
            while let Some(lane) = held
                .iter_mut()
                .find(|h| !budget.over_share(**h, 1, stuck + 1))
            {
                *lane += 100;
                assert!(!budget.charge(100));
            }
            assert!(budget.held() < 780_000, "{stuck}: {}", budget.held());
        }
    }

    #[test]
    fn stuck_partitions_leave_room_for_others_among_which_are_large_records() {
        for stuck in 2..20_usize {
            let mut budget = Budget::new(1_000_000);
            budget.charge(250_000);
            budget.refund(250_000);
            let mut held = vec![0; stuck];
            while let Some(lane) = held
                .iter_mut()
                .find(|h| !budget.over_share(**h, 1, stuck + 1))
            {
                *lane += 100;
                assert!(!budget.charge(100));
            }
            for _ in 0..3 {
                let fills = budget.charge(250_000);
                assert_eq!(budget.refund(250_000), fills, "{stuck}: {}", budget.held());
            }
        }
    }

    #[test]
    fn a_partition_alone_may_use_the_whole_budget() {
        let mut budget = Budget::new(1000);
        assert!(!budget.charge(600));
        assert!(!budget.over_share(600, 5, 1));
        assert!(budget.over_share(600, 5, 2));
        assert!(budget.over_share(1, LANE_RECORDS, 1));
    }
}
