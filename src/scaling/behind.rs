//! A limit behind the handler, which all pods share: a database, say.
//!
//! Pods that share one are each as much slower as there are more of them. So a raise is held against what it should
//! have brought; where it brought little, the fleet goes back to as many pods as do the same where nothing hinders them.
//! Whether they do is looked at, too.

use jiff::Timestamp;

use super::flow::seconds;
use super::limits::Bounds;
use super::reading::Reading;
use super::sizes;
use super::state::State;
use super::{Policy, Why};

/// A raise by less than this is not judged: pods differ by as much.
const LARGE_RAISE: f64 = 1.3;
/// Share of the expected gain that a raise must bring;
const GAIN: f64 = 0.3;
/// of pods that bring this share of it nothing hindered the fewer before them.
const FULL_GAIN: f64 = 0.7;
/// A raise is judged after so many seconds with all pods there, and fewer pods after so many.
const TRIAL: f64 = 60.0;
const CHECK: f64 = 30.0;
/// A record that has waited for so many seconds, beside what commits are behind, waits for pods.
const STILL_WAITS: f64 = 10.0;
/// Sizes that do so nearly the same, as a share of it, do the same: pods differ by as much.
const SAME: f64 = 0.1;
/// What a pod does where it is hindered is less than what it can by this share at least.
const HINDERED: f64 = 0.1;
/// The size that does the same may be short of it by this share, in theory.
const SLACK: f64 = 0.05;
/// What was seen of a size says nothing of a raise so many seconds later.
const OLD: f64 = 600.0;
/// The first ceiling lasts so long, seconds; each one after it twice as long, up to the last.
const FIRST_CEILING: f64 = 600.0;
const LAST_CEILING: f64 = 7200.0;
/// A size beyond a ceiling that has brought something allows so many times as many pods.
const LEAP: u32 = 2;
/// What a pod can do where nothing hinders it is believed within so many seconds where it is more than before, and
/// forgotten within so many where it is less.
const BELIEVED: f64 = 30.0;
const FORGOTTEN: f64 = 3600.0;

/// What is known of a limit behind the handler.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Behind {
    /// The size at the last look, and whether enough was seen of it to say what its pods do.
    size: Option<u32>,
    told: bool,
    /// A raise whose gain is not known yet.
    trial: Option<Trial>,
    /// It has brought little so far.
    doubtful: bool,
    /// More pods than this brought nothing.
    ceiling: Option<Ceiling>,
    /// Records per second that a pod does where nothing hinders it, and whether more pods have shown that nothing did.
    free: Option<f64>,
    sure: bool,
}

/// What the pods of a size did, each.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rung {
    pods: u32,
    per_pod: f64,
    at: Timestamp,
}

/// A raise, in as many steps as came in quick succession.
#[derive(Clone, Debug, PartialEq)]
struct Trial {
    /// The sizes before the last, ascending; never none.
    rungs: Vec<Rung>,
    to: u32,
    /// It tries a ceiling, and is judged, small as it is.
    probe: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Ceiling {
    pods: u32,
    since: Timestamp,
    lasts: f64,
    /// What has shown it; none where more pods have helped since, and even more are allowed step by step.
    shown: Option<Shown>,
    /// Fewer pods than a larger size should do the same as it, and have to show it.
    check: Option<Rung>,
    /// Fewer are known to do less.
    least: bool,
}

/// What has shown a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// Pods that brought too little.
    pub pods: u32,
    /// Records per second that they did together.
    pub rate: f64,
    /// Records per second that a pod does where nothing hinders it.
    pub per_pod: f64,
}

/// What pods of several sizes are worth, and what they do.
struct Scale {
    partitions: u32,
}

impl Scale {
    fn worth(&self, pods: u32) -> f64 {
        sizes::worth(pods, self.partitions).max(1.0)
    }

    /// Records per second.
    fn done(&self, rung: &Rung) -> f64 {
        rung.per_pod * self.worth(rung.pods)
    }

    /// The share of the expected gain that `more` pods brought; none where none was expected.
    fn gain(&self, fewer: &Rung, more: &Rung) -> Option<f64> {
        let expected = self.worth(more.pods) / self.worth(fewer.pods) - 1.0;
        let came = self.done(more) / self.done(fewer) - 1.0;
        (expected > 0.0 && came.is_finite()).then(|| came / expected)
    }

    /// The least size worth so many pods, but for what is lost in the differences of pods.
    fn size_for(&self, worth: f64) -> Option<u32> {
        let does = |&size: &u32| self.worth(size) >= (1.0 - SLACK) * worth;
        sizes::useful(self.partitions).into_iter().find(does)
    }
}

impl Trial {
    /// What the last size is held against.
    fn against(&self) -> Option<&Rung> {
        let large = |rung: &&Rung| f64::from(self.to) >= LARGE_RAISE * f64::from(rung.pods);
        let nearest = self.rungs.iter().rev().find(large);
        nearest.or_else(|| self.rungs.first().filter(|_| self.probe))
    }

    /// The share of its gain that came, where each pod does so much now.
    fn gain(&self, now: &Rung, scale: &Scale) -> Option<f64> {
        scale.gain(self.against()?, now)
    }

    /// The last size that brought its share, the first one included.
    fn last_good(&self, scale: &Scale) -> Option<u32> {
        let mut good = *self.rungs.first()?;
        for rung in &self.rungs[1..] {
            if scale.gain(&good, rung).is_some_and(|gain| gain >= GAIN) {
                good = *rung;
            }
        }
        Some(good.pods)
    }

    /// The least size before the last that did the same as the last does now.
    fn least_as_good(&self, now: &Rung, scale: &Scale) -> Option<u32> {
        let done = (1.0 - SAME) * scale.done(now);
        let as_good = |rung: &&Rung| scale.done(rung) >= done;
        self.rungs.iter().find(as_good).map(|rung| rung.pods)
    }
}

impl Behind {
    /// Whether more pods have turned out to bring nothing, or a raise is on trial for it.
    pub(super) fn suspected(&self) -> bool {
        self.ceiling.is_some() || self.doubtful
    }

    /// Records per second that a pod does where nothing hinders it, while something may.
    pub(super) fn unhindered(&self) -> Option<f64> {
        self.free.filter(|_| self.suspected())
    }

    /// A raise has brought little so far: the next one waits for the judgement.
    pub(super) fn doubtful(&self) -> bool {
        self.doubtful
    }

    /// Pods at most, of those that may be ordered, and why; once the ceiling has lasted, the next size whose
    /// gain would show.
    pub(super) fn most(&self, now: Timestamp, bounds: &Bounds) -> Option<(u32, Why)> {
        let ceiling = self.ceiling.as_ref()?;
        let most = self.most_of(now, &bounds.sizes)?;
        let effective = bounds.sizes.iter().rev().find(|&&size| size <= most);
        let most = effective.copied().unwrap_or(most).max(bounds.floor);
        let probes = most > ceiling.pods;
        let shown = ceiling.shown;
        Some((
            most,
            Why::MorePodsDoNotHelp {
                most,
                shown,
                probes,
            },
        ))
    }

    /// Seconds until more pods are tried than a limit allows; none where they are already, or there is none.
    pub(super) fn tries_more_in(&self, now: Timestamp) -> Option<f64> {
        let ceiling = self.ceiling.as_ref()?;
        let left = ceiling.lasts - seconds(ceiling.since, now);
        (left > 0.0).then_some(left)
    }

    fn most_of(&self, now: Timestamp, sizes: &[u32]) -> Option<u32> {
        let ceiling = self.ceiling.as_ref()?;
        if seconds(ceiling.since, now) < ceiling.lasts {
            return Some(ceiling.pods);
        }
        let shows = LARGE_RAISE * f64::from(ceiling.pods);
        let next = sizes.iter().copied().find(|&size| f64::from(size) >= shows);
        let next = next.or_else(|| sizes.last().copied());
        Some(next.map_or(ceiling.pods, |next| next.max(ceiling.pods)))
    }

    /// Takes a change of size in.
    fn resized(&mut self, from: u32, to: u32, did: Option<f64>, at: Timestamp) {
        if to < from {
            self.trial = None;
            return;
        }
        let limit = self.ceiling.as_ref().map(|ceiling| ceiling.pods);
        let (mut rungs, mut probe) = self
            .trial
            .take()
            .map_or_else(Default::default, |trial| (trial.rungs, trial.probe));
        probe |= limit == Some(from);
        rungs.retain(|rung| seconds(rung.at, at) < OLD);
        // Of a size that was passed too soon nothing is known; of the first, what its pods did of late.
        if let Some(per_pod) = did.filter(|_| from > 0 && (self.told || rungs.is_empty())) {
            let pods = from;
            rungs.push(Rung { pods, per_pod, at });
        }
        self.trial = (!rungs.is_empty()).then_some(Trial { rungs, to, probe });
    }

    /// Learns what a pod does where nothing hinders it.
    fn follow(&mut self, per_pod: f64, elapsed: f64) {
        let Some(free) = self.free else {
            self.free = Some(per_pod);
            return;
        };
        let within = if per_pod > free { BELIEVED } else { FORGOTTEN };
        self.free = Some(free + (elapsed / within).min(1.0) * (per_pod - free));
    }

    /// A raise has brought too little.
    fn limited(&mut self, trial: &Trial, now: &Rung, rate: f64, scale: &Scale) {
        let before = trial.rungs.iter();
        let best = before.map(|rung| rung.per_pod).fold(now.per_pod, f64::max);
        let pairs = trial.rungs.iter().zip(&trial.rungs[1..]);
        self.sure |= pairs.into_iter().any(|(fewer, more)| {
            let gain = scale.gain(fewer, more);
            gain.is_some_and(|gain| gain >= FULL_GAIN) && more.per_pod >= (1.0 - HINDERED) * best
        });
        let best = self.free.unwrap_or(best).max(best);
        self.free = Some(best);
        let done = scale.done(now).max(rate);
        let enough = scale.size_for(done / best).unwrap_or(trial.to);
        let as_good = trial.least_as_good(now, scale).unwrap_or(trial.to);
        let good = trial.last_good(scale).unwrap_or(1);
        let pods = enough.min(as_good).max(good).min(trial.to);
        let lasts = self.ceiling.as_ref().map_or(FIRST_CEILING, |ceiling| {
            (ceiling.lasts * 2.0).min(LAST_CEILING)
        });
        self.ceiling = Some(Ceiling {
            pods,
            since: now.at,
            lasts,
            shown: Some(Shown {
                pods: trial.to,
                rate,
                per_pod: best,
            }),
            check: (pods < trial.to).then_some(*now),
            least: self.sure && pods <= good,
        });
    }

    /// Looks whether fewer pods do the same, and which might. Where the promise is `broken` anyway, one that may not is
    /// tried, too.
    fn check(&mut self, now: &Rung, scale: &Scale, broken: bool) {
        let (free, sure) = (self.free.unwrap_or(now.per_pod), self.sure);
        let Some(ceiling) = &mut self.ceiling else {
            return;
        };
        let Some(before) = ceiling.check.take() else {
            return;
        };
        let done = scale.done(&before);
        if scale.done(now) < (1.0 - SAME) * done {
            // What was taken for what a pod can do is not, or not any more.
            self.free = Some(now.per_pod);
            self.sure = true;
            let enough = scale.size_for(done / now.per_pod).unwrap_or(before.pods);
            ceiling.pods = enough.clamp(now.pods, before.pods);
            ceiling.least = true;
            return;
        }
        let hindered = now.per_pod < (1.0 - HINDERED) * free;
        let fewer = if hindered {
            scale.size_for(done / free)
        } else if broken && !sure {
            let smaller = sizes::useful(scale.partitions).into_iter().rev();
            smaller.into_iter().find(|&size| size < now.pods)
        } else {
            None
        };
        match fewer.filter(|&fewer| fewer < now.pods && !ceiling.least) {
            Some(fewer) => {
                ceiling.pods = fewer;
                ceiling.check = Some(before);
            }
            None => ceiling.least = true,
        }
    }
}

/// Takes in what raises have brought.
pub(super) fn observe(policy: &Policy, state: &mut State, reading: &Reading<'_>) {
    if !reading.new {
        return;
    }
    let promise = policy.max_delay.as_secs_f64();
    let steady_for = state.orders.steady_for(reading);
    let capacity = &state.capacity;
    let does = capacity.does();
    let did = capacity.did_before();
    let of_late = capacity.said();
    let tells = capacity.tells_gain();
    let scale = Scale {
        partitions: reading.partitions(),
    };
    // Commits that are rarer than the promise excuse nothing.
    let patience = (STILL_WAITS + 2.0 * state.commit_gap).min(promise.max(STILL_WAITS));
    let waited = state.waited(reading).map(|waited| waited.seconds());
    let waits = waited.is_some_and(|waited| waited > patience);
    // In records, as pods tell them.
    let per_record = state.capacity.per_record();
    let rate = state.progress.rate(TRIAL, 1.0).unwrap_or(0.0) / per_record;
    let seed = state.capacity.measured().map(|rate| rate / per_record);
    let behind = &mut state.behind;
    let (current, at) = (reading.sample.current, reading.at);

    if let Some(size) = behind.size.filter(|&size| size != current) {
        behind.resized(size, current, did, at);
    }
    behind.size = Some(current);
    behind.told = tells;
    if behind.free.is_none() {
        behind.free = seed;
    }
    let rung = |per_pod: f64| Rung {
        pods: current,
        per_pod,
        at,
    };
    if let Some(per_pod) = does.filter(|_| tells) {
        behind.follow(per_pod, reading.elapsed);
        let checked = behind.ceiling.as_ref();
        let checked = checked.is_some_and(|ceiling| ceiling.pods == current);
        if checked && waits && steady_for >= CHECK {
            let broken = waited.is_some_and(|waited| waited > promise);
            behind.check(&rung(per_pod), &scale, broken);
        }
    }

    // What a raise has brought so far is no judgement, but the next one waits for that.
    behind.doubtful = match (&behind.trial, does) {
        (Some(trial), Some(after)) => {
            let gain = trial.gain(&rung(after), &scale);
            tells && waits && gain.is_some_and(|gain| gain < GAIN)
        }
        _ => false,
    };
    // A few slow records say little: one of them may take as long as all others.
    if steady_for < TRIAL || (behind.trial.is_some() && !tells) {
        return;
    }
    let judged = behind.trial.as_ref().zip(does.or(of_late));
    let judged = judged.and_then(|(trial, after)| {
        let now = rung(after);
        Some((trial.clone(), now, trial.gain(&now, &scale)?))
    });
    if let Some((trial, now, gain)) = judged {
        behind.trial = None;
        // Where nothing waits any more the raise has helped, or was not needed: that pods do less now
        // shows no limit.
        if gain < GAIN && !waits {
            if let Some(ceiling) = &mut behind.ceiling {
                ceiling.since = at;
            }
        } else if gain < GAIN {
            behind.limited(&trial, &now, rate, &scale);
        } else {
            // Chance may have helped, too: the next raise is judged as well before all are allowed.
            behind.ceiling = behind.ceiling.take().map(|_| Ceiling {
                pods: LEAP * trial.to,
                since: at,
                lasts: FIRST_CEILING,
                shown: None,
                check: None,
                least: false,
            });
        }
    }
    // Where far fewer pods are enough, what they can do together is another question.
    if behind.ceiling.as_ref().is_some_and(|ceiling| {
        2 * current <= ceiling.pods && seconds(ceiling.since, at) > ceiling.lasts
    }) {
        behind.ceiling = None;
    }
}

#[cfg(test)]
mod tests;
