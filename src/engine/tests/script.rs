//! Random scripts for a world: what its broker, group and handler do next.

use proptest::collection::vec;
use proptest::prelude::*;

use super::history::Answer;
use super::rig::ms;
use crate::engine::{Breaker, RateLimit, Run, Settings};
use crate::worker_config::{OnExhausted, Ordering};

/// Partitions of the topic.
pub(super) const PARTITIONS: i32 = 3;

/// A record of a log: what it is, and how many offsets before it do not exist.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub gap: i64,
    pub key: Option<u64>,
    pub bytes: usize,
}

/// One step. Numbers choose among what is there, whatever their size.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Assign(usize),
    Revoke(u32),
    Lose(usize),
    /// Assigned anew although it was not given back yet.
    AssignAnew(usize),
    Read(usize, usize),
    /// The client reads a record a second time, and reads on from there if it was reset.
    ReadAgain(usize, usize),
    End(usize),
    /// The next record of a partition cannot be read.
    Bar(usize),
    Answer(usize, Answer, Option<u64>),
    Letter(usize, bool),
    Commit(CommitFate),
    /// An answer that nobody waits for any more.
    Echo(usize, bool),
    Pass(u64),
    PassToDeadline,
    Sleep,
    /// The worker is killed, and another begins in its place.
    Crash,
    Shutdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitFate {
    Taken,
    /// Taken but for the first partition.
    InPart,
    /// Sent in a generation that was over.
    Outdated,
    Later,
    /// Taken, but the answer got lost.
    TakenButLater,
    Dropped,
    Fatal,
}

#[derive(Debug, Clone)]
pub(super) struct Script {
    pub settings: Settings,
    pub logs: Vec<Vec<Logged>>,
    /// Offsets after the last record that do not exist.
    pub tails: Vec<i64>,
    pub steps: Vec<Step>,
}

/// Picks by weight: `number` is consumed as far as it is used.
fn weighted<T: Copy>(number: &mut u32, choices: &[(u32, T)]) -> T {
    let mut rest = take(number, choices.iter().map(|(weight, _)| weight).sum());
    for (weight, choice) in choices {
        if rest < *weight {
            return *choice;
        }
        rest -= weight;
    }
    unreachable!("the rest is below the sum")
}

/// A number below `limit` out of `number`.
fn take(number: &mut u32, limit: u32) -> u32 {
    let taken = *number % limit;
    *number /= limit;
    taken
}

const ANSWERS: [(u32, Answer); 12] = [
    (12, Answer::Done),
    (1, Answer::Skip),
    (5, Answer::Retry),
    (1, Answer::Reject),
    (1, Answer::SlowDown),
    (1, Answer::Misconfigured),
    (1, Answer::Duplicate),
    (1, Answer::Postponed),
    (1, Answer::HeldUp),
    (1, Answer::Undeliverable),
    (1, Answer::NotYet),
    (1, Answer::Cancelled),
];

const FATES: [(u32, CommitFate); 7] = [
    (6, CommitFate::Taken),
    (1, CommitFate::InPart),
    (1, CommitFate::Outdated),
    (1, CommitFate::Later),
    (1, CommitFate::TakenButLater),
    (1, CommitFate::Dropped),
    (1, CommitFate::Fatal),
];

/// A step out of one number: a strategy for each kind of step would cost more time than all that is
/// played.
fn step(mut number: u32) -> Step {
    let n = &mut number;
    let kinds = [
        (20, Step::Read(0, 0)),
        (24, Step::Answer(0, Answer::Done, None)),
        (10, Step::Commit(CommitFate::Taken)),
        (10, Step::PassToDeadline),
        (5, Step::Pass(0)),
        (6, Step::Assign(0)),
        (6, Step::Letter(0, true)),
        (2, Step::Revoke(0)),
        (2, Step::ReadAgain(0, 0)),
        (2, Step::End(0)),
        (2, Step::Bar(0)),
        (4, Step::Echo(0, true)),
        (1, Step::Lose(0)),
        (1, Step::AssignAnew(0)),
        (1, Step::Sleep),
        (1, Step::Crash),
    ];
    let which = |n: &mut u32| take(n, 60) as usize;
    match weighted(n, &kinds) {
        Step::Read(..) => Step::Read(which(n), 1 + take(n, 5) as usize),
        Step::Answer(..) => {
            let (which, answer) = (which(n), weighted(n, &ANSWERS));
            let after = (take(n, 2) == 1).then(|| u64::from(take(n, 3_000)));
            Step::Answer(which, answer, after)
        }
        Step::Commit(_) => Step::Commit(weighted(n, &FATES)),
        Step::Pass(_) => Step::Pass(u64::from(take(n, 4_000))),
        Step::Assign(_) => Step::Assign(which(n)),
        Step::Letter(..) => Step::Letter(which(n), take(n, 2) == 1),
        Step::Revoke(_) => Step::Revoke(1 + take(n, 7)),
        Step::ReadAgain(..) => Step::ReadAgain(which(n), which(n)),
        Step::End(_) => Step::End(which(n)),
        Step::Bar(_) => Step::Bar(which(n)),
        Step::Echo(..) => Step::Echo(take(n, 1_000) as usize, take(n, 2) == 1),
        Step::Lose(_) => Step::Lose(which(n)),
        Step::AssignAnew(_) => Step::AssignAnew(which(n)),
        same @ (Step::PassToDeadline | Step::Sleep | Step::Crash | Step::Shutdown) => same,
    }
}

fn logged(mut number: u32) -> Logged {
    let n = &mut number;
    Logged {
        gap: i64::from(take(n, 8).saturating_sub(4)),
        key: u64::from(take(n, 5)).checked_sub(1),
        bytes: 1 + take(n, 99) as usize,
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let ordering = prop_oneof![
        3 => Just(Ordering::Key),
        1 => Just(Ordering::Partition),
        1 => Just(Ordering::None),
    ];
    let on_exhausted = prop_oneof![
        Just(OnExhausted::DeadLetter),
        Just(OnExhausted::Stall),
        Just(OnExhausted::Skip),
    ];
    let budget = prop_oneof![Just(400_usize), Just(1_500), Just(1_000_000)];
    let run = prop_oneof![
        1 => Just(Run::ONE),
        2 => (2..5_usize, 50..400_usize).prop_map(|(records, bytes)| Run { records, bytes }),
    ];
    let breaker =
        (1..101_u32, 1..6_u32, 100..10_000_u64).prop_map(|(percent, min_records, window)| {
            Breaker {
                percent,
                min_records,
                window: ms(window),
            }
        });
    let breaker = proptest::option::of(breaker);
    let rate_limit = (1..2_000_u32, 1..3_u64).prop_map(|(records, seconds)| RateLimit {
        records,
        per: ms(1_000 * seconds),
    });
    let rate_limit = proptest::option::of(rate_limit);
    let then = prop_oneof![
        1 => Just(Vec::new()),
        2 => vec((1..30_u64).prop_map(|seconds| ms(1_000 * seconds)), 1..4),
    ];
    let sizes = (1..6_usize, run, (1..4_u32, then, 1..5_usize), budget);
    let limits = (breaker, rate_limit, any::<bool>());
    (ordering, sizes, on_exhausted, limits).prop_map(
        |(
            ordering,
            (concurrency, run, (attempts, then, waiting), budget_bytes),
            on_exhausted,
            (breaker, rate_limit, own_handler),
        )| Settings {
            pod: "pod-0".to_owned(),
            began: ms(1_000_000_000_000),
            ordering,
            hashing: 7,
            concurrency,
            run,
            attempts,
            own_handler,
            initial_backoff: ms(100),
            max_backoff: ms(1_000),
            then,
            waiting,
            on_exhausted,
            breaker,
            rate_limit,
            drain_deadline: ms(2_000),
            commit_interval: ms(500),
            report_interval: ms(5_000),
            budget_bytes,
        },
    )
}

pub(super) fn script() -> impl Strategy<Value = Script> {
    let partitions = usize::try_from(PARTITIONS).unwrap();
    let steps = (vec(any::<u32>(), 1..250), proptest::bool::weighted(0.3));
    let logs = vec(vec(any::<u32>(), 0..40), partitions);
    let tails = vec(0..3_i64, partitions);
    (settings(), logs, tails, steps).prop_map(|(settings, logs, tails, (steps, stops))| {
        let mut steps: Vec<_> = steps.into_iter().map(step).collect();
        let log = |log: Vec<u32>| log.into_iter().map(logged).collect();
        let logs = logs.into_iter().map(log).collect();
        if stops {
            // Somewhere in its last third.
            steps.insert(steps.len() - steps.len() / 3, Step::Shutdown);
        }
        Script {
            settings,
            logs,
            tails,
            steps,
        }
    })
}
