//! The counting of attempts, and the waits between them.

use super::*;

impl Teller {
    /// The last delivery was said to be this attempt.
    fn said(&mut self, attempt: u32) -> &mut Self {
        self.history.deliveries.last_mut().unwrap().attempt = Some(attempt);
        self
    }

    /// Delivered as this attempt, which failed.
    fn fail(&mut self, pod: Pod, offset: i64, attempt: u32) -> &mut Self {
        self.begin(pod, offset).said(attempt);
        self.answer(pod, offset, Answer::NotDone);
        self.history.deliveries.last_mut().unwrap().failed = true;
        self
    }

    /// Committed at 0, with so many failures of the record there.
    fn commit_tries(&mut self, pod: Pod, failures: u32) -> &mut Self {
        self.commit(pod, 0);
        let commit = self.history.commits.last_mut().unwrap();
        commit.tries = [(0, failures)].into();
        self
    }

    /// The waits of a second are over.
    fn wait(&mut self) -> &mut Self {
        self.now += 1_000 * MS;
        self
    }
}

fn miscounted(pod: Pod, said: u32, was: u32) -> Breach {
    Breach::Miscounted {
        pod,
        record: at(0),
        said,
        was,
    }
}

#[test]
fn attempts_that_count_on_and_wait_are_right() {
    let mut run = Teller::of("a");
    run.assigned(1).fail(1, 0, 1).commit_tries(1, 1);
    run.ended(1, End::GivenBack).assigned(2).wait();
    run.begin(2, 0).said(2).answer(2, 0, Answer::Done);
    let findings = run.commit(2, 1).has(&[]);
    assert_eq!(findings.later, (1, 1));
}

#[test]
fn what_a_killed_worker_did_not_commit_counts_no_attempt_and_nothing_else_is_forgotten() {
    let mut run = Teller::of("a");
    run.assigned(1).fail(1, 0, 1).ended(1, End::Killed);
    run.assigned(2).fail(2, 0, 1).commit_tries(2, 1);
    run.ended(2, End::Killed).assigned(3).wait();
    run.begin(3, 0).said(2).has(&[]);
    run.said(1).has(&[miscounted(3, 1, 2)]);
}

#[test]
fn an_attempt_is_neither_left_out_nor_counted_twice() {
    let mut run = Teller::of("a");
    run.assigned(1).fail(1, 0, 1).wait();
    run.begin(1, 0).said(1).has(&[miscounted(1, 1, 2)]);
    run.said(3).has(&[miscounted(1, 3, 2)]);
    let mut run = Teller::of("a");
    run.assigned(1).begin(1, 0).said(2);
    run.has(&[miscounted(1, 2, 1)]);
}

#[test]
fn a_holder_that_goes_in_order_tells_of_what_failed() {
    let mut run = Teller::of("a");
    run.assigned(1).fail(1, 0, 1).commit(1, 0);
    run.ended(1, End::GivenBack).assigned(2).wait();
    run.begin(2, 0).said(1).has(&[miscounted(2, 1, 2)]);
}

#[test]
fn no_later_attempt_begins_before_its_time() {
    let mut run = Teller::of("a");
    run.assigned(1).fail(1, 0, 1).begin(1, 0).said(2);
    run.has(&[Breach::TooEarly {
        pod: 1,
        record: at(0),
        attempt: 2,
        by: 900 * MS,
    }]);
}
