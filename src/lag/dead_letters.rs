//! Dead-letter topics, looked at now and then for the fleets that need them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use tracing::debug;

use super::Need;
use super::round::TIMEOUT;
use crate::kafka::admin::Admin;
use crate::kafka::dead_letter_topic::{Facts, State, look};

/// A topic that is well is looked at again after this.
const KEPT: Duration = Duration::from_secs(60);
/// One that is not, or of which nothing is known: somebody may be mending it.
const KEPT_IF_NOT_WELL: Duration = Duration::from_secs(5);
/// Looks in one round at most, side by side, so that offsets do not wait for them.
const IN_A_ROUND: usize = 8;

/// A dead-letter topic and the topics whose records it is for.
type Use = (String, Vec<String>);

/// What is known of dead-letter topics.
#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    known: HashMap<Use, Known>,
}

#[derive(Debug)]
struct Known {
    /// When it was last asked for, with or without an answer.
    asked: Instant,
    /// The last answer.
    facts: Option<Facts>,
}

impl DeadLetters {
    /// Looks at the dead-letter topics of `needs`, as far as it is time for that: sooner where a
    /// worker has something to say against one. Of one that cannot be looked at what was known stays.
    pub(super) async fn look<'a>(
        &mut self,
        admin: &Admin,
        needs: impl Iterator<Item = (&'a Need, bool)>,
    ) {
        let due = self.due(needs, Instant::now()).into_iter();
        let looks = due.map(|of| async move {
            let facts = look(admin, &of.0, &of.1, TIMEOUT).await;
            let facts =
                facts.inspect_err(|error| debug!(topic = of.0, %error, "look at dead letters"));
            (of, facts.ok())
        });
        for (of, facts) in join_all(looks).await {
            self.learn(of, facts, Instant::now());
        }
    }

    /// What is known for `need`.
    pub(super) fn of(&self, need: &Need) -> Option<Facts> {
        self.known.get(&used(need)?)?.facts.clone()
    }

    /// Whose turn it is: those that nobody has asked for yet, and then those that have waited longest, so that many that
    /// are not well keep no other from its turn.
    fn due<'a>(&self, needs: impl Iterator<Item = (&'a Need, bool)>, now: Instant) -> Vec<Use> {
        let mut due: Vec<(Option<Instant>, Use)> = needs
            .filter_map(|(need, doubted)| {
                let of = used(need)?;
                let known = self.known.get(&of);
                let is_due = known.is_none_or(|known| known.is_due(doubted, now));
                is_due.then(|| (known.map(|known| known.asked), of))
            })
            .collect();
        due.sort();
        due.dedup();
        due.truncate(IN_A_ROUND);
        due.into_iter().map(|(_, of)| of).collect()
    }

    /// Forgets those that none of these needs names.
    pub(super) fn keep<'a>(&mut self, needs: impl Iterator<Item = &'a Need>) {
        let used: HashSet<Use> = needs.filter_map(used).collect();
        self.known.retain(|of, _| used.contains(of));
    }

    fn learn(&mut self, of: Use, facts: Option<Facts>, asked: Instant) {
        let before = self.known.remove(&of).and_then(|known| known.facts);
        let facts = facts.or(before);
        self.known.insert(of, Known { asked, facts });
    }
}

impl Known {
    fn is_due(&self, doubted: bool, now: Instant) -> bool {
        let facts = self.facts.as_ref();
        let well = facts.is_some_and(|facts| facts.state == State::There && facts.flaw().is_none());
        let kept = match well && !doubted {
            true => KEPT,
            false => KEPT_IF_NOT_WELL,
        };
        now.duration_since(self.asked) >= kept
    }
}

fn used(need: &Need) -> Option<Use> {
    Some((need.dead_letter_topic.clone()?, need.topics.clone()))
}

#[cfg(test)]
impl DeadLetters {
    /// As if `need`'s had been asked for, and not been answered.
    pub(super) fn ask_for(&mut self, need: &Need) {
        if let Some(of) = used(need) {
            self.learn(of, None, Instant::now());
        }
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::kafka::security::Security;
    use crate::lag::Source;

    fn need(number: usize) -> Need {
        Need {
            source: Source {
                bootstrap_servers: "kafka:9092".to_owned(),
                properties: BTreeMap::new(),
                security: Security::default(),
            },
            topics: vec!["orders".to_owned()],
            group_id: "shop".to_owned(),
            dead_letter_topic: Some(format!("dlq-{number:02}")),
            own_consumer: false,
        }
    }

    fn facts(state: State) -> Facts {
        Facts {
            topic: "dlq".to_owned(),
            state,
            cleanup: None,
            max_bytes: None,
            source: None,
        }
    }

    #[test]
    fn many_that_are_missing_keep_none_from_its_turn() {
        let needs: Vec<Need> = (0..50).map(need).collect();
        let mut letters = DeadLetters::default();
        let mut seen = BTreeSet::new();
        let began = Instant::now();
        // All that were looked at are due again each time.
        for round in 0..7 {
            let now = began + KEPT_IF_NOT_WELL * round;
            let due = letters.due(needs.iter().map(|need| (need, false)), now);
            assert_eq!(due.len(), IN_A_ROUND);
            for of in due {
                seen.insert(of.0.clone());
                letters.learn(of, Some(facts(State::Missing)), now);
            }
        }
        assert_eq!(seen.len(), needs.len());
    }

    #[test]
    fn a_look_without_an_answer_leaves_what_was_known_and_waits_its_turn() {
        let (one, mut letters) = (need(1), DeadLetters::default());
        let due = |letters: &DeadLetters, at| letters.due([(&one, false)].into_iter(), at);
        let began = Instant::now();
        let of = || used(&one).unwrap();
        letters.learn(of(), None, began);
        assert_eq!(letters.of(&one), None);
        assert_eq!(due(&letters, began), Vec::<Use>::new(), "just asked");
        let later = began + KEPT_IF_NOT_WELL;
        assert_eq!(due(&letters, later), [of()]);
        letters.learn(of(), Some(facts(State::There)), later);
        assert_eq!(due(&letters, later + KEPT_IF_NOT_WELL), Vec::<Use>::new());
        let later = later + KEPT;
        assert_eq!(due(&letters, later), [of()]);
        letters.learn(of(), None, later);
        assert_eq!(letters.of(&one), Some(facts(State::There)));
    }
}
