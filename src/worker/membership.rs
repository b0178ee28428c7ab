//! What the group gives and takes.
//!
//! Before an assignment is answered, the group's committed offsets and their reports are asked for,
//! in a thread that may block: so a partition is taken over with what its last owner knew, and
//! reading begins at the very offset that the report belongs to.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::consume::Loop;
use super::onlooker::Sight;
use crate::engine::{Assignment, Event};
use crate::kafka::consumer::{Begin, Committed, TopicIds};
use crate::kafka::errors::is_an_answer;
use crate::report::{NotAReport, Report};
use crate::telemetry::worker_metrics::Outcome;
use crate::topic::{Offset, TopicPartition};

/// How long one question for committed offsets may take.
const ASK: Duration = Duration::from_secs(5);
/// How often it is asked before somebody is told, and before a refusal is believed.
const ASKED: u32 = 3;
/// The wait before it is asked again doubles from the first to the last of these: a coordinator that moves answers
/// within a millisecond that it is none.
const WAITS: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Committed offsets, and the ids of their topics as far as they are known.
type Answer = (Vec<Committed>, TopicIds);

/// An assignment that is being prepared.
#[derive(Debug, Clone)]
pub(super) struct Takeover {
    partitions: Vec<TopicPartition>,
    asked: u32,
    answer: Option<Result<Answer, NoAnswer>>,
}

/// Why there is none.
#[derive(Debug, Clone)]
struct NoAnswer {
    words: String,
    /// Kafka has understood, and will say the same again.
    refused: bool,
}

impl Loop {
    /// What is due without an event: an open revocation whose partitions are lost, and committed
    /// offsets that have come.
    pub fn membership_turn(&mut self) {
        while let Ok(takeover) = self.takeovers.1.try_recv() {
            self.take_over(takeover);
        }
        if self.revocation.is_open() && self.consumer.assignment_lost() {
            let waiting = self.revocation.waiting_for().cloned().collect();
            self.lose(waiting);
            if let Some(answer) = self.revocation.lost() {
                self.draining_since = None;
                self.unassign(&answer);
            }
        }
    }

    /// The group gives `partitions`.
    pub fn assigned(&mut self, partitions: Vec<TopicPartition>) {
        self.heard_from_kafka();
        self.health.topic(None);
        self.group_takes_us();
        if self.stopping || partitions.is_empty() {
            self.health.joined();
            let bare: Vec<_> = partitions
                .into_iter()
                .map(|p| (p, Begin::Committed))
                .collect();
            self.assign(&bare);
            return;
        }
        self.ask(Takeover {
            partitions,
            asked: 0,
            answer: None,
        });
    }

    fn ask(&mut self, mut takeover: Takeover) {
        takeover.asked += 1;
        let committed = self.consumer.committed(&takeover.partitions, ASK);
        // Without the ids nothing is wrong: they only tell a topic from its successor.
        let asks = !self.mock_kafka;
        let topic_ids = asks.then(|| self.consumer.topic_ids(&takeover.partitions, ASK));
        let ids = move || topic_ids.map(|ask| ask()).unwrap_or_default();
        let question = move || committed().map(|committed| (committed, ids()));
        let (sender, wake) = (self.takeovers.0.clone(), self.wake.clone());
        let mut asking = takeover.clone();
        self.takeover = Some(takeover);
        while self.watches.try_join_next().is_some() {}
        self.watches.spawn(async move {
            sleep(wait_before(asking.asked)).await;
            let answer = spawn_blocking(question).await;
            asking.answer = Some(match answer {
                Ok(answer) => answer.map_err(|error| NoAnswer {
                    words: error.to_string(),
                    refused: is_an_answer(&error),
                }),
                Err(error) => Err(NoAnswer {
                    words: error.to_string(),
                    refused: false,
                }),
            });
            // Nobody listens once the loop is over.
            let _ = sender.send(asking);
            wake.notify_one();
        });
    }

    fn ask_again(&mut self, takeover: Takeover, error: &str) {
        debug!(
            error,
            asked = takeover.asked,
            "ask for committed offsets again"
        );
        if takeover.asked >= ASKED {
            let partitions = names(&takeover.partitions);
            let words = format!("{partitions}: {error}");
            if self.health.beginning(Some(&words)) {
                warn!(
                    partitions,
                    error,
                    "Kafka does not say where the group stands, so nothing is read from these partitions; it is asked until it does"
                );
            }
        }
        self.ask(takeover);
    }

    fn take_over(&mut self, mut takeover: Takeover) {
        let mut known = true;
        let (committed, topic_ids) = match takeover.answer.take() {
            Some(Ok(answer)) => answer,
            // Never answered without: librdkafka, which would ask then, asks a few times within milliseconds and,
            // if the coordinator moves just then, never again, and says of no partition that it stands still.
            Some(Err(why)) if !self.stopping && (takeover.asked < ASKED || !why.refused) => {
                return self.ask_again(takeover, &why.words);
            }
            Some(Err(why)) => {
                warn!(
                    error = why.words,
                    "committed offsets could not be read; what the last owner had finished beyond them may be handled again"
                );
                known = false;
                let nothing = |partition: &TopicPartition| Committed {
                    partition: partition.clone(),
                    offset: None,
                    metadata: None,
                };
                let committed = takeover.partitions.iter().map(nothing).collect();
                (committed, TopicIds::new())
            }
            None => return,
        };
        if self.takeover.take().is_none() {
            return;
        }
        if self.health.beginning(None) && known {
            info!(
                asked = takeover.asked,
                "Kafka says again where the group stands"
            );
        }
        let begin = |offset| match offset {
            Some(offset) => Begin::At(offset),
            // A partition that is new: the controller wrote the first offsets of the others.
            None if known => Begin::Oldest,
            None => Begin::Committed,
        };
        let positions: Vec<_> = committed
            .iter()
            .map(|c| (c.partition.clone(), begin(c.offset)))
            .collect();
        self.assign(&positions);
        self.health.joined();
        if self.stopping {
            return;
        }
        info!(partitions = %names(&takeover.partitions), "assigned");
        self.show(&Sight::Assigned(&takeover.partitions));
        let topic_ids = self.with_ids_read(topic_ids);
        let assignments: Vec<_> = committed
            .into_iter()
            .map(|c| self.assignment(c, &topic_ids))
            .collect();
        self.tell(Event::Assigned(assignments));
        self.act();
        self.compare_topic_ids(&topic_ids);
        self.count_rebalance("assigned");
    }

    /// The ids that were asked for; of topics of which none came, what librdkafka said itself.
    fn with_ids_read(&mut self, asked: TopicIds) -> TopicIds {
        let mut ids = self.ids_read.clone();
        for (topic, id) in asked {
            let read = ids.insert(topic, id.clone());
            if read.is_some_and(|read| read != id) {
                // The broker that was asked, or librdkafka, has not heard of a new topic yet.
                self.topic_ids_due = Duration::ZERO;
            }
        }
        ids
    }

    fn assignment(&mut self, committed: Committed, topic_ids: &TopicIds) -> Assignment {
        let text = committed.metadata.as_deref().unwrap_or_default();
        let at = committed.offset.unwrap_or_default();
        let mut left_behind = match Report::decode(&String::from_utf8_lossy(text), at) {
            Ok(report) => Some(report),
            Err(NotAReport::Empty) => None,
            Err(why) => {
                debug!(partition = %committed.partition, %why, "committed by another tool");
                self.metrics.foreign_metadata.inc();
                None
            }
        };
        let now = topic_ids.get(&*committed.partition.topic);
        let mut before = left_behind.as_ref().and_then(|left| left.topic_id.clone());
        if at == Offset(0) && is_another_topic(before.as_deref(), now.map(String::as_str)) {
            // No offset is lost by beginning with the new one.
            (left_behind, before) = (None, None);
        }
        let topic_id = before.or_else(|| now.cloned());
        if let Some(id) = &topic_id {
            self.topic_ids
                .insert(committed.partition.clone(), id.clone());
        }
        Assignment {
            lane: self.lanes.insert(committed.partition.clone()),
            partition: committed.partition,
            left_behind,
            committed: committed.offset,
            topic_id,
        }
    }

    fn assign(&self, partitions: &[(TopicPartition, Begin)]) {
        if let Err(error) = self.consumer.assign(partitions) {
            // librdkafka logs it as well and asks again with the next rebalance.
            warn!(%error, "assign");
        }
    }

    /// The group wants `partitions` back.
    pub fn revoked(&mut self, partitions: Vec<TopicPartition>) {
        let held: Vec<_> = partitions
            .iter()
            .filter(|p| self.lanes.holds(p))
            .cloned()
            .collect();
        if self.consumer.assignment_lost() {
            self.lose(held);
            self.unassign(&partitions);
            return;
        }
        info!(partitions = %names(&partitions), "revoked; draining");
        self.count_rebalance("revoked");
        if let Some(answer) = self.revocation.begin(partitions, held.clone()) {
            self.unassign(&answer);
        }
        if !held.is_empty() {
            self.draining_since.get_or_insert(self.now);
            self.tell(Event::Revoked(held));
        }
        self.act();
    }

    fn lose(&mut self, partitions: Vec<TopicPartition>) {
        warn!(partitions = %names(&partitions), "lost; another worker may handle the same records");
        self.forget(&partitions);
        self.tell(Event::Lost(partitions));
        self.act();
        self.count_rebalance("lost");
    }

    /// The engine has no more work in `partitions`.
    pub fn give_back(&mut self, partitions: &[TopicPartition]) {
        self.show(&Sight::GivenBack(partitions));
        self.forget(partitions);
        // What is given back without having been asked for, at the end, is so by leaving.
        if let Some(answer) = self.revocation.given_back(partitions) {
            info!(partitions = %names(&answer), "given back");
            self.unassign(&answer);
            if let Some(since) = self.draining_since.take() {
                let took = self.clock.elapsed().saturating_sub(since);
                self.metrics.drain_seconds.observe(took.as_secs_f64());
            }
        }
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        self.lanes.remove(partitions);
        self.commits.forget(partitions);
        self.second_way.forget(partitions);
        self.paused
            .retain(|partition| !partitions.contains(partition));
        self.stalled
            .retain(|(partition, _), _| !partitions.contains(partition));
        self.topic_ids
            .retain(|partition, _| !partitions.contains(partition));
        self.recreated
            .retain(|partition| !partitions.contains(partition));
    }

    fn count_rebalance(&self, result: &'static str) {
        self.metrics
            .rebalances
            .get_or_create(&Outcome { result })
            .inc();
    }

    fn unassign(&self, partitions: &[TopicPartition]) {
        if let Err(error) = self.consumer.unassign(partitions) {
            warn!(%error, "unassign");
        }
    }

    /// An assignment is being prepared: librdkafka does not close before it is answered.
    pub fn answer_takeover(&mut self) {
        if let Some(takeover) = self.takeover.take() {
            let partitions = takeover.partitions.into_iter();
            let bare: Vec<_> = partitions.map(|p| (p, Begin::Committed)).collect();
            self.assign(&bare);
        }
    }
}

pub(super) fn names(partitions: &[TopicPartition]) -> String {
    partitions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// None before the first question.
fn wait_before(asked: u32) -> Duration {
    let [first, last] = WAITS;
    match asked {
        0 | 1 => Duration::ZERO,
        again => last.min(first * 2_u32.saturating_pow(again - 2)),
    }
}

/// What is not known is told by looking again while it is read: what the last owner said is not thrown away for it.
fn is_another_topic(before: Option<&str>, now: Option<&str>) -> bool {
    matches!((before, now), (Some(before), Some(now)) if before != now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_a_topic_whose_id_could_not_be_asked_for_is_kept() {
        for (before, now, another) in [
            (Some("a"), Some("a"), false),
            (Some("a"), Some("b"), true),
            (Some("a"), None, false),
            (None, Some("a"), false),
            (None, None, false),
        ] {
            assert_eq!(is_another_topic(before, now), another, "{before:?} {now:?}");
        }
    }
}
