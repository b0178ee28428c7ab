//! How long pods take to start by their own times: what is known before a raise was watched, and when exactly the pods of a
//! raise were there, between two samples.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::flow::seconds;
use super::orders::{LATE, NEVER, OTHERS_ORDER};
use super::sample::PodStart;

/// So many of the youngest pods tell; older ones may be of another image, or of other nodes.
const YOUNGEST: usize = 5;

/// Seconds that the slowest of the youngest pods took. What took far longer than the others, or has been kept from being
/// ready at `held_up`, was no start; nor does any pod start in no time.
pub(super) fn told(starts: &[PodStart], held_up: Option<Timestamp>) -> Option<f64> {
    let started = starts.iter().filter_map(|start| {
        let ready = start.ready.filter(|&ready| ready > start.made)?;
        let took = seconds(start.made, ready);
        let waited = held_up.is_some_and(|at| start.made <= at && at <= ready);
        (!waited && took < NEVER).then_some((start.made, took))
    });
    let mut started: Vec<(Timestamp, f64)> = started.collect();
    started.sort_by_key(|&(made, _)| Reverse(made));
    let mut took: Vec<f64> = started
        .into_iter()
        .take(YOUNGEST)
        .map(|(_, took)| took)
        .collect();
    took.sort_by(f64::total_cmp);
    let middle = took.get(took.len().saturating_sub(1) / 2).copied()?;
    took.into_iter().rfind(|took| *took <= LATE * middle)
}

/// When the last pod became ready of those that were made for an order of this time; none where nobody says.
pub(super) fn all_ready(starts: &[PodStart], ordered: Timestamp) -> Option<Timestamp> {
    let of_it = starts
        .iter()
        .filter(|start| start.made >= ordered || seconds(start.made, ordered) <= OTHERS_ORDER);
    let ready = of_it.filter_map(|start| start.ready).max();
    ready.filter(|&ready| ready > ordered)
}

/// When the first pod was made that was not there yet at `seen`: about when it was ordered.
pub(super) fn first_made(starts: &[PodStart], seen: Timestamp) -> Option<Timestamp> {
    let made = starts.iter().map(|start| start.made);
    made.filter(|&made| made > seen).min()
}
