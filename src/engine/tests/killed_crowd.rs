//! A worker that is killed with hundreds of records in flight, of which some are to blame.

use std::collections::BTreeSet;

use super::history::{Answer, Fact};
use super::rig::settings;
use super::script::{CommitFate, Logged, PARTITIONS, Script};
use super::world::{Content, World, play};
use crate::engine::{DeadLetterReason, Settings};
use crate::worker_config::{OnExhausted, Ordering};

const IN_FLIGHT: usize = 500;

/// What it came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    kills: usize,
    /// Deliveries with nothing beside them of records that are not to blame.
    alone: usize,
    dead: BTreeSet<Content>,
}

/// A worker of this concurrency, and three partitions with more than that.
fn world(ordering: Ordering) -> World {
    let settings = Settings {
        ordering,
        concurrency: IN_FLIGHT,
        on_exhausted: OnExhausted::DeadLetter,
        budget_bytes: 1_000_000_000,
        ..settings()
    };
    let logged = |number| Logged {
        gap: 0,
        key: Some(number),
        bytes: 100,
    };
    let log: Vec<_> = (0..600).map(logged).collect();
    play(Script {
        settings,
        logs: vec![log; 3],
        tails: vec![0; 3],
        steps: Vec::new(),
    })
}

/// Everything is handled, but those to blame have the worker killed: the first time with all that is in flight.
fn plays(mut world: World, to_blame: &[Content]) -> Came {
    let mut came = Came::default();
    let all = |world: &World| {
        let mut logs = world.logs.iter();
        logs.all(|log| log.committed.as_ref().is_some_and(|(at, _)| *at == log.end))
    };
    for _ in 0..50_000 {
        if all(&world) {
            break;
        }
        for partition in 0..PARTITIONS {
            world.assign(partition);
            (0..600).for_each(|_| world.read(partition));
            world.end(partition);
        }
        if world
            .out
            .iter()
            .any(|(_, content)| to_blame.contains(content))
        {
            came.kills += 1;
            world.crash("pod-0");
            continue;
        }
        let alone = world.out.len() == 1 && world.engine.suspects().next().is_some();
        came.alone += usize::from(alone);
        let before = world.out.len() + world.letters.len() + usize::from(world.commit.is_some());
        while !world.out.is_empty()
            && !world
                .out
                .iter()
                .any(|(_, content)| to_blame.contains(content))
        {
            world.answer(0, Answer::Done, None);
        }
        while !world.letters.is_empty() {
            world.letter(0, true);
        }
        world.answer_commit(CommitFate::Taken);
        if before == 0 {
            world.pass_to_deadline();
        }
    }
    assert!(all(&world), "{came:?}");
    for (_, fact) in &world.history.facts {
        if let Fact::LetterAsked {
            partition,
            ticket,
            reason,
            ..
        } = fact
        {
            assert_eq!(*reason, DeadLetterReason::WorkerKilled);
            came.dead.insert((partition.unwrap(), ticket.offset.0));
        }
    }
    came
}

#[test]
fn one_to_blame_among_five_hundred_is_found_in_three_kills_and_no_other_is_blamed() {
    for ordering in [Ordering::Key, Ordering::None] {
        for to_blame in [(0, 0), (0, 250), (0, 498)] {
            let came = plays(world(ordering), &[to_blame]);
            assert_eq!(came.kills, 3);
            assert_eq!(came.dead, BTreeSet::from([to_blame]));
            // Each of the others goes alone once at most.
            assert!(came.alone < IN_FLIGHT, "{}", came.alone);
        }
    }
}

#[test]
fn each_more_that_is_to_blame_costs_two_more_kills() {
    let to_blame = [(0, 20), (0, 250), (0, 477)];
    let came = plays(world(Ordering::Key), &to_blame);
    assert_eq!(came.kills, 7);
    assert_eq!(came.dead, BTreeSet::from(to_blame));
    assert!(came.alone < IN_FLIGHT, "{}", came.alone);
}
