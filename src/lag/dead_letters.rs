//! Dead-letter topics, looked at now and then for the fleets that need them.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Need;
use super::round::TIMEOUT;
use crate::kafka::admin::{Admin, Error};
use crate::kafka::dead_letter_topic::{Facts, State, look};

/// A topic that is well is looked at again after this.
const KEPT: Duration = Duration::from_secs(60);
/// One that is not, or of which nothing is known: somebody may be mending it.
const KEPT_IF_NOT_WELL: Duration = Duration::from_secs(5);
/// Looks in one round at most, so that offsets do not wait for them.
const IN_A_ROUND: usize = 8;

/// A dead-letter topic and the topics whose records it is for.
type Use = (String, Vec<String>);

/// What is known of dead-letter topics.
#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    known: HashMap<Use, (Instant, Facts)>,
}

impl DeadLetters {
    /// Looks at the dead-letter topics of `needs`, as far as it is time for that: sooner where a
    /// worker has something to say against one.
    pub(super) async fn look<'a>(
        &mut self,
        admin: &Admin,
        needs: impl Iterator<Item = (&'a Need, bool)>,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let mut due: Vec<Use> = needs
            .filter_map(|(need, doubted)| Some((used(need)?, doubted)))
            .filter(|(of, doubted)| self.is_due(of, *doubted, now))
            .map(|(of, _)| of)
            .collect();
        due.sort();
        due.dedup();
        for of in due.into_iter().take(IN_A_ROUND) {
            let facts = look(admin, &of.0, &of.1, TIMEOUT).await?;
            self.known.insert(of, (Instant::now(), facts));
        }
        Ok(())
    }

    /// What is known for `need`.
    pub(super) fn of(&self, need: &Need) -> Option<Facts> {
        let (_, facts) = self.known.get(&used(need)?)?;
        Some(facts.clone())
    }

    fn is_due(&self, of: &Use, doubted: bool, now: Instant) -> bool {
        self.known.get(of).is_none_or(|(at, facts)| {
            let well = facts.state == State::There && facts.flaw().is_none() && !doubted;
            now.duration_since(*at) >= if well { KEPT } else { KEPT_IF_NOT_WELL }
        })
    }
}

fn used(need: &Need) -> Option<Use> {
    Some((need.dead_letter_topic.clone()?, need.topics.clone()))
}
