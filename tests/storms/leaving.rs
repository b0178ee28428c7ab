//! A worker that is gone is no member any more: nobody waits for its session to run out.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::clock::Monotonic;
use drover::kafka::admin::Admin;

use crate::history::Cause;
use crate::quiet::broker;
use crate::storm::{Storm, Weather};
use crate::wait::{DEADLINE, eventually, pause};
use crate::witness::Mood;

/// Sessions longer than any test: what stays a member does so to the end.
fn weather(name: &'static str) -> Weather {
    Weather {
        workers: 1,
        partitions: 1,
        records: 100,
        properties: vec![("session.timeout.ms", "600000")],
        // From which follows a poll interval that is longer still.
        handler_timeout: Duration::from_secs(400),
        ..Weather::fair(name, 8)
    }
}

async fn members(storm: &Storm) -> usize {
    let admin = Admin::open(&broker().servers, &BTreeMap::new()).unwrap();
    let group = admin
        .group(&storm.topic.name, Duration::from_secs(20))
        .await;
    group.unwrap().members.len()
}

async fn until_members_are(storm: &Storm, wanted: usize) {
    let began = Monotonic::start();
    while members(storm).await != wanted {
        assert!(began.elapsed() < DEADLINE, "{wanted} members");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
#[ignore = "a minute on a real broker: make test-storms"]
async fn a_worker_leaves_the_group_also_if_it_holds_no_partition() {
    let mut storm = Storm::begin(&broker().servers, weather("leaving"));
    let holder = storm.any();
    // There is one partition, so the second holds nothing.
    let idle = storm.fleet.start();
    until_members_are(&storm, 2).await;
    storm.stop(&[idle]);
    assert_eq!(members(&storm).await, 1);
    storm.stop(&[holder]);
    assert_eq!(members(&storm).await, 0);
    storm.scale_to(1);
    storm.finish().assert_complete(&[]);
}

/// Whoever is stopped while the group waits for another holds nothing yet, and is no member either
/// once it is gone: neither the one that has just been taken in nor the one that asks for it.
#[tokio::test]
#[ignore = "a minute on a real broker: make test-storms"]
async fn a_worker_that_is_stopped_while_it_joins_leaves() {
    let weather = Weather {
        partitions: 4,
        records: 1_000,
        keys: 80,
        ..weather("leaving-early")
    };
    let mut storm = Storm::begin(&broker().servers, weather);
    storm.witness.feel(Mood::Slow(Duration::from_secs(6)), 30);
    storm.work(1);
    let before = storm.fleet.revocations().len();
    let taken_in = storm.fleet.start();
    eventually("a worker that drains", || {
        let revocations = storm.fleet.revocations();
        (revocations.len() > before).then_some(())
    });
    let asking = storm.fleet.start();
    // A heartbeat later all but the one that drains have asked to join.
    pause(Duration::from_millis(1_500));
    storm.stop(&[taken_in, asking]);
    until_members_are(&storm, 1).await;
    storm.witness.feel(Mood::Well, 1);
    storm.finish().assert_complete(&[]);
}

/// A group that has given a worker an id waits for it to join: whoever is stopped at the very
/// beginning must have heard of its id, or nobody else is given anything for a session.
#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn workers_that_are_stopped_as_soon_as_they_begin_leave_nothing_behind() {
    let weather = Weather {
        partitions: 4,
        ..weather("leaving-at-once")
    };
    let mut storm = Storm::begin(&broker().servers, weather);
    for turn in 0..24 {
        let pod = storm.fleet.start();
        eventually("a worker that has begun", || {
            storm.fleet.has_begun(pod).then_some(())
        });
        pause(Duration::from_millis(10 * turn));
        storm.stop(&[pod]);
    }
    storm.fleet.start();
    storm.settle();
    storm.finish().assert_complete(&[]);
}

/// While one member drains, a group that another wants to join waits for it, and so does whoever has
/// asked to join again: its commit does not get through, nor its wish to leave.
#[tokio::test]
#[ignore = "a minute on a real broker: make test-storms"]
async fn a_worker_that_is_stopped_while_another_drains_commits_and_leaves() {
    let weather = Weather {
        workers: 2,
        partitions: 4,
        records: 2_000,
        keys: 80,
        ..weather("leaving-late")
    };
    let mut storm = Storm::begin(&broker().servers, weather);
    storm.witness.feel(Mood::Slow(Duration::from_secs(9)), 60);
    storm.work(1);
    let pods = [1, 2];
    let before = storm.fleet.revocations().len();
    storm.fleet.start();
    let drains = eventually("a worker that drains", || {
        storm.fleet.revocations().get(before).copied()
    });
    let other = pods.into_iter().find(|pod| *pod != drains).unwrap();
    storm.fleet.start();
    // A heartbeat later it has asked to join again.
    pause(Duration::from_millis(1_500));
    storm.stop(&[other]);
    until_members_are(&storm, 3).await;
    storm.finish().assert_complete(&[]);
}

/// A group that waits for a member that has died gives nobody an id, and lets nobody go who has one: who is stopped
/// meanwhile leaves by its name. Else it would be waited for next, and so on without end.
#[tokio::test]
async fn workers_that_are_stopped_while_the_group_waits_for_a_dead_one_leave() {
    let weather = Weather {
        workers: 2,
        partitions: 4,
        records: 1_000,
        keys: 80,
        // As long as the poll interval lets it be that goes with a drain of some seconds.
        properties: vec![("session.timeout.ms", "59000")],
        handler_timeout: Duration::from_secs(4),
        ..weather("leaving-the-dead")
    };
    let mut storm = Storm::begin(&broker().servers, weather);
    storm.work(2);
    let dead = storm.any();
    storm.fleet.kill(dead);
    let living = storm.any();
    let asking = storm.fleet.start();
    eventually("a worker that has begun", || {
        storm.fleet.has_begun(asking).then_some(())
    });
    // A heartbeat later all but the dead one have asked to join.
    pause(Duration::from_millis(1_500));
    storm.stop(&[asking]);
    let left = members(&storm).await;
    assert!(left <= 2, "{left}");
    storm.stop(&[living]);
    let left = members(&storm).await;
    assert!(left <= 1, "{left}");
    storm.fleet.start_again(dead);
    storm.settle();
    storm
        .finish()
        .assert_complete(&[Cause::Killed, Cause::LastCommitFailed]);
}
