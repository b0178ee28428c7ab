//! What a report has room for of records that wait for later attempts, and of what is finished around them.

use std::collections::BTreeSet;

use super::later::{HOUR, MINUTE, hourly, tiers};
use super::rig::{Rig, ms, retry};
use crate::engine::{Effect, Settings};
use crate::report::{MAX_BYTES, Report};
use crate::topic::Offset;

/// Far into a log, so many records wait among so many offsets, as far apart as can be, and all others are finished. True if
/// the next owner is told of each.
fn all_is_told(waiting: i64, among: i64) -> bool {
    const FIRST: i64 = 5_000_000_000;
    let mut rig = Rig::new(hourly(usize::MAX), 0);
    rig.assign_of(0, FIRST, "lZtYPFWLTF2NS84pTXLvCA");
    let apart = among / waiting;
    for number in 0..waiting {
        let offset = FIRST + number * apart;
        rig.read(0, offset, -1);
        let ticket = rig.one();
        rig.answer(ticket, retry());
        rig.read(0, offset + apart - 1, -1);
        let ticket = rig.one();
        rig.done(ticket);
    }
    rig.effects.clear();
    rig.committed(Ok(()));
    rig.pass(ms(1_000));
    let report = rig.report();
    let text = report.encode(Offset(FIRST));
    assert!(text.len() <= MAX_BYTES);
    let read = Report::decode(&text, Offset(FIRST)).unwrap();
    let later = read.later.unwrap();
    assert_eq!(
        later.records,
        waiting.unsigned_abs(),
        "counted whatever has room"
    );
    assert_eq!((later.next, later.more), (FIRST + waiting * apart, 0));
    // With room for longer names, larger counts and what else a report may have to say.
    read.tries == report.tries && read.ahead == report.ahead && text.len() + 150 <= MAX_BYTES
}

#[test]
fn more_than_ninety_records_that_wait_among_millions_are_told_whole() {
    // The limit, of 90, leaves room for what is in flight when it is reached.
    for (waiting, among) in [(120, 100_000), (100, 5_000_000), (95, 50_000_000)] {
        assert!(all_is_told(waiting, among), "{waiting} among {among}");
        assert!(!all_is_told(waiting + 5, among), "{waiting} among {among}");
    }
}

/// A record of a busy key waits, and so does what comes behind it, here and there among all that is finished.
#[test]
fn what_is_finished_around_those_that_wait_behind_one_is_told_whole() {
    const RECORDS: i64 = 8_000;
    for asked_for in [false, true] {
        let mut rig = Rig::new(hourly(90), 1);
        let key = |offset: i64| {
            if offset % 10 == 0 {
                7
            } else {
                100 + offset % 50
            }
        };
        for offset in 0..RECORDS {
            rig.read(0, offset, key(offset));
            for ticket in rig.delivered() {
                match ticket.offset.0 {
                    0 => rig.answer(ticket, retry()),
                    _ => rig.done(ticket),
                }
            }
        }
        if asked_for {
            rig.revoke(0);
        }
        let (at, report) = rig.last_report();
        assert_eq!(at, 0);
        let mut next = Rig::new(hourly(90), 0);
        next.now = rig.now;
        next.assign(0, Some(at), Some(report));
        // And whoever has it after somebody who had not yet read it all.
        (0..RECORDS / 2).for_each(|offset| next.read(0, offset, key(offset)));
        assert!(next.offsets().is_empty(), "nothing is handled again");
        next.commits();
        next.committed(Ok(()));
        let (at, report) = next.last_report();
        let mut last = Rig::new(hourly(90), 0);
        last.now = next.now;
        last.assign(0, Some(at), Some(report));
        (0..RECORDS).for_each(|offset| last.read(0, offset, key(offset)));
        assert!(last.offsets().is_empty(), "nor is it then");
        let (_, ticket, _) = last.pass_to_delivery();
        assert_eq!(ticket.offset.0, 0);
        last.done(ticket);
        for offset in (10..RECORDS).step_by(10) {
            let ticket = last.one();
            assert_eq!(ticket.offset.0, offset, "and what waited is lost by nobody");
            last.done(ticket);
        }
        assert_eq!(last.engine.held_bytes(), 0);
    }
}

/// Everything fails for hours: each record that is tried to see whether that is over waits, too.
#[test]
fn after_hours_in_which_all_failed_each_that_waits_is_told() {
    let settings = Settings {
        then: vec![MINUTE, 10 * MINUTE, HOUR],
        pod: "orders-6d5f7c8b9d-x2k4v".to_owned(),
        ..tiers()
    };
    let mut rig = Rig::new(settings, 1);
    (0..2_000).for_each(|offset| rig.read(0, offset, -1));
    let until = rig.now + 4 * HOUR;
    let mut tried = BTreeSet::new();
    while rig.now < until {
        for ticket in rig.delivered() {
            tried.insert(ticket.offset);
            rig.answer(ticket, retry());
        }
        let letters = rig.take(|effect| match effect {
            Effect::DeadLetter { ticket, .. } => Some(*ticket),
            _ => None,
        });
        for ticket in letters {
            rig.dead_lettered(ticket, Ok(()));
        }
        for frontier in rig.commits().concat() {
            let text = frontier.report.encode(frontier.offset);
            let read = Report::decode(&text, frontier.offset).unwrap();
            assert_eq!(read.tries, frontier.report.tries);
        }
        rig.committed(Ok(()));
        rig.pass_to_deadline();
    }
    assert!(
        tried.len() > 150,
        "{}: some were tried meanwhile",
        tried.len()
    );
    // The first of those that waited goes well: others are tried at once.
    let (_, ticket, attempt) = rig.pass_to_delivery();
    assert!(attempt > 1);
    rig.done(ticket);
    let next = rig.deliveries();
    assert!(next.iter().any(|(_, attempt)| *attempt == 1), "{next:?}");
}
