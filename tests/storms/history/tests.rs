//! The checker against histories that are right, and against one broken history for each breach.

mod attempts;

use super::*;

const MS: Micros = 1_000;

/// A history that is told event by event, a hundred milliseconds apart.
struct Teller {
    now: Micros,
    history: History,
}

fn at(offset: i64) -> Place {
    Place {
        partition: 0,
        offset,
    }
}

impl Teller {
    /// `keys` says each record's key, one character a record; `-` is none.
    fn of(keys: &str) -> Self {
        let record = |(offset, key): (usize, char)| Record {
            place: at(i64::try_from(offset).unwrap()),
            key: (key != '-').then(|| key.to_string()),
        };
        Self {
            now: 0,
            history: History {
                ordering: Ordering::Key,
                concurrency: 2,
                attempts: 1,
                then: vec![1_000 * MS],
                records: keys.chars().enumerate().map(record).collect(),
                deliveries: Vec::new(),
                dead_letters: Vec::new(),
                commits: Vec::new(),
                holdings: Vec::new(),
            },
        }
    }

    fn tick(&mut self) -> Micros {
        self.now += 100 * MS;
        self.now
    }

    fn assigned(&mut self, pod: Pod) -> &mut Self {
        let (from, partition, to) = (self.tick(), 0, None);
        self.history.holdings.push(Holding {
            pod,
            partition,
            from,
            to,
        });
        self
    }

    fn ended(&mut self, pod: Pod, end: End) -> &mut Self {
        let now = self.tick();
        let all = self.history.holdings.iter_mut();
        let open = all.rev().find(|h| h.pod == pod && h.to.is_none()).unwrap();
        open.to = Some((now, end));
        self
    }

    fn begin(&mut self, pod: Pod, offset: i64) -> &mut Self {
        let begun = self.tick();
        let (place, over) = (at(offset), None);
        self.history.deliveries.push(Delivery {
            pod,
            place,
            begun,
            over,
            attempt: None,
            failed: false,
        });
        self
    }

    fn answer(&mut self, pod: Pod, offset: i64, answer: Answer) -> &mut Self {
        let now = self.tick();
        let all = self.history.deliveries.iter_mut();
        let is_it = |d: &&mut Delivery| (d.pod, d.place, d.over) == (pod, at(offset), None);
        all.rev().find(is_it).unwrap().over = Some((now, answer));
        self
    }

    fn handle(&mut self, pod: Pod, offset: i64) -> &mut Self {
        self.begin(pod, offset).answer(pod, offset, Answer::Done)
    }

    fn dead_letter(&mut self, offset: i64) -> &mut Self {
        let (of, at) = (at(offset), self.tick());
        self.history.dead_letters.push(DeadLetter { of, at });
        self
    }

    fn commit(&mut self, pod: Pod, offset: i64) -> &mut Self {
        self.committed(pod, offset, Vec::new())
    }

    fn commit_with(&mut self, pod: Pod, offset: i64, ahead: Range<i64>) -> &mut Self {
        self.committed(pod, offset, vec![ahead])
    }

    fn committed(&mut self, pod: Pod, offset: i64, ahead: Vec<Range<i64>>) -> &mut Self {
        let (pod, partition, at) = (Some(pod), 0, self.tick());
        self.history.commits.push(Commit {
            pod,
            partition,
            offset,
            ahead,
            tries: BTreeMap::new(),
            at,
        });
        self
    }

    #[track_caller]
    fn has(&self, breaches: &[Breach]) -> Findings {
        let findings = check(&self.history);
        assert_eq!(findings.breaches, breaches, "{findings}");
        findings
    }
}

fn said(pod: Pod, offset: i64) -> findings::Said {
    findings::Said {
        pod: Some(pod),
        partition: 0,
        offset,
    }
}

#[test]
fn a_quiet_run_is_right() {
    let mut run = Teller::of("ab-a");
    run.assigned(1)
        .begin(1, 0)
        .begin(1, 1)
        .answer(1, 1, Answer::Done);
    run.commit_with(1, 0, 1..2).answer(1, 0, Answer::Done);
    run.handle(1, 2)
        .handle(1, 3)
        .commit(1, 4)
        .ended(1, End::GivenBack);
    let findings = run.has(&[]);
    findings.assert_complete(&[]);
    assert_eq!(
        (findings.handled, findings.deliveries, findings.commits),
        (4, 4, 2)
    );
}

#[test]
fn what_is_not_committed_yet_is_not_lost() {
    let mut run = Teller::of("ab");
    run.assigned(1).handle(1, 0).commit(1, 1);
    let findings = run.has(&[]);
    assert_eq!((findings.handled, findings.uncommitted), (1, 1));
}

#[test]
fn a_record_that_is_committed_and_was_never_handled_is_lost() {
    let mut run = Teller::of("ab");
    run.assigned(1).handle(1, 1).commit(1, 2);
    let passed = Breach::PassedUnfinished {
        commit: said(1, 2),
        record: at(0),
    };
    run.has(&[Breach::Lost(at(0)), passed]);
}

#[test]
fn a_report_of_what_is_ahead_can_lose_a_record_too() {
    let mut run = Teller::of("abc");
    run.assigned(1).handle(1, 2).commit_with(1, 0, 1..3);
    let passed = Breach::PassedUnfinished {
        commit: said(1, 0),
        record: at(1),
    };
    run.has(&[Breach::Lost(at(1)), passed]);
}

#[test]
fn a_commit_before_the_answer_is_a_breach_though_the_answer_comes() {
    let mut run = Teller::of("ab");
    run.assigned(1)
        .begin(1, 0)
        .commit(1, 1)
        .answer(1, 0, Answer::Done);
    run.has(&[Breach::PassedUnfinished {
        commit: said(1, 1),
        record: at(0),
    }]);
}

#[test]
fn a_failed_answer_finishes_nothing_and_a_dead_letter_does() {
    let mut run = Teller::of("a");
    run.assigned(1).begin(1, 0).answer(1, 0, Answer::NotDone);
    let mut letter = Teller {
        now: run.now,
        history: run.history.clone(),
    };
    run.commit(1, 1);
    let passed = Breach::PassedUnfinished {
        commit: said(1, 1),
        record: at(0),
    };
    run.has(&[Breach::Lost(at(0)), passed]);
    letter.dead_letter(0).commit(1, 1);
    let findings = letter.has(&[]);
    assert_eq!((findings.handled, findings.dead_lettered), (0, 1));
    findings.assert_complete(&[]);
}

#[test]
fn a_commit_that_goes_back_is_a_breach_also_across_pods() {
    let mut run = Teller::of("abc");
    run.assigned(1)
        .handle(1, 0)
        .handle(1, 1)
        .commit(1, 2)
        .ended(1, End::Lost);
    run.assigned(2).commit(2, 1);
    run.has(&[Breach::WentBack {
        commit: said(2, 1),
        from: 2,
    }]);
}

#[test]
fn nobody_commits_or_delivers_after_giving_back_or_before_being_assigned() {
    let mut run = Teller::of("abc");
    run.assigned(1)
        .ended(1, End::GivenBack)
        .handle(1, 0)
        .commit(1, 1);
    run.begin(2, 1).answer(2, 1, Answer::NotDone);
    run.has(&[
        Breach::CommittedByStranger(said(1, 1)),
        Breach::DeliveredByStranger {
            pod: 1,
            record: at(0),
        },
        Breach::DeliveredByStranger {
            pod: 2,
            record: at(1),
        },
    ]);
}

#[test]
fn after_a_loss_no_more_than_what_was_under_way_is_delivered() {
    let mut run = Teller::of("abcd");
    run.assigned(1).ended(1, End::Lost).begin(1, 0).begin(1, 1);
    run.has(&[]);
    run.begin(1, 2);
    run.has(&[Breach::DeliveredLongAfterLoss {
        pod: 1,
        partition: 0,
        count: 3,
    }]);
}

#[test]
fn a_record_waits_for_the_one_before_it_of_its_key() {
    let mut run = Teller::of("aba");
    run.assigned(1)
        .handle(1, 1)
        .handle(1, 2)
        .handle(1, 0)
        .commit(1, 3);
    run.has(&[Breach::Overtook {
        record: at(2),
        before: at(0),
    }]);
    run.history.ordering = Ordering::None;
    run.has(&[]);
    run.history.ordering = Ordering::Partition;
    run.has(&[Breach::Overtook {
        record: at(1),
        before: at(0),
    }]);
}

#[test]
fn two_records_of_a_key_are_never_in_a_pods_handler_together() {
    let mut run = Teller::of("aa");
    run.assigned(1)
        .begin(1, 0)
        .begin(1, 1)
        .answer(1, 0, Answer::Done);
    run.answer(1, 1, Answer::Done);
    run.has(&[
        Breach::Overtook {
            record: at(1),
            before: at(0),
        },
        Breach::Together {
            pod: 1,
            record: at(1),
            before: at(0),
        },
    ]);
}

#[test]
fn what_a_killed_pod_had_not_committed_is_repeated_and_explained() {
    let mut run = Teller::of("ab");
    run.assigned(1)
        .handle(1, 0)
        .commit(1, 1)
        .handle(1, 1)
        .ended(1, End::Killed);
    run.assigned(2).handle(2, 1).commit(2, 2);
    let findings = run.has(&[]);
    assert_eq!(findings.repeated, [(Cause::Killed, 1)].into());
    findings.assert_complete(&[Cause::Killed]);
    assert!(std::panic::catch_unwind(|| findings.assert_complete(&[Cause::Lost])).is_err());
}

#[test]
fn what_a_pod_had_committed_is_never_repeated_however_it_ended() {
    for end in [End::Killed, End::Lost, End::GivenBack] {
        let mut run = Teller::of("ab");
        run.assigned(1)
            .handle(1, 1)
            .commit_with(1, 0, 1..2)
            .ended(1, end);
        run.assigned(2).handle(2, 0).handle(2, 1).commit(2, 2);
        run.has(&[Breach::RepeatedThoughCommitted {
            pod: 2,
            record: at(1),
        }]);
    }
}

#[test]
fn a_pod_that_knows_that_it_is_handled_does_not_repeat_it() {
    let mut run = Teller::of("a");
    run.assigned(1).handle(1, 0).handle(1, 0).commit(1, 1);
    run.has(&[Breach::RepeatedByHolder {
        pod: 1,
        record: at(0),
    }]);
}

#[test]
fn a_broken_connection_explains_a_repeat_by_the_same_pod() {
    let mut run = Teller::of("a");
    run.assigned(1)
        .begin(1, 0)
        .answer(1, 0, Answer::Unheard)
        .handle(1, 0)
        .commit(1, 1);
    assert_eq!(run.has(&[]).repeated, [(Cause::AnswerUnheard, 1)].into());
}

#[test]
fn a_pod_that_was_shut_out_may_handle_what_the_next_one_handles_too() {
    let mut run = Teller::of("ab");
    run.assigned(1)
        .begin(1, 0)
        .answer(1, 0, Answer::Done)
        .assigned(2)
        .begin(2, 0);
    run.handle(1, 1)
        .answer(2, 0, Answer::Done)
        .ended(1, End::Lost)
        .handle(2, 1)
        .commit(2, 2);
    assert_eq!(run.has(&[]).repeated, [(Cause::Lost, 2)].into());
}

#[test]
fn two_pods_that_both_keep_a_partition_are_a_breach() {
    let mut run = Teller::of("a");
    run.assigned(1)
        .handle(1, 0)
        .assigned(2)
        .handle(2, 0)
        .commit(2, 1);
    run.has(&[Breach::HeldTwice {
        pods: [1, 2],
        record: at(0),
    }]);
}

#[test]
fn a_last_commit_that_did_not_arrive_is_a_cause_of_its_own() {
    let mut run = Teller::of("a");
    run.assigned(1)
        .handle(1, 0)
        .ended(1, End::GivenBack)
        .assigned(2)
        .handle(2, 0)
        .commit(2, 1);
    assert_eq!(run.has(&[]).repeated, [(Cause::LastCommitFailed, 1)].into());
}

#[test]
fn copies_of_a_dead_letter_are_counted_and_none_follows_its_commit() {
    let mut run = Teller::of("a");
    run.assigned(1)
        .begin(1, 0)
        .answer(1, 0, Answer::NotDone)
        .dead_letter(0);
    run.ended(1, End::Killed)
        .assigned(2)
        .begin(2, 0)
        .answer(2, 0, Answer::NotDone);
    run.dead_letter(0).commit(2, 1).ended(2, End::GivenBack);
    assert_eq!(run.has(&[]).dead_lettered_again, 1);
    run.assigned(3)
        .begin(3, 0)
        .answer(3, 0, Answer::NotDone)
        .dead_letter(0);
    run.has(&[
        Breach::RepeatedThoughCommitted {
            pod: 3,
            record: at(0),
        },
        Breach::DeadLetteredThoughCommitted(at(0)),
    ]);
}

#[test]
fn the_brokers_cut_of_a_time_accuses_nobody() {
    let mut run = Teller::of("a");
    run.assigned(1)
        .handle(1, 0)
        .commit(1, 1)
        .ended(1, End::GivenBack);
    // Committed 0.9 ms after the answer, which the broker's clock shows as 0.1 ms before it.
    let answered = run.history.deliveries[0].over.unwrap().0;
    run.history.commits[0].at = answered - 100;
    run.has(&[]);
    run.history.commits[0].at = answered - CUT - 1;
    run.has(&[Breach::PassedUnfinished {
        commit: said(1, 1),
        record: at(0),
    }]);
}
