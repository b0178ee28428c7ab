//! How many partitions there are in all: by that a pod knows its share of the fleet's rate limit.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::{debug, info};

use super::consume::Loop;
use crate::engine::Event;

/// A topic that gets more partitions is seen within this time; too small a number gives this pod too large a share.
const EVERY: Duration = Duration::from_secs(30);
/// Until the first answer, after which delivery begins.
const UNTIL_KNOWN: Duration = Duration::from_secs(1);
/// How long one question may take.
const ASK: Duration = Duration::from_secs(5);

/// The answers, and when to ask next.
pub(super) struct Shares {
    topics: Vec<String>,
    known: Option<usize>,
    answers: (
        mpsc::UnboundedSender<Option<usize>>,
        mpsc::UnboundedReceiver<Option<usize>>,
    ),
    under_way: bool,
    due: Duration,
}

impl Shares {
    /// Of a group that consumes `topics` and has a rate limit.
    pub fn new(topics: &[String]) -> Self {
        Self {
            topics: topics.to_vec(),
            known: None,
            answers: mpsc::unbounded_channel(),
            under_way: false,
            due: Duration::ZERO,
        }
    }
}

impl Loop {
    /// What was found since the last turn, and the next question.
    pub fn shares_turn(&mut self) {
        let Some(shares) = &mut self.shares else {
            return;
        };
        let mut found = None;
        while let Ok(answer) = shares.answers.1.try_recv() {
            shares.under_way = false;
            let wait = match (answer, shares.known) {
                (None, None) => UNTIL_KNOWN,
                _ => EVERY,
            };
            shares.due = self.now + wait;
            found = answer.filter(|all| shares.known != Some(*all)).or(found);
        }
        if let Some(all) = found {
            shares.known = Some(all);
            self.tell(Event::Partitions(all));
            info!(
                partitions = all,
                "the rate limit is shared out by partitions"
            );
        }
        self.ask_for_partitions();
    }

    fn ask_for_partitions(&mut self) {
        let Some(shares) = &mut self.shares else {
            return;
        };
        if shares.under_way || self.now < shares.due || self.stopping {
            return;
        }
        shares.under_way = true;
        let partitions = self.consumer.partitions_of(&shares.topics, ASK);
        let (answers, wake) = (shares.answers.0.clone(), self.wake.clone());
        while self.watches.try_join_next().is_some() {}
        self.watches.spawn(async move {
            let answer = match spawn_blocking(partitions).await {
                Ok(Ok(partitions)) if !partitions.is_empty() => Some(partitions.len()),
                failed => {
                    debug!(?failed, "ask how many partitions there are");
                    None
                }
            };
            // Nobody listens once the loop is over.
            let _ = answers.send(answer);
            wake.notify_one();
        });
    }
}
