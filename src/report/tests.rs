use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::report::{LEAST_BYTES, Later, Stuck, Suspect, Tries};

fn report() -> Report {
    Report {
        pod: "users-7f-x2".to_owned(),
        done: 1200,
        busy: Duration::from_secs(90),
        slots: 16,
        failures: 3,
        slow_downs: 1,
        outcomes: Some(Outcomes {
            given_up: 3,
            of: 50,
            at: 1_800_000_000,
        }),
        dead_letter: Some("TooSmall".to_owned()),
        handler: Some("connect to users:80: no answer".to_owned()),
        topic_id: Some("lZtYPFWLTF2NS84pTXLvCA".to_owned()),
        tried: 2,
        stuck: Some(Stuck {
            offset: 500,
            attempts: 6,
            error: "HttpStatus 500".to_owned(),
        }),
        later: Some(Later {
            records: 1,
            behind: 4,
            next_at: 1_800_000_030,
            next: 506,
            more: 7,
        }),
        tries: vec![
            Tries {
                offset: 500,
                attempts: 2,
                next_at: Some(1_800_000_030),
            },
            Tries {
                offset: 507,
                attempts: 1,
                next_at: None,
            },
        ],
        suspects: vec![
            Suspect {
                offset: 503,
                kills: 1,
            },
            Suspect {
                offset: 509,
                kills: 0,
            },
        ],
        ahead: vec![501..506, 509..510],
        past: None,
    }
}

const AT: Offset = Offset(500);

/// `text` with a right sum.
fn summed(text: &str) -> String {
    format!("{text} sum={:08x}", sum(text))
}

#[test]
fn the_text_is_for_people_too() {
    assert_eq!(
        report().encode(AT),
        summed(
            "drover/1 at=500 pod=users-7f-x2 done=1200 busy-ms=90000 slots=16 fail=3 slow=1 \
             outcomes=3/50@1800000000 dead-letter=TooSmall handler=connect%20to%20users:80:%20no%20answer topic-id=lZtYPFWLTF2NS84pTXLvCA tried=2 \
             stuck=500,6,HttpStatus%20500 later=1,4,1800000030,6,7 tries=0:2@1800000030,7:1 suspects=3:1,9:0 ahead=1-5,9"
        )
    );
}

#[test]
fn unknown_words_of_a_later_version_are_passed_over() {
    let text = report().encode(AT);
    let (said, _) = text.rsplit_once(" sum=").unwrap();
    let text = summed(&format!("{said} mood=good nonsense"));
    assert_eq!(Report::decode(&text, AT), Ok(report()));
}

#[test]
fn a_report_of_the_version_before_is_read_and_ours_has_all_that_it_reads() {
    let before = "drover/1 at=500 pod=users-7f-x2 done=1200 busy-ms=90000 slots=16 fail=3 slow=1 \
                  tried=2 stuck=500,6,HttpStatus%20500 ahead=1-5,9";
    let read = Report::decode(&summed(before), AT).unwrap();
    let ours = Report {
        outcomes: None,
        dead_letter: None,
        handler: None,
        topic_id: None,
        later: None,
        tries: Vec::new(),
        suspects: Vec::new(),
        ..report()
    };
    assert_eq!(read, ours);

    // It passes over words that it does not know: those that it does must be there as they were.
    let text = report().encode(AT);
    let (text, _) = text.rsplit_once(" sum=").unwrap();
    let known: Vec<_> = text
        .split(' ')
        .filter(|word| {
            let new = [
                "outcomes=",
                "dead-letter=",
                "handler=",
                "topic-id=",
                "later=",
                "tries=",
                "suspects=",
            ];
            !new.iter().any(|new| word.starts_with(new))
        })
        .collect();
    assert_eq!(known.join(" "), before);
}

#[test]
fn suspects_that_make_no_sense_are_refused() {
    for suspects in ["", "3", "3:x", "-1:0", "3:1,3:1", "4:0,3:0"] {
        let text = summed(&format!(
            "drover/1 at=5 pod=a done=1 busy-ms=1 slots=1 fail=0 slow=0 suspects={suspects}"
        ));
        let refused = Err(NotAReport::Damaged("suspects"));
        assert_eq!(Report::decode(&text, Offset(5)), refused, "{suspects}");
    }
}

#[test]
fn later_attempts_that_make_no_sense_are_refused() {
    for later in [
        "",
        "1",
        "1,2,3,4",
        "0,2,3,4,5",
        "1,2,3,-4,5",
        "1,2,3,4,5,6",
        "1,2,3,x,5",
    ] {
        let text = summed(&format!(
            "drover/1 at=5 pod=a done=1 busy-ms=1 slots=1 fail=0 slow=0 later={later}"
        ));
        let refused = Err(NotAReport::Damaged("later"));
        assert_eq!(Report::decode(&text, Offset(5)), refused, "{later}");
    }
}

#[test]
fn tries_that_make_no_sense_are_refused() {
    for tries in [
        "", "1", "1:", ":1", "1:x", "1:1@", "1:1@x", "-1:1", "2:1,1:1", "1:1,1:2",
    ] {
        let text = summed(&format!(
            "drover/1 at=5 pod=a done=1 busy-ms=1 slots=1 fail=0 slow=0 tries={tries}"
        ));
        let refused = Err(NotAReport::Damaged("tries"));
        assert_eq!(Report::decode(&text, Offset(5)), refused, "{tries}");
    }
}

#[test]
fn outcomes_that_make_no_sense_are_refused() {
    for outcomes in [
        "", "1", "1/2", "1@2", "1/2@", "/2@3", "1/@3", "2/1@3", "-1/1@3", "1/x@3",
    ] {
        let text = summed(&format!(
            "drover/1 at=5 pod=a done=1 busy-ms=1 slots=1 fail=0 slow=0 outcomes={outcomes}"
        ));
        let refused = Err(NotAReport::Damaged("outcomes"));
        assert_eq!(Report::decode(&text, Offset(5)), refused, "{outcomes}");
    }
}

#[test]
fn foreign_text_is_told_from_damaged_text() {
    let text = report().encode(AT);
    for (text, why) in [
        (String::new(), NotAReport::Empty),
        ("{\"tool\": 1}".to_owned(), NotAReport::Foreign),
        ("drover/".to_owned(), NotAReport::Foreign),
        ("drover/x done=1".to_owned(), NotAReport::Foreign),
        ("drover/2 done=1".to_owned(), NotAReport::OtherVersion(2)),
        (
            "drover/1 done=1".to_owned(),
            NotAReport::Damaged("it has no sum"),
        ),
        (
            text.replace("done=1200", "done=1201"),
            NotAReport::Damaged("its sum is wrong"),
        ),
        (summed("drover/1 at=1 pod=a"), NotAReport::Damaged("done")),
    ] {
        assert_eq!(Report::decode(&text, AT), Err(why), "{text}");
    }
}

#[test]
fn a_text_that_was_cut_anywhere_is_refused() {
    let text = report().encode(AT);
    for end in 0..text.len() {
        assert!(
            Report::decode(&text[..end], AT).is_err(),
            "{}",
            &text[..end]
        );
    }
}

#[test]
fn a_text_copied_to_another_offset_makes_nobody_skip_records() {
    let read = Report::decode(&report().encode(AT), Offset(490)).unwrap();
    assert_eq!(read.done, 1200);
    assert_eq!((read.tried, &read.topic_id), (0, &None));
    assert_eq!(read.tries, []);
    assert_eq!((read.stuck, read.later), (None, None));
    assert_eq!(read.ahead, []);
}

#[test]
fn ranges_that_overlap_or_run_backwards_are_refused() {
    for ahead in [
        "5-4",
        "5,5",
        "5-9,8",
        "9,5",
        "-1",
        "1-",
        "x",
        "",
        "9223372036854775807",
    ] {
        let text = summed(&format!(
            "drover/1 at=5 pod=a done=1 busy-ms=1 slots=1 fail=0 slow=0 ahead={ahead}"
        ));
        let refused = Err(NotAReport::Damaged("ahead"));
        assert_eq!(Report::decode(&text, Offset(5)), refused, "{ahead}");
    }
}

#[test]
fn what_has_no_room_is_cut_from_the_high_end_of_ahead() {
    let full = Report {
        ahead: (0..5000).map(|i| 502 + 2 * i..503 + 2 * i).collect(),
        ..report()
    };
    let text = full.encode(AT);
    assert!(
        text.len() <= MAX_BYTES && text.len() > MAX_BYTES - 10,
        "{}",
        text.len()
    );
    let read = Report::decode(&text, AT).unwrap();
    assert_eq!(read.stuck, full.stuck);
    assert!(full.ahead.starts_with(&read.ahead));
}

fn ranges(from: i64) -> impl Strategy<Value = Vec<Range<i64>>> {
    proptest::collection::vec((1..5_000_i64, 1..5_000_i64), 0..700).prop_map(move |steps| {
        let mut end = from;
        let range = |(gap, length)| {
            let start = end + gap;
            end = start + length;
            start..end
        };
        steps.into_iter().map(range).collect()
    })
}

fn tries(from: i64) -> impl Strategy<Value = Vec<Tries>> {
    let one = (
        0..5_000_i64,
        1..u32::MAX,
        proptest::option::of(any::<u64>()),
    );
    proptest::collection::vec(one, 0..200).prop_map(move |steps| {
        let mut next = from;
        let tries = |(gap, attempts, next_at)| {
            let offset = next + gap;
            next = offset + 1;
            Tries {
                offset,
                attempts,
                next_at,
            }
        };
        steps.into_iter().map(tries).collect()
    })
}

fn suspects(from: i64) -> impl Strategy<Value = Vec<Suspect>> {
    let kills = prop_oneof![Just(0), 0..3_u32, any::<u32>()];
    let one = (0..5_000_i64, kills);
    proptest::collection::vec(one, 0..200).prop_map(move |steps| {
        let mut next = from;
        let suspect = |(gap, kills)| {
            let offset = next + gap;
            next = offset + 1;
            Suspect { offset, kills }
        };
        steps.into_iter().map(suspect).collect()
    })
}

prop_compose! {
    fn any_report(at: i64)(
        pod in "[^\\pC]{0,300}",
        numbers in any::<(u64, u64, u32, u64, u64, u32)>(),
        outcomes in proptest::option::of(any::<(u32, u32, u64)>()),
        stuck in proptest::option::of((any::<i64>(), any::<u32>(), "[^\\pC]{0,300}")),
        dead_letter in proptest::option::of("[A-Za-z]{1,40}"),
        handler in proptest::option::of("[ -~]{0,150}"),
        topic_id in proptest::option::of("[-_A-Za-z0-9]{22}"),
        later in proptest::option::of((1..u64::MAX, any::<(u64, u64, u64)>(), 0..5_000_i64)),
        tries in tries(at),
        suspects in suspects(at),
        ahead in ranges(at),
    ) -> Report {
        let (done, busy_ms, slots, failures, slow_downs, tried) = numbers;
        let busy = Duration::from_millis(busy_ms);
        let stuck = stuck.map(|(offset, attempts, error)| Stuck { offset, attempts, error });
        let outcomes = outcomes.map(|(some, others, at)| Outcomes {
            given_up: some.min(others), of: some.max(others), at,
        });
        let later = later.map(|(records, (behind, next_at, more), next)| Later {
            records, behind, next_at, next: at + next, more,
        });
        Report {
            later,
            pod, done, busy, slots, failures, slow_downs, outcomes, dead_letter, handler, topic_id, tried, stuck, tries, suspects,
            ahead, past: None,
        }
    }
}

fn is_beginning(part: &str, whole: &str) -> bool {
    whole.starts_with(part)
}

proptest! {
    #[test]
    fn a_report_is_read_as_it_was_written_up_to_what_was_cut(
        (at, written) in (0..i64::MAX / 2).prop_flat_map(|at| (Just(at), any_report(at)))
    ) {
        let text = written.encode(Offset(at));
        prop_assert!(text.len() <= MAX_BYTES);
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let read = Report::decode(&text, Offset(at)).unwrap();

        prop_assert!(is_beginning(&read.pod, &written.pod));
        prop_assert!(written.ahead.starts_with(&read.ahead));
        prop_assert!(written.tries.starts_with(&read.tries));
        let left_out = |suspect: &&Suspect| !read.suspects.contains(suspect);
        let left_out: Vec<_> = written.suspects.iter().filter(left_out).collect();
        prop_assert_eq!(read.suspects.len() + left_out.len(), written.suspects.len());
        let mut others = read.suspects.iter().filter(|suspect| suspect.kills == 0);
        prop_assert!(others.next().is_none() || left_out.iter().all(|suspect| suspect.kills == 0));
        match (&read.stuck, &written.stuck) {
            (Some(read), Some(written)) => {
                prop_assert_eq!((read.offset, read.attempts), (written.offset, written.attempts));
                prop_assert!(is_beginning(&read.error, &written.error));
            }
            (read, written) => prop_assert_eq!(read, written),
        }
        let numbers = |report: &Report| Report {
            pod: String::new(), stuck: None, tries: Vec::new(), suspects: Vec::new(), ahead: Vec::new(),
            ..report.clone()
        };
        prop_assert_eq!(numbers(&read), numbers(&written));

        let short = written.encode_within(Offset(at), LEAST_BYTES);
        prop_assert!(short.len() <= LEAST_BYTES);
        let read = Report::decode(&short, Offset(at)).unwrap();
        prop_assert!(written.ahead.starts_with(&read.ahead));
        prop_assert!(written.tries.starts_with(&read.tries));
    }

    #[test]
    fn no_text_makes_reading_panic(text in any::<String>(), at in any::<i64>()) {
        let _ = Report::decode(&text, Offset(at));
        let _ = Report::decode(&summed(&format!("drover/1 {text}")), Offset(at));
    }

    #[test]
    fn no_value_makes_reading_panic(
        words in proptest::collection::vec(
            ("(at|pod|done|busy-ms|slots|fail|slow|dead-letter|handler|topic-id|tries|suspects|stuck|ahead|but|past)", "[-0-9,:@%a-f]{0,25}"), 0..12),
        at in any::<i64>(),
    ) {
        let words: Vec<_> = words.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = Report::decode(&summed(&format!("drover/1 {}", words.join(" "))), Offset(at));
    }

    #[test]
    fn no_report_makes_writing_panic(
        mut written in any_report(0),
        at in any::<i64>(),
        odd in proptest::collection::vec(any::<(i64, i64)>(), 0..5),
    ) {
        written.ahead.extend(odd.into_iter().map(|(start, end)| start..end));
        prop_assert!(written.encode(Offset(at)).len() <= MAX_BYTES);
        for most in [LEAST_BYTES, 512, 1024] {
            let text = written.encode_within(Offset(at), most);
            prop_assert!(text.len() <= most, "{most}: {text}");
        }
    }
}
