//! What a replay did. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::histogram::Histogram;
use super::letter::Letter;
use super::replay::Verdict;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was dealt with.
    Complete,
    /// Somebody stopped it.
    Interrupted,
    /// Too many came back.
    Failing,
}

/// What a replay did, or would do.
#[derive(Debug)]
pub struct Report {
    /// The dead-letter topic.
    pub topic: String,
    /// The topic that all of them go to; none is the one that each came from.
    pub to: Option<String>,
    /// None where nothing is done.
    pub id: Option<String>,
    /// Acknowledged, and noted.
    pub moved: u64,
    /// Places that an earlier replay has dealt with, so that they are not read again.
    pub passed: u64,
    /// Left out, for they were replayed before,
    pub already: u64,
    /// too often,
    pub guarded: u64,
    /// do not say where they came from,
    pub orphans: u64,
    /// or are not meant.
    pub others: u64,
    /// Dead letters again.
    pub failed_again: u64,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// What would be moved, where nothing is done.
    pub histogram: Histogram,
}

impl Report {
    /// Nothing was done yet.
    pub fn new(topic: &str, to: Option<&str>, id: Option<String>) -> Self {
        Self {
            topic: topic.to_owned(),
            to: to.map(str::to_owned),
            id,
            moved: 0,
            passed: 0,
            already: 0,
            guarded: 0,
            orphans: 0,
            others: 0,
            failed_again: 0,
            took: Duration::ZERO,
            outcome: Outcome::Complete,
            histogram: Histogram::default(),
        }
    }

    /// Counts one that would be moved.
    pub fn would_move(&mut self, letter: &Letter<'_>) {
        self.histogram.add(letter);
    }

    /// Counts one that is not moved.
    pub fn left_out(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Move => return,
            Verdict::Already => &mut self.already,
            Verdict::Guarded => &mut self.guarded,
            Verdict::Orphan => &mut self.orphans,
            Verdict::Other => &mut self.others,
        };
        *count += 1;
    }

    /// For programs.
    pub fn value(&self) -> Value {
        let mut value = json!({
            "topic": self.topic,
            "to": self.to,
            "dryRun": self.id.is_none(),
            "id": self.id,
            "outcome": format!("{:?}", self.outcome),
            "leftOut": {
                "replayedBefore": self.already,
                "replayedTooOften": self.guarded,
                "withoutOrigin": self.orphans,
                "notMeant": self.others,
            },
        });
        if self.id.is_none() {
            value["wouldReplay"] = self.histogram.value();
        } else {
            value["replayed"] = json!(self.moved);
            value["failedAgain"] = json!(self.failed_again);
            value["seconds"] = json!((self.took.as_secs_f64() * 1000.0).round() / 1000.0);
        }
        value
    }
}
