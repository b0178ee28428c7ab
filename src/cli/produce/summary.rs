//! What the command says at the end.

use serde_json::json;

use super::send::Sent;
use super::{Output, ProduceArgs};
use crate::cli::grouped::grouped;
use crate::plural::noun;

/// The last line.
pub(super) fn line(sent: &Sent, args: &ProduceArgs, partitions: usize) -> String {
    let seconds = sent.took.as_secs_f64();
    let text = match args.output {
        Output::Text => text(sent, &args.topic, partitions),
        Output::Json => json!({
            "topic": args.topic,
            "partitions": partitions,
            "produced": sent.records,
            "passedOver": sent.passed_over,
            "startedAt": sent.started_at.to_string(),
            "seconds": (seconds * 1000.0).round() / 1000.0,
        })
        .to_string(),
    };
    format!("{text}\n")
}

/// What became of the records before one that could not be read.
pub(super) fn before(records: u64) -> String {
    match records {
        0 => "nothing was produced".to_owned(),
        1 => "the record before it is produced".to_owned(),
        many => format!(
            "the {} records before it are produced",
            grouped(many as i64)
        ),
    }
}

fn text(sent: &Sent, topic: &str, partitions: usize) -> String {
    let seconds = sent.took.as_secs_f64();
    let records = noun("record", sent.records);
    let spread = noun("partition", partitions);
    let rate = match sent.records {
        0 | 1 => String::new(),
        many => format!(", {} a second", grouped((many as f64 / seconds) as i64)),
    };
    let passed_over = match sent.passed_over {
        0 => String::new(),
        some => format!("; {} passed over", grouped(some as i64)),
    };
    format!(
        "{} {records} produced to {topic} ({partitions} {spread}) in {seconds:.1} s{rate}{passed_over}",
        grouped(sent.records as i64)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_summary_says_how_much_where_and_how_fast() {
        let sent = |records| Sent {
            records,
            passed_over: 0,
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
        let partly = Sent {
            passed_over: 2,
            ..sent(1)
        };
        assert_eq!(
            text(&partly, "orders", 1),
            "1 record produced to orders (1 partition) in 1.5 s; 2 passed over"
        );
    }
}
