//! Stretches of full work, where pods do not say what they can do but Kafka says which partitions each has.
//!
//! From one commit of a pod to a later one, with records left in its partitions throughout: whoever never ran out
//! has done in this time what it can. It takes no fleet that is late for that, only a pod that was full for a while,
//! such as after partitions have moved.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::estimate::RUN;
use super::flow::seconds;
use super::reading::Reading;
use super::silent::Full;
use super::state::State;
use crate::topic::TopicPartition;

/// A pod is full where this share of its partitions always has a record,
const NEARLY_ALL: f64 = 0.8;
/// or so many of them.
const MANY: f64 = 4.0;
/// What has come since the last commit looks like a backlog, and is none, for so many times the time between commits.
const ON_PAPER: f64 = 2.0;
/// Where a raise is on trial, so many times: pods are known to be late then.
const AT_LEAST: f64 = 1.0;
/// Commits are looked for so often at most, seconds.
const LOOK: f64 = 1.5;
/// So many seconds of so many records say something; for slow handlers, so many seconds of any.
const ENOUGH: [f64; 2] = [30.0, 20.0];
const LONG_ENOUGH: f64 = 60.0;
/// and as long as it takes to do some more of those.
const TAKES: f64 = 3.0;

/// Stretches of pods, by whoever Kafka says has their partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stretches {
    /// Those that have begun, with a commit.
    begun: BTreeMap<String, Stretch>,
    /// What those showed that have ended.
    shown: Full,
}

#[derive(Clone, Debug, PartialEq)]
struct Stretch {
    since: Timestamp,
    places: Vec<Place>,
}

/// Where a pod was in one of its partitions right after a commit.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    partition: TopicPartition,
    next: i64,
    waits: u64,
}

/// What one pod has now.
#[derive(Default)]
struct Held {
    places: Vec<Place>,
    /// It has committed since the last look.
    committed: bool,
    /// Some of its partitions are not worked on, or were not until just now.
    disturbed: bool,
}

impl Stretches {
    /// Nobody knows who has what at present.
    pub(super) fn forget(&mut self) {
        self.begun.clear();
    }
}

/// Partitions that have to have records for a pod with so many to be full.
fn for_full(partitions: usize) -> f64 {
    (NEARLY_ALL * partitions as f64).min(MANY)
}

impl Stretch {
    /// Records done until `now`; none if the pod may have run out of them.
    fn done(&self, now: &[Place], on_paper: f64) -> Option<f64> {
        let (mut done, mut never_empty) = (0, 0);
        let same = self.places.len() == now.len();
        for (before, now) in self.places.iter().zip(now) {
            let more = u64::try_from(now.next.saturating_sub(before.next)).ok()?;
            if before.partition != now.partition {
                return None;
            }
            done += more;
            let left = before.waits as f64 - more as f64;
            never_empty += usize::from(left > on_paper);
        }
        let full = never_empty as f64 >= for_full(now.len());
        (same && full).then_some(done as f64)
    }
}

/// Takes commits in. Every partition has an owner, and there are as many owners as pods.
pub(super) fn observe(state: &mut State, reading: &Reading<'_>) {
    let mut begun = std::mem::take(&mut state.capacity.stretches.begun);
    if state.orders.steady_for(reading) < state.settling() + state.turns() {
        return;
    }
    let pace = state.progress.rate(RUN, 1.0).unwrap_or(0.0) / f64::from(reading.partitions());
    // A record that was never committed has been there since the last one was.
    let on_paper = (ON_PAPER * state.commit_gap.max(LOOK) * pace - 0.5).max(0.5);
    let mut still = BTreeMap::new();
    let mut shown = std::mem::take(&mut state.capacity.stretches.shown);
    let mut more = false;
    for (pod, held) in held(state, reading) {
        let before = begun.remove(pod);
        match before {
            _ if held.disturbed => continue,
            Some(before) if !held.committed => {
                still.insert(pod.to_owned(), before);
                continue;
            }
            Some(before) => {
                let stretch = seconds(before.since, reading.at);
                if let Some(done) = before.done(&held.places, on_paper) {
                    shown.add(done, stretch, 1.0);
                    more = true;
                }
                if let Some(done) = before.done(&held.places, on_paper * AT_LEAST / ON_PAPER) {
                    state.capacity.full_of_size.add(done, stretch, 1.0);
                }
            }
            None => {}
        }
        let waiting = held.places.iter().filter(|place| place.waits > 0).count();
        if held.committed && waiting as f64 >= for_full(held.places.len()) {
            let since = reading.at;
            let places = held.places;
            still.insert(pod.to_owned(), Stretch { since, places });
        }
    }
    if let Some(rate) = shown
        .rate_of(ENOUGH, LONG_ENOUGH.max(TAKES * state.turns()))
        .filter(|_| more)
    {
        state.capacity.by_commits(rate);
    }
    state.capacity.stretches = Stretches {
        begun: still,
        shown,
    };
}

fn held<'a>(state: &State, reading: &Reading<'a>) -> BTreeMap<&'a str, Held> {
    let mut pods: BTreeMap<&str, Held> = BTreeMap::new();
    let mut tracks = state.tracks_in_order();
    for known in &reading.known {
        let Some(pod) = known.sample.pod.as_deref() else {
            continue;
        };
        let held = pods.entry(pod).or_default();
        held.places.push(Place {
            partition: known.partition.clone(),
            next: known.next.0,
            waits: known.waits,
        });
        let track = tracks.of(known.partition);
        held.disturbed |= !known.moves() || track.is_none_or(|track| track.is_handed_over());
        held.committed |= track.is_some_and(|track| track.moved == Some(reading.at));
    }
    pods
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(waits: &[u64]) -> Stretch {
        let waits = (0..).zip(waits);
        let place = |(number, &waits)| Place {
            partition: TopicPartition::new("t", number),
            next: 100,
            waits,
        };
        Stretch {
            since: Timestamp::UNIX_EPOCH,
            places: waits.map(place).collect(),
        }
    }

    fn done(before: &[u64], done: &[i64]) -> Option<f64> {
        let before = stretch(before);
        let mut now = before.places.clone();
        for (place, done) in now.iter_mut().zip(done) {
            place.next += done;
        }
        before.done(&now, 0.5)
    }

    #[test]
    fn only_who_never_ran_out_shows_what_it_can() {
        for (before, more, shown) in [
            (&[2][..], &[1][..], Some(1.0)),
            (&[2], &[2], None),
            (&[5, 5], &[4, 3], Some(7.0)),
            // One of its two partitions was empty: it may have waited.
            (&[5, 5], &[5, 3], None),
            // Four are enough where there are many.
            (
                &[2, 2, 2, 2, 1, 1, 1, 0],
                &[1, 1, 1, 1, 1, 1, 1, 0],
                Some(7.0),
            ),
            // Offsets that were set back show nothing.
            (&[5, 5], &[1, -1], None),
        ] {
            assert_eq!(done(before, more), shown, "{before:?} {more:?}");
        }
    }

    #[test]
    fn partitions_that_have_changed_show_nothing() {
        let before = stretch(&[5, 5]);
        let mut other = before.places.clone();
        other[1].partition = TopicPartition::new("t", 7);
        assert_eq!(before.done(&other, 0.5), None);
        assert_eq!(before.done(&before.places[..1], 0.5), None);
    }
}
