//! What a replay did. Pure.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::Verdict;
use crate::cli::dlq::histogram::{Histogram, number};
use crate::cli::dlq::letter::Letter;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All was dealt with.
    Complete,
    /// Somebody stopped it.
    Interrupted,
    /// Too many came back.
    Failing,
}

/// What a replay did, or would do.
#[derive(Debug)]
pub(super) struct Report {
    topic: String,
    to: Option<String>,
    /// None where nothing is done.
    pub id: Option<String>,
    /// Acknowledged, and noted.
    pub moved: u64,
    already: u64,
    guarded: u64,
    orphans: u64,
    others: u64,
    /// Dead letters again.
    pub failed_again: u64,
    pub took: Duration,
    pub outcome: Outcome,
    histogram: Histogram,
}

impl Report {
    pub fn new(topic: &str, to: Option<&str>, id: Option<String>) -> Self {
        Self {
            topic: topic.to_owned(),
            to: to.map(str::to_owned),
            id,
            moved: 0,
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

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.outcome {
            Outcome::Complete => 0,
            Outcome::Failing => 1,
            Outcome::Interrupted => 130,
        })
    }

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

    pub fn text(&self) -> String {
        let mut text = match &self.id {
            Some(id) => self.done(id),
            None => self.plan(),
        };
        for (count, what) in [
            (self.already, "were replayed before"),
            (
                self.guarded,
                "were replayed too often already; --max-replays raises the bound",
            ),
            (
                self.orphans,
                "do not say where they came from; --to sends them somewhere",
            ),
        ] {
            if count > 0 {
                text.push_str(&format!("  {} left out: they {what}\n", number(count)));
            }
        }
        if self.id.is_none() && self.histogram.total > 0 {
            text.push_str(&format!("\n{}", self.histogram.text()));
        }
        text
    }

    fn target(&self) -> String {
        let to = self.to.as_ref().map(|to| format!("to {to}"));
        to.unwrap_or_else(|| "to where they came from".to_owned())
    }

    fn plan(&self) -> String {
        let partly = match self.outcome {
            Outcome::Interrupted => " (interrupted, so not all was counted)",
            _ => "",
        };
        let count = number(self.histogram.total);
        format!(
            "{count} dead letters of {} would be replayed {}{partly}\n",
            self.topic,
            self.target()
        )
    }

    fn done(&self, id: &str) -> String {
        let seconds = self.took.as_secs_f64();
        let rate = match self.moved {
            0 | 1 => String::new(),
            many => format!(", {} a second", number((many as f64 / seconds) as u64)),
        };
        let head = match self.outcome {
            Outcome::Complete => "",
            Outcome::Interrupted => "Interrupted: ",
            Outcome::Failing => "Stopped: ",
        };
        let mut text = format!(
            "{head}{} dead letters of {} replayed {} in {seconds:.1} s{rate} (replay {id})\n",
            number(self.moved),
            self.topic,
            self.target(),
        );
        if self.failed_again > 0 {
            text.push_str(&format!(
                "  {} are dead letters again\n",
                number(self.failed_again)
            ));
        }
        match self.outcome {
            Outcome::Complete => {}
            Outcome::Interrupted => text.push_str("  the same command goes on where it was\n"),
            Outcome::Failing => text.push_str(
                "  that is too large a share: mend the cause; the same command goes on where it was\n",
            ),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_left_out_and_how_to_go_on() {
        let mut report = Report::new("orders.dlq", None, Some("id".to_owned()));
        report.moved = 60_000;
        report.took = Duration::from_millis(1_500);
        report.failed_again = 40_000;
        report.outcome = Outcome::Failing;
        report.left_out(Verdict::Already);
        report.left_out(Verdict::Guarded);
        let text = report.text();
        assert!(
            text.starts_with("Stopped: 60,000 dead letters of orders.dlq replayed to where they came from in 1.5 s, 40,000 a second (replay id)\n"),
            "{text}"
        );
        for words in [
            "40,000 are dead letters again",
            "1 left out: they were replayed before",
            "--max-replays",
            "goes on",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(report.value()["replayed"], 60_000);
        assert_eq!(report.value()["outcome"], "Failing");
    }
}
