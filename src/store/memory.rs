//! The store in the worker's own memory: it knows again what this worker has handled since it
//! began, and nothing else.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Monotonic;
use crate::idempotency::{self, Claimed, Entry, Holder};

/// Claims beyond this many that nobody gave back are looked through for those that have run out.
const FORGOTTEN: usize = 4096;
/// But not sooner after the last time, unless there are twice as many.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Memory {
    clock: Monotonic,
    most: usize,
    held: RefCell<Held>,
}

#[derive(Default)]
struct Held {
    entries: HashMap<Rc<str>, Entry>,
    /// Marks, the oldest first; all stay equally long.
    marks: VecDeque<(Duration, Rc<str>)>,
    /// Claims that were left when they were looked through last, and when that was: they are again when there are twice as
    /// many, or a second later, so that what a claim costs does not grow with how many there are.
    left: usize,
    looked: Duration,
}

impl Memory {
    pub(super) fn new(most: usize, clock: Monotonic) -> Self {
        Self {
            clock,
            most,
            held: RefCell::default(),
        }
    }

    pub(super) fn claim(&self, key: &str, holder: &Holder, lease: Duration) -> Claimed {
        self.claim_at(key, holder, lease, self.clock.elapsed())
    }

    pub(super) fn confirm(&self, key: &str, holder: &Holder, retention: Duration) -> bool {
        self.confirm_at(key, holder, retention, self.clock.elapsed())
    }

    pub(super) fn release(&self, key: &str, holder: &Holder) {
        let mut held = self.held.borrow_mut();
        if idempotency::release(held.entries.get(key), holder) {
            held.entries.remove(key);
        }
    }

    fn claim_at(&self, key: &str, holder: &Holder, lease: Duration, now: Duration) -> Claimed {
        let mut held = self.held.borrow_mut();
        held.forget(self.most, now);
        let (claimed, entry) = idempotency::claim(held.entries.get(key), holder, lease, now);
        if let Some(entry) = entry {
            held.entries.insert(key.into(), entry);
        }
        claimed
    }

    fn confirm_at(&self, key: &str, holder: &Holder, retention: Duration, now: Duration) -> bool {
        let mut held = self.held.borrow_mut();
        let (ours, entry) = idempotency::confirm(held.entries.get(key), holder, retention, now);
        let key: Rc<str> = key.into();
        held.marks.push_back((entry.until, Rc::clone(&key)));
        held.entries.insert(key, entry);
        held.forget(self.most, now);
        ours
    }
}

impl Held {
    fn forget(&mut self, most: usize, now: Duration) {
        while let Some((until, key)) = self.marks.front() {
            if *until > now && self.marks.len() <= most {
                break;
            }
            // One that was marked again later stays.
            let this_mark = |entry: &Entry| entry.done && entry.until == *until;
            if self.entries.get(key).is_some_and(this_mark) {
                self.entries.remove(key);
            }
            self.marks.pop_front();
        }
        let claims = self.entries.len().saturating_sub(self.marks.len());
        let often_enough = claims <= 2 * self.left && now.saturating_sub(self.looked) < LOOK_AGAIN;
        if claims > FORGOTTEN && !often_enough {
            self.looked = now;
            self.entries.retain(|_, entry| !entry.is_over(now));
            self.left = self.entries.len().saturating_sub(self.marks.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEASE: Duration = Duration::from_secs(40);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn memory(most: usize) -> Memory {
        Memory::new(most, Monotonic::start())
    }

    fn holder(delivery: &str, attempt: u64) -> Holder {
        Holder {
            delivery: delivery.to_owned(),
            attempt,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_oldest_mark_is_forgotten_first_and_claims_never() {
        let memory = memory(2);
        memory.claim_at("held", &holder("a", 1), LEASE, at(0));
        for key in ["1", "2", "3"] {
            memory.claim_at(key, &holder("a", 1), LEASE, at(1));
            memory.confirm_at(key, &holder("a", 1), DAY, at(1));
        }
        let other = holder("b", 1);
        assert_eq!(memory.claim_at("1", &other, LEASE, at(2)), Claimed::Ours);
        assert_eq!(memory.claim_at("2", &other, LEASE, at(2)), Claimed::Done);
        assert_eq!(memory.claim_at("3", &other, LEASE, at(2)), Claimed::Done);
        let left = at(38);
        assert_eq!(
            memory.claim_at("held", &other, LEASE, at(2)),
            Claimed::Held { left }
        );
    }

    #[test]
    fn what_has_run_out_takes_no_memory() {
        let memory = memory(100_000);
        for key in 0..10_000 {
            let key = key.to_string();
            memory.claim_at(&key, &holder("a", 1), LEASE, at(0));
            memory.confirm_at(&key, &holder("a", 1), DAY, at(0));
            memory.claim_at(&format!("left {key}"), &holder("a", 1), LEASE, at(0));
        }
        memory.claim_at("later", &holder("a", 1), LEASE, at(48 * 3600));
        let held = memory.held.borrow();
        assert_eq!((held.entries.len(), held.marks.len()), (1, 0));
    }

    #[test]
    fn many_claims_at_once_are_seldom_looked_through() {
        let memory = memory(100_000);
        let mut looks = 0;
        let mut left = 0;
        for key in 0..50_000 {
            memory.claim_at(&key.to_string(), &holder("a", 1), LEASE, at(0));
            let now = memory.held.borrow().left;
            looks += usize::from(now != left);
            left = now;
        }
        assert!((1..=5).contains(&looks), "{looks} looks");
        memory.claim_at("later", &holder("a", 1), LEASE, at(3600));
        for key in 0..100_000 {
            memory.claim_at(&format!("new {key}"), &holder("a", 1), LEASE, at(3600));
        }
        assert!(
            memory.held.borrow().entries.len() <= 100_001,
            "the first ones are forgotten"
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Claim,
        Confirm,
        Release,
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Claim),
            2 => Just(Step::Confirm),
            2 => Just(Step::Release),
            1 => (1u64..60).prop_map(Step::Wait),
            1 => Just(Step::Wait(24 * 3600)),
        ]
    }

    proptest! {
        /// The same laws as for the other stores (tests/it/stores), here with time at will.
        #[test]
        fn nobody_is_let_in_beside_a_holder_or_after_the_work_was_done(
            steps in proptest::collection::vec((step(), 0usize..3, 0u64..3, 0usize..2), 1..200),
        ) {
            let memory = memory(1000);
            let mut now = Duration::ZERO;
            // By key: who holds it until when, and until when it is known to be done.
            let mut working: [Option<(Holder, Duration)>; 2] = [None, None];
            let mut done_until = [Duration::ZERO; 2];
            for (step, who, attempt, key) in steps {
                let holder = holder(["a", "b", "c"][who], attempt);
                let text = ["x", "y"][key];
                match step {
                    Step::Wait(seconds) => now += at(seconds),
                    Step::Claim => {
                        let held = working[key].as_ref().filter(|(_, until)| *until > now);
                        match memory.claim_at(text, &holder, LEASE, now) {
                            Claimed::Ours => {
                                prop_assert!(done_until[key] <= now);
                                prop_assert!(held.is_none_or(|(by, _)| by.delivery == holder.delivery
                                    && by.attempt <= holder.attempt));
                                working[key] = Some((holder, now + LEASE));
                            }
                            Claimed::Done => prop_assert!(done_until[key] > now),
                            Claimed::Held { left } => {
                                prop_assert_eq!(held.map(|(_, until)| *until), Some(now + left));
                            }
                        }
                    }
                    Step::Confirm => {
                        memory.confirm_at(text, &holder, DAY, now);
                        working[key] = None;
                        done_until[key] = now + DAY;
                    }
                    Step::Release => {
                        memory.release(text, &holder);
                        if working[key].as_ref().is_some_and(|(by, _)| *by == holder) {
                            working[key] = None;
                        }
                    }
                }
            }
        }
    }
}
