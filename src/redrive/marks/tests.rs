use super::super::letter::REPLAYS;
use super::super::letter::tests::letter;
use super::*;

fn kind(reason: Option<&str>) -> Kind {
    Kind {
        filter: Filter {
            reasons: reason.into_iter().map(str::to_owned).collect(),
            ..Filter::default()
        },
        max_replays: 3,
        to: None,
        retry_topic: None,
    }
}

fn dead(reason: &str, offset: i64) -> Letter<'static> {
    let mut letter = letter(&[
        ("drover-dlq-topic", "orders"),
        ("drover-dlq-reason", reason),
    ]);
    letter.offset = offset;
    letter
}

fn again(marks: &Marks) -> Marks {
    let offset = marks.offset(0);
    let text = marks.write(offset, None).unwrap();
    Marks::read(offset, text.as_bytes(), 1_000, None).unwrap()
}

#[test]
fn replays_with_different_filters_know_of_each_other() {
    let (rejected, all) = (kind(Some("Rejected")), kind(None));
    let mut marks = Marks::default();
    marks.advance(&rejected, 10, 0);
    let marks = again(&marks);
    assert!(marks.has(&all, &dead("Rejected", 9)));
    assert!(!marks.has(&all, &dead("Rejected", 10)));
    assert!(!marks.has(&all, &dead("AttemptsExhausted", 9)));
    assert_eq!(marks.start(&rejected), Some(10));
    assert_eq!(marks.start(&all), None);
}

#[test]
fn another_target_is_another_matter() {
    let mut elsewhere = kind(None);
    elsewhere.to = Some("copy".to_owned());
    let mut marks = Marks::default();
    marks.advance(&elsewhere, 10, 0);
    assert!(marks.has(&elsewhere, &dead("Rejected", 9)));
    assert!(!marks.has(&kind(None), &dead("Rejected", 9)));
    marks.advance(&kind(None), 4, 0);
    marks.again(&elsewhere, 10);
    assert!(!marks.has(&elsewhere, &dead("Rejected", 1)));
    assert!(marks.has(&kind(None), &dead("Rejected", 1)));
}

#[test]
fn what_a_guard_left_out_is_not_taken_for_replayed() {
    let mut marks = Marks::default();
    marks.advance(&kind(None), 10, 0);
    let mut often = dead("Rejected", 5);
    often
        .headers
        .push((REPLAYS.as_bytes().into(), Some(b"3".as_slice().into())));
    let mut more = kind(None);
    more.max_replays = 9;
    assert!(more.moves(&often) && !marks.has(&more, &often));
    assert!(marks.has(&more, &dead("Rejected", 5)));
    assert_eq!(marks.start(&more), None);
}

#[test]
fn what_is_covered_or_deleted_is_forgotten() {
    let mut marks = Marks::default();
    marks.advance(&kind(Some("a")), 10, 0);
    marks.advance(&kind(Some("b")), 30, 0);
    marks.advance(&kind(None), 20, 0);
    assert_eq!(marks.0.len(), 2, "{marks:?}");
    assert_eq!(marks.start(&kind(Some("a"))), Some(20));
    assert_eq!(marks.start(&kind(Some("b"))), Some(30));
    assert_eq!(marks.offset(0), Offset(20));
    marks.advance(&kind(None), 40, 35);
    assert_eq!(marks.0.len(), 1);
    // A run that covers another which is further leaves it.
    marks.advance(&kind(Some("c")), 50, 0);
    marks.advance(&kind(None), 45, 0);
    assert_eq!(marks.start(&kind(Some("c"))), Some(50));
}

#[test]
fn what_is_moved_again_leaves_noted_what_else_was_moved() {
    let (all, rejected) = (kind(None), kind(Some("Rejected")));
    let mut marks = Marks::default();
    marks.advance(&all, 60, 0);
    marks.again(&rejected, 60);
    let mut marks = again(&marks);
    assert!(!marks.has(&rejected, &dead("Rejected", 30)));
    assert!(marks.has(&all, &dead("AttemptsExhausted", 30)));
    assert_eq!((marks.start(&all), marks.offset(0)), (None, Offset(0)));
    // It is interrupted, and a wider one comes further.
    marks.advance(&rejected, 20, 0);
    let mut marks = again(&marks);
    assert_eq!(marks.start(&rejected), Some(20));
    assert!(marks.has(&rejected, &dead("Rejected", 19)));
    assert!(!marks.has(&all, &dead("Rejected", 20)));
    let wide = Kind {
        filter: Filter {
            reasons: vec!["Other".to_owned(), "Rejected".to_owned()],
            ..Filter::default()
        },
        ..kind(None)
    };
    marks.advance(&wide, 50, 0);
    // It goes on: what the wider one has moved meanwhile is not moved a third time.
    marks.advance(&rejected, 40, 0);
    let mut marks = again(&marks);
    assert!(marks.has(&rejected, &dead("Rejected", 45)));
    assert!(!marks.has(&rejected, &dead("Rejected", 55)));
    marks.advance(&rejected, 60, 0);
    let marks = again(&marks);
    assert!(marks.has(&all, &dead("Rejected", 59)));
    assert!(marks.has(&all, &dead("AttemptsExhausted", 59)));
    assert_eq!(marks.start(&all), Some(60));
}

#[test]
fn what_was_refused_is_tried_again_and_nothing_else_is() {
    for kind in [kind(None), kind(Some("Rejected"))] {
        let mut marks = Marks::default();
        marks.advance(&kind, 60, 0);
        for refused in [30, 50] {
            marks.again(&kind.only(0, refused..refused + 1), refused + 1);
        }
        let mut marks = again(&marks);
        let moved = |marks: &Marks| {
            let left = (0..60).filter(|&at| !marks.has(&kind, &dead("Rejected", at)));
            left.collect::<Vec<i64>>()
        };
        assert_eq!(moved(&marks), [30, 50]);
        let refused = (0..60).filter(|&at| marks.was_refused(&kind, at));
        assert!(refused.eq([30, 50]), "{marks:?}");
        assert_eq!(marks.start(&kind), Some(30));
        // The next one takes the first of them.
        marks.advance(&kind, 40, 0);
        let mut marks = again(&marks);
        assert_eq!((moved(&marks), marks.start(&kind)), (vec![50], Some(50)));
        marks.advance(&kind, 60, 0);
        let marks = again(&marks);
        assert_eq!((moved(&marks), marks.start(&kind)), (vec![], Some(60)));
        assert_eq!(marks.0.len(), 1, "{marks:?}");
    }
}

#[test]
fn foreign_copied_and_overtaken_text_is_not_believed() {
    let mut marks = Marks::default();
    marks.advance(&kind(None), 10, 0);
    let text = marks.write(Offset(10), Some("a")).unwrap();
    let read = |offset, text: &[u8], end| Marks::read(Offset(offset), text, end, Some("a"));
    assert_eq!(read(10, text.as_bytes(), 10), Some(marks.clone()));
    assert_eq!(read(11, text.as_bytes(), 20), None);
    assert_eq!(read(10, text.as_bytes(), 9), None);
    assert_eq!(read(10, b"theirs", 20), None);
    assert_eq!(read(10, b"", 20), Some(Marks::default()));
    // Of a topic that was deleted and made anew nothing is known, however far it goes.
    for end in [9, 20] {
        let of_another = Marks::read(Offset(10), text.as_bytes(), end, Some("b"));
        assert_eq!(of_another, Some(Marks::default()));
    }
    // Brokers without ids, and marks from before there were any.
    assert_eq!(
        Marks::read(Offset(10), text.as_bytes(), 10, None).as_ref(),
        Some(&marks)
    );
    let old = marks.write(Offset(10), None).unwrap();
    assert_eq!(read(10, old.as_bytes(), 10), Some(marks));
}

#[test]
fn a_topic_is_the_same_by_its_name_and_as_where_a_letter_goes_by_itself() {
    let to = |to: Option<&str>, retry: Option<&str>| Kind {
        to: to.map(str::to_owned),
        retry_topic: retry.map(str::to_owned),
        ..kind(None)
    };
    let by_itself = to(None, None);
    let retried = to(None, Some("orders.retry"));
    let (orders, retry) = (to(Some("orders"), None), to(Some("orders.retry"), None));
    let letter = dead("Rejected", 5);
    for (first, then, same) in [
        (&by_itself, &orders, true),
        (&orders, &by_itself, true),
        (&retried, &retry, true),
        (&retry, &retried, true),
        (&retried, &orders, true),
        (&by_itself, &retry, false),
        (&retry, &orders, false),
    ] {
        let mut marks = Marks::default();
        marks.advance(first, 10, 0);
        let mut marks = again(&marks);
        assert_eq!(marks.has(then, &letter), same, "{first:?} {then:?}");
        // Only that one of the two is moved again that was told to.
        marks.again(then, 10);
        assert!(!marks.has(then, &letter));
        marks.advance(then, 10, 0);
        assert!(marks.has(then, &letter));
    }
}

#[test]
fn what_was_begun_again_and_not_done_is_known_until_it_is() {
    let (all, rejected) = (kind(None), kind(Some("Rejected")));
    for before in [None, Some(&all), Some(&rejected)] {
        let mut marks = Marks::default();
        if let Some(before) = before {
            marks.advance(before, 60, 0);
        }
        marks.again(&rejected, 60);
        marks.advance(&rejected, 0, 0);
        marks.advance(&rejected, 20, 0);
        let mut marks = again(&marks);
        assert!(marks.is_at_it_again(&rejected) && !marks.is_at_it_again(&all));
        assert!(marks.has(&rejected, &dead("Rejected", 19)));
        assert!(!marks.has(&rejected, &dead("Rejected", 20)));
        assert_eq!(marks.start(&rejected), Some(20));
        marks.advance(&rejected, 60, 0);
        assert!(!again(&marks).is_at_it_again(&rejected), "{marks:?}");
    }
}

#[test]
fn a_text_without_room_is_said() {
    let mut marks = Marks::default();
    for index in 0..200 {
        marks.advance(&kind(Some(&format!("reason-{index}"))), 10 + index, 0);
    }
    assert_eq!(marks.write(Offset(0), None), None);
}
