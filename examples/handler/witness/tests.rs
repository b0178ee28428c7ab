use super::*;

fn delivery(key: &str, seq: u64, offset: i64) -> Delivery {
    Delivery {
        topic: "orders".into(),
        place: Some((0, offset)),
        key: key.into(),
        seq: Some(seq),
        attempt: 1,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn handle(witness: &mut Witness, delivery: &Delivery) {
    let ticket = witness.begin(delivery, at(1));
    witness.end(delivery, ticket, true, at(2));
}

#[test]
fn each_once_and_in_order_is_well() {
    let mut witness = Witness::default();
    for seq in 1..=3 {
        handle(&mut witness, &delivery("a", seq, seq as i64 * 2));
        handle(&mut witness, &delivery("b", seq, seq as i64 * 2 + 1));
    }
    let stats = witness.stats(Some(8));
    assert_eq!((stats.handled, stats.keys, stats.missing), (6, 2, Some(2)));
    assert_eq!(
        (stats.handled_twice, stats.out_of_order, stats.overlapping),
        (0, 0, 0)
    );
    assert_eq!(stats.out_of_order_in_partition, 0);
    assert_eq!(stats.examples, Vec::<String>::new());
}

#[test]
fn the_same_record_again_is_handled_twice_and_not_out_of_order() {
    let mut witness = Witness::default();
    for (seq, offset) in [(1, 10), (2, 11), (1, 10), (2, 11)] {
        handle(&mut witness, &delivery("a", seq, offset));
    }
    let stats = witness.stats(None);
    assert_eq!(
        (stats.handled, stats.handled_twice, stats.out_of_order),
        (2, 2, 0)
    );
}

#[test]
fn the_same_sequence_number_at_another_offset_is_handled_twice() {
    let mut witness = Witness::default();
    handle(&mut witness, &delivery("a", 1, 10));
    handle(&mut witness, &delivery("a", 1, 11));
    let stats = witness.stats(None);
    assert_eq!((stats.handled, stats.handled_twice), (1, 1));
}

#[test]
fn a_later_attempt_that_succeeds_again_is_told_apart() {
    let mut witness = Witness::default();
    handle(&mut witness, &delivery("a", 1, 10));
    let again = Delivery {
        attempt: 2,
        ..delivery("a", 1, 10)
    };
    handle(&mut witness, &again);
    let stats = witness.stats(None);
    assert_eq!((stats.handled_twice, stats.handled_again_on_retry), (0, 1));
}

#[test]
fn a_record_behind_a_later_one_of_its_key_is_out_of_order() {
    let mut witness = Witness::default();
    handle(&mut witness, &delivery("a", 2, 11));
    handle(&mut witness, &delivery("a", 1, 10));
    let stats = witness.stats(None);
    assert_eq!(
        (stats.out_of_order, stats.out_of_order_in_partition),
        (1, 1)
    );
    assert_eq!(stats.examples.len(), 1);
}

#[test]
fn a_record_that_begins_beside_another_of_its_key_overlaps() {
    let mut witness = Witness::default();
    let (first, second) = (delivery("a", 1, 10), delivery("a", 2, 11));
    let ticket = witness.begin(&first, at(1));
    let other = witness.begin(&second, at(1));
    witness.end(&first, ticket, true, at(2));
    witness.end(&second, other, true, at(2));
    assert_eq!(witness.stats(None).overlapping, 1);
}

#[test]
fn a_failed_delivery_is_not_handled() {
    let mut witness = Witness::default();
    let record = delivery("a", 1, 10);
    let ticket = witness.begin(&record, at(1));
    witness.end(&record, ticket, false, at(2));
    let stats = witness.stats(Some(1));
    assert_eq!(
        (stats.handled, stats.failed, stats.missing),
        (0, 1, Some(1))
    );
    handle(
        &mut witness,
        &Delivery {
            attempt: 2,
            ..record
        },
    );
    let stats = witness.stats(Some(1));
    assert_eq!(
        (stats.handled, stats.handled_again_on_retry, stats.missing),
        (1, 0, Some(0))
    );
}

#[test]
fn what_began_before_a_reset_does_not_count_after_it() {
    let mut witness = Witness::default();
    let record = delivery("a", 1, 10);
    let ticket = witness.begin(&record, at(1));
    witness.reset();
    witness.end(&record, ticket, true, at(2));
    assert_eq!(witness.stats(None), Stats::default());
}

#[test]
fn times_are_those_of_the_first_and_the_last_record() {
    let mut witness = Witness::default();
    for (seq, second) in [(1, 10), (2, 20), (3, 30)] {
        let record = delivery("a", seq, seq as i64);
        let ticket = witness.begin(&record, at(second));
        witness.end(&record, ticket, true, at(second + 1));
    }
    let stats = witness.stats(None);
    assert_eq!(stats.first_begun_at, Some(at(10)));
    assert_eq!(stats.first_handled_at, Some(at(11)));
    assert_eq!(stats.last_handled_at, Some(at(31)));
}
