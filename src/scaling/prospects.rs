//! What other sizes would come to, for people who ask why it is not another.

use std::time::Duration;

use super::cost::{Cost, Outset};
use super::limits::Bounds;

/// Sizes that are told beside the one that was decided on.
const NEXT_BEST: usize = 2;

/// A size, and what holding it would come to if the load went on as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Prospect {
    /// Pods.
    pub replicas: u32,
    /// Pods, waiting and the change of size together, as pod-seconds.
    pub cost: f64,
    /// The longest that a record would wait.
    pub delay: Duration,
}

/// What each size that is allowed comes to, and the present one.
pub(super) fn weigh(outset: &Outset<'_>, bounds: &Bounds) -> Vec<(u32, Cost)> {
    let own = Some(outset.current).filter(|own| *own > 0 && !bounds.sizes.contains(own));
    let sizes = own.into_iter().chain(bounds.sizes.iter().copied());
    sizes.map(|size| (size, outset.cost(size))).collect()
}

/// The decided size, if it was weighed, and then the others that cost least.
pub(super) fn told(mut costs: Vec<(u32, Cost)>, decided: u32) -> Vec<Prospect> {
    costs.sort_by(|a, b| {
        let other = (a.0 != decided).cmp(&(b.0 != decided));
        other.then(a.1.total.total_cmp(&b.1.total))
    });
    let chosen = usize::from(costs.first().is_some_and(|&(size, _)| size == decided));
    costs
        .into_iter()
        .take(chosen + NEXT_BEST)
        .filter_map(|(replicas, cost)| {
            Some(Prospect {
                replicas,
                cost: cost.total,
                delay: Duration::try_from_secs_f64(cost.worst).ok()?,
            })
        })
        .collect()
}
