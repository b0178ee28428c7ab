//! A commit that librdkafka has sent and that is not answered goes to the coordinator a second way, over a connection of our
//! own: see [`Committer`] for why. An answer by either is the commit's answer.
//!
//! It says the same of the same partitions, and only of what is still ours in the very generation that it names. That is asked
//! for first, and what we hold is looked at then: a partition that went before is left out, and if one goes after, the
//! generation is over before another can have it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, info};

use super::consume::Loop;
use crate::kafka::Committer;
use crate::kafka::consumer::{Commit, Place};
use crate::topic::TopicPartition;

/// A commit that is not answered for so long goes the second way.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same while partitions are to be given back, which wait for it.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// How long that way may take.
const ANSWER: Duration = Duration::from_secs(4);
/// After a failure the wait for the next try doubles so often at most: a refused password must not become hundreds.
const MOST_DOUBLED: u32 = 5;

/// What goes the second way.
pub(super) struct SecondWay {
    /// None where there is no such way, or none is needed.
    committer: Option<Arc<Committer>>,
    /// The number of the last commit.
    last: usize,
    /// The commit that is not answered.
    sent: Option<Sent>,
    under_way: bool,
    /// The next try, after one that failed.
    due: Duration,
    failures: u32,
    /// Commits go this way, as was told.
    told: bool,
    heard: (mpsc::UnboundedSender<Heard>, mpsc::UnboundedReceiver<Heard>),
}

struct Sent {
    number: usize,
    at: Duration,
    commits: Vec<Commit>,
}

/// What came of a step on that way, for the commit of a number.
struct Heard {
    number: usize,
    what: What,
}

enum What {
    /// Who we are in the group.
    Place(Place),
    /// These were taken.
    Taken(Vec<TopicPartition>),
    Failed(String),
}

impl SecondWay {
    pub(super) fn new(committer: Option<Committer>) -> Self {
        Self {
            committer: committer.map(Arc::new),
            last: 0,
            sent: None,
            under_way: false,
            due: Duration::ZERO,
            failures: 0,
            told: false,
            heard: mpsc::unbounded_channel(),
        }
    }

    /// These are sent by librdkafka. Gives the number by which its answer is known.
    pub(super) fn sends(&mut self, commits: &[Commit], now: Duration) -> usize {
        self.last += 1;
        let commits = match self.committer {
            Some(_) => commits.to_vec(),
            None => Vec::new(),
        };
        self.sent = Some(Sent {
            number: self.last,
            at: now,
            commits,
        });
        self.last
    }

    /// librdkafka has an answer. False if that commit was answered before.
    pub(super) fn is_answered(&mut self, number: usize) -> bool {
        let is_it = self.is_open(number);
        if is_it {
            self.sent = None;
            self.told = false;
        }
        is_it
    }

    /// These are not ours any more.
    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        if let Some(sent) = &mut self.sent {
            let is_gone = |commit: &Commit| partitions.contains(&commit.partition);
            sent.commits.retain(|commit| !is_gone(commit));
        }
    }

    fn is_open(&self, number: usize) -> bool {
        let sent = self.sent.as_ref();
        sent.is_some_and(|sent| sent.number == number)
    }

    /// The number of the commit that is to go the second way now.
    fn begins(&self, now: Duration, is_draining: bool) -> Option<usize> {
        let patience = match is_draining {
            true => SHORT_PATIENCE,
            false => PATIENCE,
        };
        let sent = self.sent.as_ref().filter(|sent| !sent.commits.is_empty())?;
        let is_due = now >= self.due && now >= sent.at + patience;
        (is_due && !self.under_way).then_some(sent.number)
    }

    fn fails(&mut self, now: Duration) {
        self.failures += 1;
        self.due = now + PATIENCE * 2_u32.pow(self.failures.min(MOST_DOUBLED));
    }
}

impl Loop {
    /// What came the second way since the last turn, and what is to go there.
    pub fn second_way_turn(&mut self) {
        while let Ok(Heard { number, what }) = self.second_way.heard.1.try_recv() {
            self.second_way.under_way = false;
            match what {
                What::Place(place) => self.commit_as(number, place),
                What::Taken(partitions) => self.taken_the_second_way(number, partitions),
                What::Failed(error) => {
                    debug!(error, "commit the second way");
                    self.second_way.fails(self.now);
                }
            }
        }
        let is_draining = self.engine.is_draining();
        if let Some(number) = self.second_way.begins(self.now, is_draining) {
            let place = self.consumer.place();
            self.goes_on(number, async move {
                match spawn_blocking(place).await {
                    Ok(place) => What::Place(place),
                    Err(error) => What::Failed(error.to_string()),
                }
            });
        }
    }

    fn goes_on(&mut self, number: usize, step: impl Future<Output = What> + Send + 'static) {
        self.second_way.under_way = true;
        let (sender, wake) = (self.second_way.heard.0.clone(), self.wake.clone());
        while self.watches.try_join_next().is_some() {}
        self.watches.spawn(async move {
            let what = step.await;
            // Nobody listens once the loop is over.
            let _ = sender.send(Heard { number, what });
            wake.notify_one();
        });
    }

    /// The commit goes, as far as it is of what we hold since before we knew our place.
    fn commit_as(&mut self, number: usize, place: Place) {
        let sent = self.second_way.sent.as_ref();
        let sent = sent.filter(|sent| sent.number == number && !sent.commits.is_empty());
        let (Some(sent), Some(committer)) = (sent, self.second_way.committer.clone()) else {
            return;
        };
        let commits = sent.commits.clone();
        self.goes_on(number, async move {
            match timeout(ANSWER, committer.commit(&place, &commits)).await {
                Ok(Ok(())) => {
                    What::Taken(commits.into_iter().map(|commit| commit.partition).collect())
                }
                Ok(Err(trouble)) => What::Failed(trouble.to_string()),
                Err(_) => What::Failed(format!("no answer within {ANSWER:?}")),
            }
        });
    }

    fn taken_the_second_way(&mut self, number: usize, partitions: Vec<TopicPartition>) {
        let way = &mut self.second_way;
        way.failures = 0;
        if !way.is_open(number) {
            return; // librdkafka was answered meanwhile
        }
        let sent = way.sent.take();
        let waited = sent.map(|sent| self.now.saturating_sub(sent.at));
        if !std::mem::replace(&mut self.second_way.told, true) {
            info!(
                seconds = waited.unwrap_or_default().as_secs(),
                "a commit was not answered, as while the group waits for a member that is dead or frozen; it was taken over another connection"
            );
        }
        let taken: Vec<_> = partitions.into_iter().map(|place| (place, None)).collect();
        self.committed(None, &taken);
        self.act();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::client_config::Connection;
    use crate::kafka::security::Security;
    use crate::topic::Offset;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn commit(partition: i32) -> Commit {
        Commit {
            partition: TopicPartition::new("orders", partition),
            offset: Offset(7),
            metadata: String::new(),
        }
    }

    fn way() -> SecondWay {
        let connection = Connection {
            bootstrap_servers: "a:1",
            client_id: "pod-1",
            properties: &std::collections::BTreeMap::new(),
            security: &Security::default(),
        };
        SecondWay::new(Committer::of(&connection, "group", None))
    }

    #[test]
    fn a_commit_goes_the_second_way_when_it_was_not_answered_for_long() {
        let mut way = way();
        assert_eq!(way.begins(at(100_000), true), None, "there is none");
        let number = way.sends(&[commit(0)], at(100_000));
        assert_eq!(way.begins(at(102_999), false), None);
        assert_eq!(way.begins(at(100_999), true), None);
        assert_eq!(way.begins(at(101_000), true), Some(number));
        assert_eq!(way.begins(at(103_000), false), Some(number));
        way.fails(at(103_000));
        assert_eq!(way.begins(at(108_999), true), None);
        assert_eq!(way.begins(at(109_000), true), Some(number));
        assert!(way.is_answered(number));
        assert_eq!(way.begins(at(200_000), true), None);
    }

    #[test]
    fn an_answer_to_a_commit_before_is_none() {
        let mut way = way();
        let first = way.sends(&[commit(0)], at(0));
        let second = way.sends(&[commit(0)], at(5_000));
        assert!(!way.is_answered(first));
        assert!(way.is_open(second));
        assert!(way.is_answered(second));
        assert!(!way.is_answered(second));
    }

    #[test]
    fn what_is_not_ours_any_more_is_not_committed() {
        let mut way = way();
        let number = way.sends(&[commit(0), commit(1)], at(0));
        way.forget(&[commit(0).partition]);
        assert_eq!(way.begins(at(5_000), false), Some(number));
        way.forget(&[commit(1).partition]);
        assert_eq!(way.begins(at(5_000), false), None);
    }
}
