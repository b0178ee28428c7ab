//! How soon a change of size may follow another, under loads of all shapes.

use std::time::Duration;

use proptest::prelude::*;

use crate::scaling::State;
use crate::scaling::small_world::{Outcome, World};

/// Records per second that a pod does.
const PER_POD: f64 = 100.0;
/// How long a part of a load lasts, seconds.
const PART: f64 = 75.0;
/// Pods that do so many times what comes, and get done what waits within this share of the promise, keep it.
const AMPLE: f64 = 1.5;
const SAFE: f64 = 0.5;

/// A fleet and its load: pods' worth that arrive, part by part.
#[derive(Clone, Debug)]
struct Life {
    start_up: f64,
    promise: u64,
    period: f64,
    timed: bool,
    known: bool,
    parts: Vec<f64>,
}

fn life() -> impl Strategy<Value = Life> {
    let worth = prop_oneof![2 => 0.0..2.0_f64, 3 => 2.0..11.0_f64, 1 => Just(0.0)];
    (
        1.0..40.0_f64,
        20..120_u64,
        prop_oneof![Just(0.5), Just(1.5), Just(5.0), Just(15.0)],
        prop::bool::ANY,
        prop::bool::ANY,
        prop::collection::vec(worth, 6..16),
    )
        .prop_map(|(start_up, promise, period, timed, known, parts)| Life {
            start_up,
            promise,
            period,
            timed,
            known,
            parts,
        })
}

impl Life {
    fn load(&self, time: f64) -> f64 {
        let part = (time / PART).max(0.0) as usize;
        PER_POD * self.parts.get(part).copied().unwrap_or(0.0)
    }

    fn lived(&self) -> Outcome {
        let mut world = World {
            per_pod: PER_POD,
            start_up: self.start_up,
            period: self.period,
            timed: self.timed,
            ..World::default()
        };
        world.policy.max_delay = Duration::from_secs(self.promise);
        let start_up = Duration::try_from_secs_f64(self.start_up).unwrap();
        let state = match self.known {
            true => State::resume(Some(PER_POD), Some(start_up)),
            false => State::default(),
        };
        let length = PART * self.parts.len() as f64;
        world.run(state, 3, length, |time| self.load(time))
    }
}

/// As many runs as `PROPTEST_CASES` asks for, or a few: each is a quarter of an hour.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = std::env::var_os("PROPTEST_CASES").map_or(40, |_| asked.cases);
    ProptestConfig { cases, ..asked }
}

proptest! {
    #![proptest_config(config())]

    /// One change per start-up and rebalance, but for raises without which the promise would be broken.
    #[test]
    fn a_change_waits_until_the_one_before_it_has_worked_unless_the_promise_is_in_danger(life in life()) {
        let outcome = life.lived();
        let changes: Vec<_> = outcome.changes.iter().zip(&outcome.circumstances).collect();
        for pair in changes.windows(2) {
            let ((before, _), (&(at, size), now)) = (pair[0], pair[1]);
            let after = at - before.0;
            if after >= now.reaction || now.from == 0 {
                continue;
            }
            prop_assert!(size > now.from, "lowered {} s after {:?}: {:?}", after, before, now);
            // A load that has just risen may go on to rise.
            let recently = now.reaction + 2.0 * life.period;
            if life.load(at - recently) < life.load(at) {
                continue;
            }
            // What was ordered already is ample, once it is there.
            let pods = now.per_pod.unwrap_or(PER_POD).min(PER_POD) * f64::from(now.from);
            let comes = life.load(at).max(life.load(at - life.period));
            let until = if now.ready < now.from { now.reaction } else { 0.0 };
            let worst = now.waited + until + (now.waits + until * comes) / pods;
            let safe = pods >= AMPLE * comes && worst <= SAFE * life.promise as f64;
            prop_assert!(!safe, "raised {} s after {:?} to {}: {:?}", after, before, size, now);
        }
    }
}

/// Pods start slowly for the promise: a record is late before they come, and records are for longer the fewer they are. What
/// the first look orders is for the beginning of a rise.
#[test]
fn what_the_first_look_at_a_rise_orders_is_corrected_by_the_next() {
    let mut world = World {
        partitions: 48,
        per_pod: PER_POD,
        start_up: 180.0,
        pause: 5.0,
        period: 5.0,
        ..World::default()
    };
    world.policy.max_delay = Duration::from_secs(120);
    world.policy.min = 1;
    let state = State::resume(Some(PER_POD), Some(Duration::from_secs(180)));
    for begins in [600.0, 602.0, 604.0] {
        // From two pods' worth to eight within 20 s.
        let load = |time: f64| 200.0 + 600.0 * ((time - begins) / 20.0).clamp(0.0, 1.0);
        let outcome = world.run(state.clone(), 3, 1200.0, load);
        let changes = &outcome.changes;
        assert!(outcome.late < 150.0, "{}: {changes:?}", outcome.late);
        let ordered = changes.iter().filter(|change| change.0 > begins + 60.0);
        assert_eq!(ordered.count(), 0, "{begins}: {changes:?}");
    }
}
