//! What a replay did, in words. Pure.

use std::process::ExitCode;

use super::table::{number, tables};
use crate::redrive::printable;
use crate::redrive::report::{Outcome, Report};
use crate::redrive::words::FLAGS;

/// What goes on where a replay ended, where its times are the same whenever they are read.
pub(super) const SAME_COMMAND: &str = FLAGS.next;

/// The report, for people. `same` is the command that goes on where this one ended.
pub(super) fn text(report: &Report, same: &str) -> String {
    let mut text = match &report.id {
        Some(id) => done(report, id, same),
        None => plan(report),
    };
    for why in &report.would_fail {
        text.push_str(&format!(
            "  it would end with an error: {}\n",
            printable(why)
        ));
    }
    if report.continued {
        text.push_str("  it goes on where the same replay --again was ended; once it is through, the next one begins anew\n");
    } else if report.passed > 0 {
        text.push_str(&format!(
            "  {} dealt with by an earlier replay; --again replays them once more\n",
            match report.passed {
                1 => "1 offset before was".to_owned(),
                many => format!("{} offsets before were", number(many)),
            }
        ));
    }
    if let Some(missing) = report.missing() {
        text.push_str(&format!("  {}\n", printable(&missing)));
    }
    let left_out = report.left_out;
    if report.unclaimed > 0 {
        text.push_str(&format!(
            "  {} of them do not say which consumer gave them up, and count as this KafkaConsumer's\n",
            number(report.unclaimed)
        ));
    }
    for (count, what) in [
        (
            left_out.already,
            "were replayed before; --again replays them once more",
        ),
        (
            left_out.guarded,
            "were replayed too often already, or their count cannot be read; --max-replays raises the bound",
        ),
        (
            left_out.orphans,
            "do not say where they came from; --to sends them somewhere",
        ),
        (
            left_out.foreign,
            "are another consumer's, which has the same dead-letter topic; replay them as that one's",
        ),
    ] {
        if count > 0 {
            text.push_str(&format!("  {} left out: they {what}\n", number(count)));
        }
    }
    if report.id.is_none() && report.histogram.total > 0 {
        text.push_str(&format!("\n{}", tables(&report.histogram)));
    }
    text
}

pub(super) fn exit_code(report: &Report) -> ExitCode {
    ExitCode::from(match report.outcome {
        Outcome::Complete if !report.would_fail.is_empty() => 1,
        Outcome::Complete => 0,
        Outcome::Failing | Outcome::Incomplete => 1,
        Outcome::Interrupted => 130,
    })
}

fn target(report: &Report) -> String {
    let to = report.to.as_ref().map(|to| format!("to {to}"));
    to.unwrap_or_else(|| "to where they came from".to_owned())
}

fn letters(count: u64) -> String {
    match count {
        1 => "1 dead letter".to_owned(),
        many => format!("{} dead letters", number(many)),
    }
}

fn plan(report: &Report) -> String {
    let partly = match report.outcome {
        Outcome::Interrupted => " (interrupted, so not all was counted)",
        _ => "",
    };
    format!(
        "{} of {} would be replayed {}{partly}\n",
        letters(report.histogram.total),
        report.topic,
        target(report)
    )
}

fn done(report: &Report, id: &str, same: &str) -> String {
    let seconds = report.took.as_secs_f64();
    let rate = match report.moved {
        0 | 1 => String::new(),
        many => format!(", {} a second", number((many as f64 / seconds) as u64)),
    };
    let head = match report.outcome {
        Outcome::Complete => "",
        Outcome::Interrupted => "Interrupted: ",
        Outcome::Failing => "Stopped: ",
        Outcome::Incomplete => "Incomplete: ",
    };
    let mut text = format!(
        "{head}{} of {} replayed {} in {seconds:.1} s{rate} (replay {id})\n",
        letters(report.moved),
        report.topic,
        target(report),
    );
    if report.failed_again > 0 {
        text.push_str(&format!(
            "  {} again\n",
            match report.failed_again {
                1 => "1 is a dead letter".to_owned(),
                many => format!("{} are dead letters", number(many)),
            }
        ));
    }
    let goes_on = match report.came_to_the_end {
        true => format!(
            "nothing is left for {same}; what becomes a dead letter again from now on is not counted here: drover dlq list"
        ),
        false => format!("{same} goes on where it was"),
    };
    match report.outcome {
        Outcome::Complete | Outcome::Incomplete => {}
        Outcome::Interrupted => text.push_str(&format!("  {goes_on}\n")),
        Outcome::Failing => text.push_str(&format!(
            "  that is too large a share: mend the cause; {goes_on}\n"
        )),
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::redrive::replay::Verdict;
    use crate::redrive::report::Refused;

    #[test]
    fn a_report_says_what_was_left_out_and_how_to_go_on() {
        let mut report = Report::new("orders.dlq", None, Some("id".to_owned()));
        report.moved = 60_000;
        report.took = Duration::from_millis(1_500);
        report.failed_again = 40_000;
        report.outcome = Outcome::Failing;
        report.passed = 358;
        report.left_out.count(Verdict::Already);
        report.left_out.count(Verdict::Guarded);
        let text = text(&report, SAME_COMMAND);
        assert!(
            text.starts_with("Stopped: 60,000 dead letters of orders.dlq replayed to where they came from in 1.5 s, 40,000 a second (replay id)\n"),
            "{text}"
        );
        for words in [
            "40,000 are dead letters again",
            "358 offsets before were dealt with by an earlier replay; --again",
            "1 left out: they were replayed before",
            "--max-replays",
            "goes on",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(report.value()["replayed"], 60_000);
        assert_eq!(report.value()["outcome"], "Failing");
    }

    #[test]
    fn what_was_interrupted_when_all_was_replayed_is_not_said_to_go_on() {
        let mut report = Report::new("orders.dlq", None, Some("id".to_owned()));
        report.moved = 12;
        report.outcome = Outcome::Interrupted;
        assert!(text(&report, SAME_COMMAND).ends_with("  the same command goes on where it was\n"));
        report.came_to_the_end = true;
        let text = text(&report, SAME_COMMAND);
        assert!(text.starts_with("Interrupted: 12 dead letters"), "{text}");
        assert!(
            text.contains("nothing is left for the same command"),
            "{text}"
        );
        assert!(!text.contains("goes on"), "{text}");
    }

    #[test]
    fn what_goes_on_where_a_replay_ended_is_told_as_it_is() {
        let mut report = Report::new("orders.dlq", None, Some("id".to_owned()));
        report.outcome = Outcome::Interrupted;
        report.passed = 3;
        report.continued = true;
        let text = text(
            &report,
            "the same command with --since 2026-01-01T00:00:00Z",
        );
        assert!(
            text.contains(
                "  the same command with --since 2026-01-01T00:00:00Z goes on where it was\n"
            ),
            "{text}"
        );
        assert!(text.contains("the same replay --again was ended"), "{text}");
        assert!(!text.contains("offsets before"), "{text}");
    }

    #[test]
    fn what_would_end_a_replay_is_told_by_its_dry_run() {
        let mut report = Report::new("orders.dlq", None, None);
        assert_eq!(exit_code(&report), ExitCode::SUCCESS);
        report.would_fail = vec!["topic orders does not exist".to_owned()];
        let text = text(&report, SAME_COMMAND);
        assert!(
            text.contains("it would end with an error: topic orders does not exist\n"),
            "{text}"
        );
        assert_eq!(exit_code(&report), ExitCode::from(1));
        assert_eq!(
            report.value()["wouldFail"][0],
            "topic orders does not exist"
        );
    }

    #[test]
    fn what_was_refused_or_deleted_is_named_with_what_to_do() {
        let mut report = Report::new("orders.dlq", None, Some("id".to_owned()));
        report.moved = 996;
        report.outcome = Outcome::Incomplete;
        report.deleted = 12;
        for offset in 0..4 {
            report.refused.push(Refused {
                partition: 2,
                offset,
                why: "Message size too large".to_owned(),
            });
        }
        let text = text(&report, SAME_COMMAND);
        assert!(text.starts_with("Incomplete: 996 dead letters"), "{text}");
        for words in [
            "12 offsets were deleted",
            "4 were refused",
            "partition 2 offset 0 (Message size too large)",
            "and 1 more",
            "the next replay tries them again",
            "max.message.bytes",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(exit_code(&report), ExitCode::from(1));
        assert_eq!(report.value()["refused"].as_array().unwrap().len(), 4);
        assert_eq!(report.value()["leftOut"]["deleted"], 12);
    }
}
