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
use crate::kafka::consumer::Committed;
use crate::report::Report;

/// Between two questions. Pods commit what they gave up within a second.
const EVERY: Duration = Duration::from_secs(2);
/// How long one may take.
const ASK: Duration = Duration::from_secs(5);

/// The group's reports; none where nobody answered: what was heard before still counts.
type Answer = Option<Vec<Report>>;

/// The answers, and when to ask next.
pub(super) struct Others {
    topics: Vec<String>,
    answers: (
        mpsc::UnboundedSender<Answer>,
        mpsc::UnboundedReceiver<Answer>,
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
            if let Some(reports) = reports {
                self.tell(Event::OthersReport(reports));
            }
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
            let reports = match spawn_blocking(committed).await {
                Ok(Ok(committed)) => Some(committed.into_iter().filter_map(report).collect()),
                failed => {
                    debug!(?failed, "ask what other pods see of the handler");
                    None
                }
            };
            // Nobody listens once the loop is over.
            let _ = answers.send(reports);
            wake.notify_one();
        });
    }
}

/// What a pod said with its commit; none where another tool committed.
fn report(committed: Committed) -> Option<Report> {
    let text = String::from_utf8(committed.metadata?).ok()?;
    Report::decode(&text, committed.offset?).ok()
}
