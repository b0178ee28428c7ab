//! The storms in short: each fault once and few records, some minutes together.
//!
//! What is asserted is the same. A machine that is busy enough brings faults of its own, which the
//! checker sees as such; where everybody goes in order there are none to see.

use std::time::Duration;

use drover::worker_config::Ordering;

use crate::history::Cause;
use crate::outages::the_broker_comes_and_goes;
use crate::quiet::{eager, nothing_is_lost_or_repeated};
use crate::rough;
use crate::storm::{Way, Weather};
use crate::witness::{Manner, Mood};

/// Whatever a fault may explain.
const BY_FAULTS: &[Cause] = &[
    Cause::Killed,
    Cause::Lost,
    Cause::AnswerUnheard,
    Cause::LastCommitFailed,
];

fn short(weather: Weather) -> Weather {
    Weather {
        records: 1_800,
        keys: 120,
        ..weather
    }
}

/// A stop, a scale change and a roll-out. That nobody is kept waiting is for a machine at rest to show.
fn in_order(weather: Weather) {
    nothing_is_lost_or_repeated(short(weather), 3);
}

#[test]
fn in_order_nothing_is_lost_or_repeated() {
    in_order(Weather::fair("short-quiet-classic", 21));
}

#[test]
fn in_order_nothing_is_lost_or_repeated_with_an_eager_assignor() {
    in_order(eager(Weather::fair("short-quiet-eager", 22)));
}

#[test]
fn in_order_nothing_is_lost_or_repeated_by_the_consumer_protocol() {
    let weather = Weather {
        protocol: "Consumer",
        ..Weather::fair("short-quiet-consumer", 23)
    };
    in_order(weather);
}

#[test]
fn in_order_nothing_is_lost_or_repeated_of_a_partition_in_order() {
    in_order(Weather {
        ordering: Ordering::Partition,
        ..Weather::fair("short-quiet-partition", 34)
    });
}

#[test]
fn in_order_nothing_is_lost_or_repeated_without_any_order() {
    in_order(Weather {
        ordering: Ordering::None,
        ..Weather::fair("short-quiet-none", 35)
    });
}

/// Records by lines of JSON to processes of a command.
fn by_command(weather: Weather, way: Way) -> Weather {
    Weather {
        way,
        concurrency: 4,
        ..weather
    }
}

#[test]
fn in_order_nothing_is_lost_or_repeated_with_a_command() {
    in_order(by_command(Weather::fair("short-quiet-exec", 36), Way::Exec));
}

#[test]
fn in_order_nothing_is_lost_or_repeated_with_a_command_in_batches() {
    let weather = Weather::fair("short-quiet-batches", 37);
    in_order(by_command(weather, Way::Batches(20)));
}

#[test]
fn in_order_nothing_is_lost_or_repeated_in_batches_of_a_partition_in_order() {
    let weather = Weather {
        ordering: Ordering::Partition,
        ..Weather::fair("short-quiet-runs", 38)
    };
    in_order(by_command(weather, Way::Batches(20)));
}

/// The handler in each of its moods, then a worker that dies, one that freezes for longer than its
/// session and its poll interval, one that goes in order, and dead letters that are refused.
fn every_fault_once(weather: Weather) {
    let mut storm = rough::begin(short(weather));
    let moods = [
        (Mood::Slow(Duration::from_millis(300)), 30),
        (Mood::Refusing, 10),
        (Mood::Failing, 10),
        (Mood::Breaking, 10),
    ];
    let shares = moods.len() + 4;
    for (mood, one_in) in moods {
        storm.witness.feel(mood, one_in);
        storm.work(shares);
    }
    storm.kill();
    storm.work(shares);
    storm.witness.feel(Mood::Hanging, 200);
    storm.freeze(rough::FREEZE);
    storm.work(shares);
    storm.replace();
    storm.work(shares);
    storm.dead_letters_refused();
    storm.witness.feel(Mood::Well, 1);
    let findings = storm.finish();
    assert!(findings.dead_lettered > 0, "{findings}");
    findings.assert_complete(BY_FAULTS);
}

#[test]
fn faults_lose_nothing() {
    every_fault_once(rough::weather("short-rough-classic", 24));
}

#[test]
fn faults_lose_nothing_with_an_eager_assignor() {
    every_fault_once(eager(rough::weather("short-rough-eager", 25)));
}

#[test]
fn faults_lose_nothing_by_the_consumer_protocol() {
    let weather = rough::weather("short-rough-consumer", 26);
    every_fault_once(rough::by_consumer_protocol(weather));
}

/// Records that fail now and then, and some that always do, wait for their later attempts while workers are stopped and
/// killed, and partitions move.
fn attempts_are_kept(weather: Weather) {
    let fair = weather.manner;
    let weather = Weather {
        attempts: 2,
        then: &[1, 2, 3],
        manner: Manner {
            broken: Some(97),
            ..fair
        },
        ..short(weather)
    };
    let mut storm = rough::begin(weather);
    storm.witness.feel(Mood::Failing, 4);
    let shares = 8;
    storm.work(shares);
    storm.replace();
    storm.work(shares);
    storm.kill();
    storm.work(shares);
    storm.scale_to(2);
    storm.work(shares);
    storm.scale_to(4);
    storm.work(shares);
    storm.roll_out();
    storm.work(shares);
    storm.kill();
    storm.work(shares);
    storm.replace();
    storm.witness.feel(Mood::Well, 1);
    let findings = storm.finish();
    assert!(findings.dead_lettered > 0, "{findings}");
    let (later, carried) = findings.later;
    assert!(later > 50 && carried > 0, "{findings}");
    findings.assert_complete(BY_FAULTS);
}

#[test]
fn later_attempts_are_neither_forgotten_nor_early() {
    attempts_are_kept(rough_but_whole("short-later-classic", 51));
}

#[test]
fn later_attempts_are_neither_forgotten_nor_early_with_an_eager_assignor() {
    attempts_are_kept(eager(rough_but_whole("short-later-eager", 52)));
}

#[test]
fn later_attempts_are_neither_forgotten_nor_early_by_the_consumer_protocol() {
    let weather = rough_but_whole("short-later-consumer", 53);
    attempts_are_kept(rough::by_consumer_protocol(weather));
}

/// Workers that are killed are soon missed, and nothing else goes wrong by itself.
fn rough_but_whole(name: &'static str, seed: u64) -> Weather {
    Weather {
        properties: vec![("session.timeout.ms", rough::SESSION)],
        ..Weather::fair(name, seed)
    }
}

#[test]
fn a_broker_that_is_killed_and_one_that_is_stopped_lose_nothing() {
    let weather = Weather {
        // Of those that go while there is no broker nobody can be told.
        properties: vec![("session.timeout.ms", rough::SESSION)],
        ..short(Weather::fair("short-outage", 27))
    };
    the_broker_comes_and_goes(weather, 1);
}

#[test]
fn faults_lose_nothing_with_a_command() {
    let weather = rough::weather("short-rough-exec", 39);
    every_fault_once(by_command(weather, Way::Exec));
}

/// A batch that is cut off leaves nothing but guesses of what was handled: here nobody freezes, nobody hangs, and a busy
/// machine has its time.
#[test]
fn workers_that_die_lose_nothing_of_batches() {
    let fair = Weather::fair("short-rough-batches", 40);
    let weather = Weather {
        properties: vec![("session.timeout.ms", rough::SESSION)],
        manner: rough::weather("short-rough-batches", 40).manner,
        ..fair
    };
    let mut storm = rough::begin(short(by_command(weather, Way::Batches(20))));
    for mood in [Mood::Refusing, Mood::Failing, Mood::Breaking] {
        storm.witness.feel(mood, 10);
        storm.work(5);
        storm.kill();
    }
    storm.work(5);
    storm.replace();
    storm.witness.feel(Mood::Well, 1);
    let findings = storm.finish();
    assert!(findings.dead_lettered > 0, "{findings}");
    findings.assert_complete(&[Cause::Killed, Cause::AnswerUnheard]);
}
