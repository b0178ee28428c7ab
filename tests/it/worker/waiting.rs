//! A group of the classic protocol that waits for a member that is frozen.

use std::process::Command;
use std::time::Duration;

use super::kafka::eventually;
use super::outages::{nowhere, wait_for_page};
use super::process::Process;
use super::unread_broker::Topic;
use super::web::{Web, ok};
use super::workers::Worker;

/// Records of each partition before the group waits.
const EARLY: usize = 3;

fn freeze(process: &Process) {
    let id = process.id().to_string();
    let stopped = Command::new("kill").args(["-STOP", &id]).status();
    assert!(stopped.unwrap().success());
}

/// It would have to wait for its answer until the session of the frozen one is over, and may not wait so long.
#[test]
fn a_worker_that_must_leave_while_its_group_waits_for_a_frozen_one_commits_all_the_same() {
    let topic = Topic::new("waiting");
    topic.grow(2);
    for partition in 0..2 {
        topic.produce_to(partition, &["early"; EARLY]);
    }
    let web = Web::start(|_| ok());
    let mut config = topic.config(&web);
    config.drain_deadline = Duration::from_secs(1);
    let session = ("session.timeout.ms".to_owned(), "45000".to_owned());
    config.properties.extend([session]);
    let admins = [nowhere(), nowhere()];
    let frozen = Process::start_in(&[], &config, admins[0]);
    let leaving = Worker::in_pod_with_admin("pod-2", config.clone(), Some(admins[1]));
    for admin in admins {
        let one = "drover_worker_partitions_assigned 1";
        wait_for_page(admin, "/metrics", 200, one);
    }
    for partition in 0..2 {
        eventually("what was there before", || {
            let (at, _) = topic.committed_of(partition)?;
            (at == EARLY as i64).then_some(())
        });
    }

    freeze(&frozen);
    let joining = Worker::in_pod("pod-3", config);
    eventually("a group that waits", || {
        topic.is_rebalancing().then_some(())
    });
    // After some heartbeats all but the frozen one have asked to join.
    std::thread::park_timeout(Duration::from_millis(1_500));
    for partition in 0..2 {
        topic.produce_to(partition, &["late"]);
    }
    web.wait_for("the record that is not frozen", |seen| {
        seen.iter().any(|seen| seen.text() == "late")
    });
    leaving.stop().unwrap();
    let committed: Vec<_> = (0..2).filter_map(|p| topic.committed_of(p)).collect();
    assert!(topic.is_rebalancing(), "the group has not waited");
    let late = committed.iter().filter(|(at, _)| *at > EARLY as i64);
    assert_eq!(late.count(), 1, "{committed:?}");
    // It ends with the process that it waits for.
    drop(frozen);
    drop(joining);
}
