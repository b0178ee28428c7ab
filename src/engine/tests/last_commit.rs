//! Partitions that go without their last commit, and the others.

use super::rig::{Rig, ms, partition, settings};
use crate::engine::{CommitFailure, Event, Refused};

#[test]
fn what_others_have_to_say_does_not_wait_for_the_next_turn() {
    let mut rig = Rig::new(settings(), 2);
    rig.read(0, 0, 0);
    rig.read(1, 0, 1);
    for ticket in rig.delivered() {
        rig.done(ticket);
    }
    rig.on(Event::Revoked(vec![partition(0)]));
    rig.pass(ms(34_950));
    rig.commits();
    let later = CommitFailure::Later("in progress".to_owned());
    rig.refused(vec![(0, Refused::Failed(later))]);
    rig.pass(ms(50));
    assert_eq!(rig.given_back(), [0]);
    assert_eq!(rig.committed_offsets(), [(1, 1)]);
}
