//! Whether a run was right.
//!
//! Each law looks at the whole history by itself, in the plainest way. None knows what faults the run
//! had: what a fault may cause follows from how the holdings ended.

use std::collections::{BTreeMap, HashMap};

use drover::worker_config::Ordering;

use super::{
    Answer, Breach, CUT, Cause, Commit, Delivery, End, Findings, History, Holding, Micros, Place,
    Pod, Record,
};

/// What the history comes to.
pub fn check(history: &History) -> Findings {
    let run = Run::of(history);
    let mut findings = Findings {
        produced: history.records.len(),
        deliveries: history.deliveries.len(),
        commits: history.commits.len(),
        ..Findings::default()
    };
    nothing_is_lost(&run, &mut findings);
    commits_pass_nothing_unfinished(&run, &mut findings);
    commits_go_forward(&run, &mut findings);
    only_holders_commit(&run, &mut findings);
    only_holders_deliver(&run, &mut findings);
    order_is_kept(&run, &mut findings);
    none_are_together(&run, &mut findings);
    repeats_are_explained(&run, &mut findings);
    dead_letters_are_explained(&run, &mut findings);
    super::attempts::are_counted_on_and_wait(&run, &mut findings);
    findings
}

/// The history, with what each law looks up.
pub(super) struct Run<'a> {
    pub(super) history: &'a History,
    /// Each record's deliveries, in the order in which they began.
    pub(super) deliveries: HashMap<Place, Vec<&'a Delivery>>,
    dead_letters: HashMap<Place, Vec<Micros>>,
    /// When each record was first handled, or its first copy taken.
    finished: HashMap<Place, Micros>,
    pub(super) commits: BTreeMap<i32, Vec<&'a Commit>>,
    /// Each pod's holdings of a partition, in their order.
    holdings: HashMap<(Pod, i32), Vec<&'a Holding>>,
}

impl<'a> Run<'a> {
    fn of(history: &'a History) -> Self {
        let mut run = Self {
            history,
            deliveries: HashMap::new(),
            dead_letters: HashMap::new(),
            finished: HashMap::new(),
            commits: BTreeMap::new(),
            holdings: HashMap::new(),
        };
        for delivery in &history.deliveries {
            run.deliveries
                .entry(delivery.place)
                .or_default()
                .push(delivery);
            if let Some((at, Answer::Done | Answer::Unheard)) = delivery.over {
                run.finish(delivery.place, at);
            }
        }
        for letter in &history.dead_letters {
            run.dead_letters
                .entry(letter.of)
                .or_default()
                .push(letter.at);
            run.finish(letter.of, letter.at);
        }
        for commit in &history.commits {
            run.commits
                .entry(commit.partition)
                .or_default()
                .push(commit);
        }
        for holding in &history.holdings {
            let place = (holding.pod, holding.partition);
            run.holdings.entry(place).or_default().push(holding);
        }
        run.deliveries
            .values_mut()
            .for_each(|all| all.sort_by_key(|d| d.begun));
        run.holdings
            .values_mut()
            .for_each(|all| all.sort_by_key(|h| h.from));
        run
    }

    fn finish(&mut self, place: Place, at: Micros) {
        let first = self.finished.entry(place).or_insert(at);
        *first = at.min(*first);
    }

    /// The last holding of `partition` that `pod` had begun by `at`.
    pub(super) fn holding(&self, pod: Pod, partition: i32, at: Micros) -> Option<&'a Holding> {
        let all = self.holdings.get(&(pod, partition))?;
        all.iter().rev().find(|holding| holding.from <= at).copied()
    }

    /// The commit with which `holding` began.
    fn taken_over_with(&self, holding: &Holding) -> Option<&'a Commit> {
        let all = self.commits.get(&holding.partition)?;
        all.iter()
            .rev()
            .find(|commit| commit.at + CUT < holding.from)
            .copied()
    }

    /// Records that wait for each other, in their order.
    fn lines(&self) -> Vec<Vec<&'a Record>> {
        let mut lines: BTreeMap<(i32, Option<&str>), Vec<&Record>> = BTreeMap::new();
        for record in &self.history.records {
            let line = match (self.history.ordering, &record.key) {
                (Ordering::Key, Some(key)) => (record.place.partition, Some(key.as_str())),
                (Ordering::Partition, _) => (record.place.partition, None),
                (Ordering::Key, None) | (Ordering::None, _) => continue,
            };
            lines.entry(line).or_default().push(record);
        }
        let mut lines: Vec<_> = lines.into_values().collect();
        lines
            .iter_mut()
            .for_each(|line| line.sort_by_key(|record| record.place.offset));
        lines
    }
}

fn nothing_is_lost(run: &Run<'_>, findings: &mut Findings) {
    for record in &run.history.records {
        let Place { partition, offset } = record.place;
        let last = run.commits.get(&partition).and_then(|all| all.last());
        let committed = last.is_some_and(|commit| commit.covers(offset));
        let handled = run.deliveries.get(&record.place).is_some_and(|all| {
            all.iter()
                .any(|d| matches!(d.over, Some((_, Answer::Done | Answer::Unheard))))
        });
        findings.handled += usize::from(handled);
        let finished = run.finished.contains_key(&record.place);
        findings.dead_lettered += usize::from(finished && !handled);
        findings.uncommitted += usize::from(!committed);
        if committed && !finished {
            findings.breaches.push(Breach::Lost(record.place));
        }
    }
}

fn commits_pass_nothing_unfinished(run: &Run<'_>, findings: &mut Findings) {
    let mut by_partition: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for record in &run.history.records {
        by_partition
            .entry(record.place.partition)
            .or_default()
            .push(record.place.offset);
    }
    for (partition, mut offsets) in by_partition {
        offsets.sort_unstable();
        // Once a record was finished in time for one commit, it is for all later ones.
        let mut good = vec![false; offsets.len()];
        let mut first_doubtful = 0;
        for commit in run.commits.get(&partition).into_iter().flatten() {
            for index in first_doubtful..offsets.len() {
                let offset = offsets[index];
                if good[index] || !commit.covers(offset) {
                    let end = commit.ahead.last().map_or(0, |range| range.end);
                    if offset >= commit.offset.max(end) {
                        break;
                    }
                    continue;
                }
                let record = Place { partition, offset };
                if run
                    .finished
                    .get(&record)
                    .is_none_or(|at| *at > commit.at + CUT)
                {
                    let commit = (*commit).into();
                    findings
                        .breaches
                        .push(Breach::PassedUnfinished { commit, record });
                }
                good[index] = true;
            }
            while good.get(first_doubtful) == Some(&true) {
                first_doubtful += 1;
            }
        }
    }
}

fn commits_go_forward(run: &Run<'_>, findings: &mut Findings) {
    for commits in run.commits.values() {
        for pair in commits.windows(2) {
            let (from, commit) = (pair[0].offset, pair[1].into());
            if pair[1].offset < from {
                findings.breaches.push(Breach::WentBack { commit, from });
            }
        }
    }
}

fn only_holders_commit(run: &Run<'_>, findings: &mut Findings) {
    for commit in &run.history.commits {
        let Some(pod) = commit.pod else { continue };
        let holding = run.holding(pod, commit.partition, commit.at + CUT);
        let stranger = holding.is_none_or(|holding| match holding.to {
            Some((to, End::GivenBack)) => commit.at > to,
            // What was under way may arrive before the group, or the end, is noticed.
            Some((_, End::Lost | End::Killed)) | None => false,
        });
        if stranger {
            findings
                .breaches
                .push(Breach::CommittedByStranger(commit.into()));
        }
    }
}

fn only_holders_deliver(run: &Run<'_>, findings: &mut Findings) {
    let mut after_loss: BTreeMap<(Pod, i32, Micros), usize> = BTreeMap::new();
    for delivery in &run.history.deliveries {
        let Delivery {
            pod, place, begun, ..
        } = *delivery;
        let holding = run.holding(pod, place.partition, begun);
        let stranger = match holding.map(|holding| (holding.from, holding.to)) {
            None => true,
            Some((_, Some((to, End::GivenBack)))) => begun > to,
            Some((from, Some((to, End::Lost)))) => {
                if begun > to {
                    *after_loss.entry((pod, place.partition, from)).or_default() += 1;
                }
                false
            }
            Some((_, Some((_, End::Killed)) | None)) => false,
        };
        if stranger {
            findings
                .breaches
                .push(Breach::DeliveredByStranger { pod, record: place });
        }
    }
    for ((pod, partition, _), count) in after_loss {
        if count > run.history.concurrency {
            let breach = Breach::DeliveredLongAfterLoss {
                pod,
                partition,
                count,
            };
            findings.breaches.push(breach);
        }
    }
}

/// That the first attempt of a record begins after the one before it was finished says both: first
/// attempts are in order, and so are completions.
fn order_is_kept(run: &Run<'_>, findings: &mut Findings) {
    for line in run.lines() {
        for pair in line.windows(2) {
            let (before, record) = (pair[0].place, pair[1].place);
            let Some(begun) = run.deliveries.get(&record).map(|all| all[0].begun) else {
                continue;
            };
            if run.finished.get(&before).is_none_or(|at| *at > begun) {
                findings.breaches.push(Breach::Overtook { record, before });
            }
        }
    }
}

fn none_are_together(run: &Run<'_>, findings: &mut Findings) {
    for line in run.lines() {
        let mut by_pod: BTreeMap<Pod, Vec<&Delivery>> = BTreeMap::new();
        for delivery in line
            .iter()
            .filter_map(|r| run.deliveries.get(&r.place))
            .flatten()
        {
            by_pod.entry(delivery.pod).or_default().push(delivery);
        }
        for (pod, mut deliveries) in by_pod {
            deliveries.sort_by_key(|d| d.begun);
            for pair in deliveries.windows(2) {
                let (before, record) = (pair[0].place, pair[1].place);
                // Of a request that the worker gave up, the handler hears later, or never.
                let given_up = matches!(pair[0].over, None | Some((_, Answer::NotDone)));
                let over = pair[0].over.is_some_and(|(at, _)| at <= pair[1].begun);
                if !over && !given_up {
                    findings.breaches.push(Breach::Together {
                        pod,
                        record,
                        before,
                    });
                }
            }
        }
    }
}

fn repeats_are_explained(run: &Run<'_>, findings: &mut Findings) {
    for deliveries in run.deliveries.values() {
        for (index, delivery) in deliveries.iter().enumerate() {
            let Delivery {
                pod,
                place: record,
                begun,
                ..
            } = **delivery;
            let now = run.holding(pod, record.partition, begun);
            let covered = now
                .and_then(|holding| run.taken_over_with(holding))
                .is_some_and(|commit| commit.covers(record.offset));
            if covered {
                findings
                    .breaches
                    .push(Breach::RepeatedThoughCommitted { pod, record });
                continue;
            }
            let earlier = deliveries[..index].iter().rev();
            let mut known = None;
            for before in earlier {
                match before.over {
                    Some((at, Answer::Done)) if at <= begun => {
                        known = Some((Answer::Done, *before, at));
                        break;
                    }
                    Some((at, Answer::Unheard)) if at <= begun => {
                        known.get_or_insert((Answer::Unheard, *before, at));
                    }
                    _ => {}
                }
            }
            let cause = match known {
                None => continue,
                Some((Answer::Done, before, at)) => {
                    let then = run.holding(before.pod, record.partition, at);
                    let same =
                        |holding: &Holding| now.is_some_and(|now| std::ptr::eq(now, holding));
                    match then.map(|holding| (holding, holding.to)) {
                        Some((holding, _)) if same(holding) => {
                            findings
                                .breaches
                                .push(Breach::RepeatedByHolder { pod, record });
                            continue;
                        }
                        Some((_, Some((_, End::Killed)))) => Cause::Killed,
                        Some((_, Some((_, End::Lost)))) => Cause::Lost,
                        Some((_, Some((_, End::GivenBack)))) => Cause::LastCommitFailed,
                        Some((_, None)) | None => {
                            let pods = [before.pod, pod];
                            findings.breaches.push(Breach::HeldTwice { pods, record });
                            continue;
                        }
                    }
                }
                Some(_) => Cause::AnswerUnheard,
            };
            *findings.repeated.entry(cause).or_default() += 1;
        }
    }
}

fn dead_letters_are_explained(run: &Run<'_>, findings: &mut Findings) {
    for (place, copies) in &run.dead_letters {
        findings.dead_lettered_again += copies.len() - 1;
        // A copy says nothing of the pod: whoever delivered it last before is the one.
        for at in copies {
            let by = run.deliveries.get(place).into_iter().flatten();
            let last = by.rev().find(|d| d.begun <= at + CUT);
            let covered = last
                .and_then(|d| run.holding(d.pod, place.partition, d.begun))
                .and_then(|holding| run.taken_over_with(holding))
                .is_some_and(|commit| commit.covers(place.offset));
            if covered {
                findings
                    .breaches
                    .push(Breach::DeadLetteredThoughCommitted(*place));
            }
        }
    }
}
