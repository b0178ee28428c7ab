//! What the other pods of the group see of the handler: asked for while this one gives records up, so that the
//! breaker opens for all before each of them has dead-lettered its share.
//!
//! Pods have no connection to each other; the reports in the group's commits are there anyway.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::debug;

use super::consume::Loop;
use crate::engine::Event;
use crate::report::Report;

/// Between two questions. Pods commit what they gave up within a second.
const EVERY: Duration = Duration::from_secs(2);
/// How long one may take.
const ASK: Duration = Duration::from_secs(5);

/// The answers, and when to ask next.
pub(super) struct Others {
    topics: Vec<String>,
    answers: (
        mpsc::UnboundedSender<Vec<Report>>,
        mpsc::UnboundedReceiver<Vec<Report>>,
    ),
    under_way: bool,
    due: Duration,
}

impl Others {
    /// Of a group that consumes `topics`.
    pub fn new(topics: &[String]) -> Self {
        Self {
            topics: topics.to_vec(),
            answers: mpsc::unbounded_channel(),
            under_way: false,
            due: Duration::ZERO,
        }
    }
}

impl Loop {
    /// What the others said since the last turn, and the next question.
    pub fn others_turn(&mut self) {
        while let Ok(reports) = self.others.answers.1.try_recv() {
            self.others.under_way = false;
            self.tell(Event::OthersReport(reports));
        }
        let idle = self.others.under_way || self.now < self.others.due || self.stopping;
        if idle || !self.engine.asks_others() {
            return;
        }
        self.others.due = self.now + EVERY;
        self.others.under_way = true;
        let committed = self.consumer.committed_by_all(&self.others.topics, ASK);
        let (answers, wake) = (self.others.answers.0.clone(), self.wake.clone());
        while self.watches.try_join_next().is_some() {}
        self.watches.spawn(async move {
            let committed = match spawn_blocking(committed).await {
                Ok(Ok(committed)) => committed,
                Ok(Err(error)) => {
                    debug!(%error, "ask what other pods see of the handler");
                    Vec::new()
                }
                Err(error) => {
                    debug!(%error, "ask what other pods see of the handler");
                    Vec::new()
                }
            };
            let reports = committed.into_iter().filter_map(|committed| {
                let text = String::from_utf8(committed.metadata?).ok()?;
                Report::decode(&text, committed.offset?).ok()
            });
            // Nobody listens once the loop is over.
            let _ = answers.send(reports.collect());
            wake.notify_one();
        });
    }
}
