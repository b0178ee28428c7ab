//! What the command says: progress while it runs, one line at the end.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::send::Sent;
use super::{Output, ProduceArgs};
use crate::cli::grouped::grouped;

const EVERY: Duration = Duration::from_millis(250);

/// A line on standard error that is written over and over; nothing where that is no terminal.
pub(super) struct Progress {
    shown: bool,
    expected: Option<u64>,
    next: Duration,
}

impl Progress {
    pub fn new(shown: bool, expected: Option<u64>) -> Self {
        Self {
            shown,
            expected,
            next: EVERY,
        }
    }

    pub fn is_due(&self, elapsed: Duration) -> bool {
        self.shown && elapsed >= self.next
    }

    pub fn show(&mut self, acknowledged: u64, elapsed: Duration) {
        self.next = elapsed + EVERY;
        let of = self
            .expected
            .map(|expected| format!(" of {}", grouped(expected as i64)));
        let rate = acknowledged as f64 / elapsed.as_secs_f64();
        eprint!(
            "\r\x1b[K{}{} records, {} a second",
            grouped(acknowledged as i64),
            of.unwrap_or_default(),
            grouped(rate as i64)
        );
        let _ = std::io::stderr().flush();
    }

    pub fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

/// The last line.
pub(super) fn line(sent: &Sent, args: &ProduceArgs, partitions: usize) -> String {
    let seconds = sent.took.as_secs_f64();
    let text = match args.output {
        Output::Text => text(sent, &args.topic, partitions),
        Output::Json => json!({
            "topic": args.topic,
            "partitions": partitions,
            "produced": sent.records,
            "startedAt": sent.started_at.to_string(),
            "seconds": (seconds * 1000.0).round() / 1000.0,
        })
        .to_string(),
    };
    format!("{text}\n")
}

fn text(sent: &Sent, topic: &str, partitions: usize) -> String {
    let seconds = sent.took.as_secs_f64();
    let records = if sent.records == 1 {
        "record"
    } else {
        "records"
    };
    let spread = if partitions == 1 {
        "partition"
    } else {
        "partitions"
    };
    let rate = match sent.records {
        0 | 1 => String::new(),
        many => format!(", {} a second", grouped((many as f64 / seconds) as i64)),
    };
    format!(
        "{} {records} produced to {topic} ({partitions} {spread}) in {seconds:.1} s{rate}",
        grouped(sent.records as i64)
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_summary_says_how_much_where_and_how_fast() {
        let sent = |records| Sent {
            records,
            started_at: Timestamp::UNIX_EPOCH,
            took: Duration::from_millis(1_500),
        };
        assert_eq!(
            text(&sent(60_000), "user_events", 12),
            "60,000 records produced to user_events (12 partitions) in 1.5 s, 40,000 a second"
        );
        assert_eq!(
            text(&sent(1), "orders", 1),
            "1 record produced to orders (1 partition) in 1.5 s"
        );
    }
}
