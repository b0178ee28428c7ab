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
    /// All that was there and that its topic takes: some were refused, or deleted before their turn.
    Incomplete,
    /// Somebody stopped it.
    Interrupted,
    /// Too many came back.
    Failing,
}

/// Letters that are not moved, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They were replayed before,
    pub already: u64,
    /// too often, or so that nobody can read how often,
    pub guarded: u64,
    /// do not say where they came from,
    pub orphans: u64,
    /// were given up by another consumer,
    pub foreign: u64,
    /// or are not meant.
    pub others: u64,
}

impl Tally {
    /// Counts one that is not moved.
    pub fn count(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Move => return,
            Verdict::Already => &mut self.already,
            Verdict::Guarded => &mut self.guarded,
            Verdict::Orphan => &mut self.orphans,
            Verdict::Foreign => &mut self.foreign,
            Verdict::Other => &mut self.others,
        };
        *count += 1;
    }

    /// Counts what another one has counted.
    pub fn add(&mut self, other: Self) {
        self.already += other.already;
        self.guarded += other.guarded;
        self.orphans += other.orphans;
        self.foreign += other.foreign;
        self.others += other.others;
    }
}

/// A letter that the topic it goes to does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it is, in the dead-letter topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The broker's words.
    pub why: String,
}

/// Letters that are named one by one.
const NAMED: usize = 3;

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
    /// Of those that were moved, or would be: they do not say whose they are, and were taken for the KafkaConsumer's.
    pub unclaimed: u64,
    /// Places that an earlier replay has dealt with, so that they are not read again.
    pub passed: u64,
    /// It goes on with what the same wish to move letters again has begun.
    pub continued: bool,
    /// Left out.
    pub left_out: Tally,
    /// Not taken by the topic that they go to. They stay, and are not noted as replayed.
    pub refused: Vec<Refused>,
    /// Offsets that were deleted, by retention or by somebody, before their turn came.
    pub deleted: u64,
    /// Dead letters again.
    pub failed_again: u64,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// It came to the end of what there was, whatever came afterwards.
    pub came_to_the_end: bool,
    /// What would be moved, where nothing is done.
    pub histogram: Histogram,
    /// What would end it with an error, likewise.
    pub would_fail: Vec<String>,
}

impl Report {
    /// Nothing was done yet.
    pub fn new(topic: &str, to: Option<&str>, id: Option<String>) -> Self {
        Self {
            topic: topic.to_owned(),
            to: to.map(str::to_owned),
            id,
            moved: 0,
            unclaimed: 0,
            passed: 0,
            continued: false,
            left_out: Tally::default(),
            refused: Vec::new(),
            deleted: 0,
            failed_again: 0,
            took: Duration::ZERO,
            outcome: Outcome::Complete,
            came_to_the_end: false,
            histogram: Histogram::default(),
            would_fail: Vec::new(),
        }
    }

    /// Counts one that would be moved.
    pub fn would_move(&mut self, letter: &Letter<'_>) {
        self.histogram.add(letter);
    }

    /// What was not replayed though it was meant, and what to do; none where all was.
    pub fn missing(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.deleted > 0 {
            parts.push(format!(
                "{} {} deleted, by retention or by somebody, before their turn came; what was in them is lost here",
                self.deleted,
                match self.deleted {
                    1 => "offset was",
                    _ => "offsets were",
                }
            ));
        }
        if !self.refused.is_empty() {
            let named = self.refused.iter().take(NAMED).map(|refused| {
                let Refused {
                    partition,
                    offset,
                    why,
                } = refused;
                format!("partition {partition} offset {offset} ({why})")
            });
            let named: Vec<String> = named.collect();
            let more = match self.refused.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            parts.push(format!(
                "{} were refused by the topic that they go to: {}{more}; they stay, and the next replay tries them again: change that topic (max.message.bytes, cleanup.policy), or send them to another one",
                self.refused.len(),
                named.join(", "),
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// For programs.
    pub fn value(&self) -> Value {
        let mut value = json!({
            "topic": self.topic,
            "to": self.to,
            "dryRun": self.id.is_none(),
            "id": self.id,
            "withoutConsumer": self.unclaimed,
            "outcome": format!("{:?}", self.outcome),
            "leftOut": {
                "replayedBefore": self.left_out.already,
                "replayedTooOften": self.left_out.guarded,
                "withoutOrigin": self.left_out.orphans,
                "ofOtherConsumers": self.left_out.foreign,
                "notMeant": self.left_out.others,
                "deleted": self.deleted,
            },
        });
        if self.id.is_none() {
            value["wouldReplay"] = self.histogram.value();
            value["wouldFail"] = json!(self.would_fail);
        } else {
            value["replayed"] = json!(self.moved);
            value["failedAgain"] = json!(self.failed_again);
            let refused = self.refused.iter().map(|refused| {
                json!({ "partition": refused.partition, "offset": refused.offset, "why": refused.why })
            });
            value["refused"] = refused.collect();
            value["seconds"] = json!((self.took.as_secs_f64() * 1000.0).round() / 1000.0);
        }
        value
    }
}
