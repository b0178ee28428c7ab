//! Whoever may commit can write a report: whatever it says, it is read, and decided on.

use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::report::{Later, Outcomes, Stuck, Suspect, Tries};
use crate::scaling::{Policy, Sample, Schedule, State, step};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0..5_000_u64,
        1 => Just(u64::MAX),
        1 => Just(i64::MAX.unsigned_abs()),
        1 => any::<u64>(),
    ]
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..5_000_i64,
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
        1 => -5..5_i64,
        1 => any::<i64>(),
    ]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..20_u32, 1 => Just(u32::MAX)]
}

prop_compose! {
    fn report()(
        pod in "pod-[ab]",
        counts in (number(), number(), number(), number()),
        slots in small(),
        outcomes in prop::option::of((small(), small(), number())),
        tried in small(),
        stuck in prop::option::of((offset(), small())),
        later in prop::option::of((number(), number(), number(), offset(), number())),
        tries in prop::collection::vec((offset(), small(), prop::option::of(number())), 0..5),
        suspects in prop::collection::vec((offset(), small()), 0..3),
        ahead in prop::collection::vec((offset(), offset()), 0..5),
    ) -> Report {
        let (done, busy, failures, slow_downs) = counts;
        Report {
            pod,
            done,
            busy: Duration::from_millis(busy),
            slots,
            failures,
            slow_downs,
            outcomes: outcomes.map(|(given_up, of, at)| Outcomes { given_up, of, at }),
            dead_letter: None,
            handler: None,
            past: None,
            topic_id: None,
            tried,
            stuck: stuck.map(|(offset, attempts)| Stuck {
                offset,
                attempts,
                error: "HttpStatus 500".to_owned(),
            }),
            later: later.map(|(records, behind, next_at, next, more)| Later {
                records,
                behind,
                next_at,
                next,
                more,
            }),
            tries: sorted(tries, |tries| tries.0)
                .map(|(offset, attempts, next_at)| Tries { offset, attempts, next_at })
                .collect(),
            suspects: sorted(suspects, |suspect| suspect.0)
                .map(|(offset, kills)| Suspect { offset, kills })
                .collect(),
            ahead: sorted(ahead, |range| range.0)
                .map(|(start, end)| Range { start, end })
                .collect(),
        }
    }
}

/// As a worker writes them: what is not in order is left out of the text.
fn sorted<T>(mut all: Vec<T>, by: impl Fn(&T) -> i64) -> std::vec::IntoIter<T> {
    all.sort_by_key(by);
    all.into_iter()
}

/// What is committed of some partitions, and where they end.
type Look = Vec<(i64, Report, i64)>;

proptest! {
    #[test]
    fn whatever_a_report_says_it_is_read_and_decided_on(
        looks in prop::collection::vec(prop::collection::vec((offset(), report(), offset()), 3), 1..5),
    ) {
        let looks: Vec<Look> = looks;
        let policy = Policy {
            min: 0,
            max: None,
            schedule: Schedule::default(),
            max_delay: Duration::from_secs(30),
            idle_to_zero: Some(Duration::from_secs(30)),
            rate: None,
            concurrency: 8,
        };
        let (mut memory, mut state) = (Memory::default(), State::default());
        let mut at = Timestamp::from_second(1_800_000_000).unwrap();
        for look in looks {
            at += jiff::SignedDuration::from_secs(1);
            let of = |number: usize| TopicPartition::new("t", i32::try_from(number).unwrap());
            let partitions: Vec<_> = (0..look.len()).map(of).collect();
            let mut ends = Ends::default();
            let mut committed = Answers::new();
            for (partition, (offset, report, end)) in partitions.iter().zip(&look) {
                let offset = Offset(*offset);
                let said = Committed {
                    offset: Some(offset),
                    metadata: report.encode(offset).into_bytes(),
                };
                committed.insert(partition.clone(), Ok(said));
                ends.end.insert(partition.clone(), Ok(Some(Offset(*end))));
                ends.start.insert(partition.clone(), Offset(0));
            }
            let said = Said {
                committed: &committed,
                hosts: &Hosts::new(),
                open_ends: OpenEnds::new(),
                has_members: false,
            };
            let read = memory.assemble(at, &partitions, &said, &ends);
            for seen in read.partitions.values().flatten() {
                // What is left to do is never more than what is there.
                prop_assert!(seen.next() >= seen.position());
                if let Ok(lag) = seen.lag() {
                    prop_assert!(seen.waits() <= lag.0, "{:?}", seen);
                }
            }
            let sample = Sample {
                at,
                partitions: read.partitions,
                pods: read.pods,
                current: 2,
                ready: 2,
                rolling: false,
                held_up: false,
                starts: Vec::new(),
            };
            let (next, decision) = step(&policy, state, &sample, at);
            state = next;
            prop_assert!(decision.replicas <= 3);
            for why in &decision.reasons {
                prop_assert!(!why.to_string().is_empty());
            }
        }
    }
}
