//! A handler that takes nothing: whatever it is given, it asks for less.
//!
//! That costs no attempt and is no failure, so nothing else tells it from a handler that is slow. An ingress or a mesh
//! with nobody behind it answers so for ever.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::flow::seconds;
use super::reading::Reading;

/// Seconds after which it is told. Workers at which nothing moves report every half minute.
const TOLD_AFTER: f64 = 60.0;

/// What pods told, and since when they were only turned away.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TurnedAway {
    /// By pod: records that were finished or failed, and answers that asked for less.
    pods: BTreeMap<String, (u64, u64)>,
    since: Option<Timestamp>,
    /// They were turned away since then, once at least.
    told: bool,
}

impl TurnedAway {
    /// Takes in what pods report.
    pub(super) fn observe(&mut self, reading: &Reading<'_>) {
        if !reading.new {
            return;
        }
        let pods = &reading.sample.pods;
        let (mut handled, mut turned_away) = (false, false);
        for (name, pod) in pods {
            let now = (pod.done.saturating_add(pod.failures), pod.slow_downs);
            match self.pods.get_mut(name) {
                Some(before) => {
                    handled |= now.0 != before.0;
                    turned_away |= now.1 > before.1;
                    *before = now;
                }
                None => {
                    self.pods.insert(name.clone(), now);
                }
            }
        }
        self.pods.retain(|name, _| pods.contains_key(name));
        let waits = reading.known.iter().any(|known| known.unfinished() > 0);
        if handled || pods.is_empty() || !waits && reading.complete() {
            self.since = None;
            self.told = false;
            return;
        }
        self.told |= turned_away;
        if self.told {
            self.since.get_or_insert(reading.at);
        }
    }

    /// For how many seconds already, if for so long that it is worth telling.
    pub(super) fn seconds(&self, now: Timestamp) -> Option<f64> {
        let lasts = seconds(self.since?, now);
        (lasts >= TOLD_AFTER).then_some(lasts)
    }
}
