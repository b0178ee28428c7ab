//! What is finished around records that wait behind one of their key, as the next owner is told.

use super::rig::{Rig, ms, settings};
use crate::engine::KeyHash;
use crate::report::{Past, Report};

#[test]
fn a_key_of_which_all_that_was_read_is_finished_is_told_as_waiting_from_there_on() {
    let tags = [1, 2].map(|key| KeyHash(key).tag());
    let past = Past {
        hashing: 7,
        but: vec![(5, tags[0]), (6, tags[1])],
        ranges: vec![1..50],
    };
    let left = Report {
        past: Some(past),
        ..Report::default()
    };
    let mut rig = Rig::new(settings(), 0);
    rig.assign(0, Some(0), Some(left));
    for (offset, key) in [(0, 9), (5, 1), (6, 2), (7, 2), (8, 3)] {
        rig.read(0, offset, key);
    }
    let delivered = rig.delivered();
    let offsets: Vec<_> = delivered.iter().map(|ticket| ticket.offset.0).collect();
    assert_eq!(offsets, [0, 5, 6]);
    rig.done(delivered[1]);
    rig.done(delivered[2]);
    rig.commits();
    rig.committed(Ok(()));
    rig.pass(ms(1_000));
    let past = rig.report().past.unwrap();
    assert_eq!(past.ranges, [1..50]);
    let mut but = past.but;
    but.sort_unstable();
    assert_eq!(but, [(7, tags[1]), (9, tags[0])]);
}
