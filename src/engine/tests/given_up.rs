//! Records that somebody gave up: finished when they are read, and nothing else changes.

use super::rig::{Rig, ms, retry, settings};
use crate::engine::{Effect, Event, LaneId};
use crate::report::{Report, Stuck};
use crate::topic::Offset;

impl Rig {
    fn give_up(&mut self, lane: u32, offset: i64) {
        self.on(Event::GivenUp {
            lane: LaneId(lane),
            offset: Offset(offset),
        });
    }

    fn given_up(&mut self) -> Vec<i64> {
        self.take(|effect| match effect {
            Effect::GivenUp { offset, .. } => Some(offset.0),
            _ => None,
        })
    }
}

/// What a pod leaves behind that could not get past `offset`.
fn stuck(offset: i64) -> Report {
    Report {
        pod: "pod-9".to_owned(),
        tried: 7,
        ahead: vec![offset + 2..offset + 3],
        stuck: Some(Stuck {
            offset,
            attempts: 7,
            error: "HttpStatus 500".to_owned(),
        }),
        ..Report::default()
    }
}

#[test]
fn what_is_before_it_still_holds_the_commit() {
    let mut rig = Rig::new(settings(), 1);
    rig.read(0, 0, 1);
    let first = rig.one();
    rig.answer(first, retry());
    rig.give_up(0, 1);
    rig.read(0, 2, 1);
    assert_eq!(rig.offsets(), Vec::<i64>::new(), "2 is of the key of 0");
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 0)]);
    let again = rig.one();
    rig.done(again);
    let next = rig.one();
    assert_eq!(next.offset, Offset(2));
    rig.committed(Ok(()));
    rig.pass(ms(1_000));
    assert_eq!(rig.committed_offsets(), [(0, 2)]);
}

#[test]
fn it_counts_once_and_only_where_it_is_ours() {
    let mut rig = Rig::new(settings(), 1);
    rig.give_up(0, 3);
    assert_eq!(rig.given_up(), [3]);
    // Of a partition that is not ours, and of one that is on its way out.
    rig.give_up(7, 3);
    rig.revoke(0);
    rig.give_up(0, 4);
    assert_eq!(rig.given_up(), Vec::<i64>::new());
    assert_eq!(rig.engine.totals().given_up, 1);
}

#[test]
fn what_was_finished_before_is_not_given_up() {
    let mut rig = Rig::new(settings(), 0);
    let ahead = Report {
        ahead: vec![6..7],
        ..stuck(4)
    };
    rig.assign(0, Some(4), Some(ahead));
    rig.give_up(0, 6);
    assert_eq!(rig.given_up(), Vec::<i64>::new());
    assert_eq!(rig.engine.totals().finished_before, 1);
}
