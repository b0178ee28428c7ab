//! Random scripts for a world: what its broker, group and handler do next.

use proptest::collection::vec;
use proptest::prelude::*;

use super::history::Answer;
use super::rig::ms;
use crate::engine::Settings;
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
#[derive(Debug, Clone)]
pub(super) enum Step {
    Assign(usize),
    Revoke(u8),
    Lose(usize),
    /// Assigned anew although it was not given back yet.
    AssignAnew(usize),
    Read(usize, usize),
    /// The client reads a record a second time.
    ReadAgain(usize, usize),
    End(usize),
    Answer(usize, Answer, Option<u64>),
    Letter(usize, bool),
    Commit(CommitFate),
    /// An answer that nobody waits for any more.
    Echo(usize, bool),
    Pass(u64),
    PassToDeadline,
    Shutdown,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum CommitFate {
    Taken,
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

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        12 => Just(Answer::Done),
        1 => Just(Answer::Skip),
        5 => Just(Answer::Retry),
        1 => Just(Answer::Reject),
        1 => Just(Answer::SlowDown),
        1 => Just(Answer::Misconfigured),
        1 => Just(Answer::Cancelled),
    ]
}

fn fate() -> impl Strategy<Value = CommitFate> {
    prop_oneof![
        6 => Just(CommitFate::Taken),
        1 => Just(CommitFate::Later),
        1 => Just(CommitFate::TakenButLater),
        1 => Just(CommitFate::Dropped),
        1 => Just(CommitFate::Fatal),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..1_000_usize;
    prop_oneof![
        6 => which().prop_map(Step::Assign),
        2 => any::<u8>().prop_map(Step::Revoke),
        1 => which().prop_map(Step::Lose),
        1 => which().prop_map(Step::AssignAnew),
        20 => (which(), 1..6_usize).prop_map(|(lane, count)| Step::Read(lane, count)),
        2 => (which(), which()).prop_map(|(lane, record)| Step::ReadAgain(lane, record)),
        2 => which().prop_map(Step::End),
        24 => (which(), answer(), proptest::option::of(0..3_000_u64))
            .prop_map(|(which, answer, after)| Step::Answer(which, answer, after)),
        6 => (which(), any::<bool>()).prop_map(|(which, taken)| Step::Letter(which, taken)),
        10 => fate().prop_map(Step::Commit),
        4 => (which(), any::<bool>()).prop_map(|(which, letter)| Step::Echo(which, letter)),
        5 => (0..4_000_u64).prop_map(Step::Pass),
        10 => Just(Step::PassToDeadline),
    ]
}

fn logged() -> impl Strategy<Value = Logged> {
    let key = prop_oneof![1 => Just(None), 4 => (0..4_u64).prop_map(Some)];
    let gap = prop_oneof![3 => Just(0), 1 => 1..4_i64];
    (gap, key, 1..100_usize).prop_map(|(gap, key, bytes)| Logged { gap, key, bytes })
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
    (ordering, 1..6_usize, 1..4_u32, on_exhausted, budget).prop_map(
        |(ordering, concurrency, attempts, on_exhausted, budget_bytes)| Settings {
            pod: "pod-0".to_owned(),
            ordering,
            concurrency,
            attempts,
            initial_backoff: ms(100),
            max_backoff: ms(1_000),
            on_exhausted,
            drain_deadline: ms(2_000),
            commit_interval: ms(500),
            report_interval: ms(5_000),
            budget_bytes,
        },
    )
}

pub(super) fn script() -> impl Strategy<Value = Script> {
    let partitions = usize::try_from(PARTITIONS).unwrap();
    let steps = (vec(step(), 1..250), proptest::bool::weighted(0.3));
    let logs = vec(vec(logged(), 0..40), partitions);
    let tails = vec(0..3_i64, partitions);
    (settings(), logs, tails, steps).prop_map(|(settings, logs, tails, (mut steps, stops))| {
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
