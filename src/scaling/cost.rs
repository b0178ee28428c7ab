//! What it costs to hold a size for some time: pods, waiting, and the change itself.
//!
//! The load is taken to go on as it is. What is ordered comes later; until then the pods that are
//! there work, and what they do not manage waits. Waiting is free up to a share of the promise,
//! then it costs more the nearer its end comes.

use super::load::Load;

/// Share of the promise up to which waiting is free.
const FREE: f64 = 0.4;
/// Where records take longer than this share of it, pods are no help against that.
const MOST_IN_HAND: f64 = 0.2;
/// A second over the promise costs as much as so many pods for a second.
pub(super) const PRICE: f64 = 40.0;
/// Price of one change of size, pod-seconds: partitions move, and those pause.
pub(super) const MOVE: f64 = 60.0;
/// A plan looks ahead for so many promises, but for so many seconds at least and at most.
const AHEAD: f64 = 4.0;
/// So many reactions at least: what is ordered now has to show what it is good for.
const REACTIONS_AHEAD: f64 = 3.0;
const LEAST_AHEAD: f64 = 60.0;
const MOST_AHEAD: f64 = 1200.0;
/// Pods that a backlog needs and the arrivals do not are kept for so long after it, seconds.
const AFTERWARDS: f64 = 120.0;
/// Steps of a plan.
const STEPS: u32 = 48;

/// How things stand, for any size.
#[derive(Clone, Debug)]
pub(super) struct Outset<'a> {
    pub(super) load: &'a Load,
    /// Records per second that arrive, with what chance asks for.
    pub(super) arrival: f64,
    /// How many times the arrivals that is.
    pub(super) margin: f64,
    /// Records that wait, as if every pod had as many as the busiest.
    pub(super) backlog: f64,
    /// Pods that work.
    pub(super) ready: u32,
    /// Pods ordered.
    pub(super) current: u32,
    /// Those of them that were given up.
    pub(super) absent: u32,
    /// Seconds until those that are ordered work.
    pub(super) awaited: f64,
    /// Seconds until what is ordered now works.
    pub(super) reaction: f64,
    /// Seconds for which a partition pauses that moves.
    pub(super) pause: f64,
    /// Seconds.
    pub(super) promise: f64,
    /// Seconds for which a record is in hand: what waits is finished so much later than it is taken.
    pub(super) service: f64,
    /// The size that carries the arrivals alone.
    pub(super) steady: u32,
    /// Records per second that a size has to do if nothing is to gather for good.
    pub(super) lasting: f64,
    /// More has come than is done for so long that it is no peak.
    pub(super) falls_behind: bool,
}

/// What holding a size comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    /// Pod-seconds.
    pub(super) total: f64,
    /// The longest that a record will have waited.
    pub(super) worst: f64,
    /// The same of those that are done before a later change could help.
    pub(super) soon: f64,
    /// Seconds with a record over the promise.
    pub(super) late: f64,
    /// Nothing but pods costs: no record waits for long, and none is left.
    pub(super) only_pods: bool,
}

impl Outset<'_> {
    /// Pods that work once a size has all that it will have. Kubernetes takes those away first that never came.
    pub(super) fn at_work(&self, size: u32) -> u32 {
        let there = self.current.saturating_sub(self.absent);
        if size >= self.current {
            size - self.absent.min(size)
        } else {
            size.min(there)
        }
    }

    /// Records per second that they do.
    pub(super) fn capacity(&self, size: u32) -> f64 {
        self.load.capacity(self.at_work(size))
    }

    /// Whether this size gets done what arrives. One that does not only puts the work off, and under a load that
    /// goes on the pods that it spares have to come later, and more of them.
    pub(super) fn keeps_up(&self, size: u32) -> bool {
        self.capacity(size) >= self.lasting
    }

    /// Whether there is time to react more than once before waiting costs anything: then nothing is done before it
    /// has to be.
    pub(super) fn may_wait(&self) -> bool {
        may_wait(self.promise, self.reaction)
    }

    /// Whether waiting costs nothing with the present size until what is ordered now would be there, and for as long again.
    pub(super) fn can_wait(&self) -> bool {
        self.cost(self.current).soon <= FREE * self.promise
    }

    /// Whether waiting costs nothing with this size for as far as a plan looks ahead, if records go on to arrive as they do.
    pub(super) fn is_free(&self, size: u32) -> bool {
        self.cost(size).worst <= FREE * self.promise
    }

    /// Some of the pods that were ordered are still expected.
    fn awaits(&self) -> bool {
        self.ready + self.absent < self.current
    }

    /// What holding `size` comes to.
    pub(super) fn cost(&self, size: u32) -> Cost {
        let ahead = (AHEAD * self.promise)
            .max(REACTIONS_AHEAD * self.reaction)
            .clamp(LEAST_AHEAD, MOST_AHEAD);
        let step = ahead / f64::from(STEPS);
        let then = self.capacity(size);
        let (ready, ordered) = (self.load.capacity(self.ready), self.capacity(self.current));
        // Records per second that are done before the change.
        let before = |time: f64| {
            if self.awaits() && time >= self.awaited {
                ordered
            } else {
                ready
            }
        };
        // Fewer pods are there at once.
        let change = match size {
            _ if size > self.current => self.reaction,
            _ if size < self.current => 0.0,
            _ if self.awaits() => self.awaited,
            _ => 0.0,
        };
        let moved = if size == self.current {
            0.0
        } else {
            self.pause
        };

        let mut backlog = self.backlog;
        let mut paused = false;
        let (mut waiting, mut drained) = (0.0, ahead);
        let (mut worst, mut soon, mut late) = (0.0_f64, 0.0_f64, 0.0);
        let deepest = self.load.deepest;
        for number in 0..STEPS {
            let time = f64::from(number) * step;
            if time >= change && !paused {
                paused = true;
                backlog += self.arrival * moved;
                // One partition's backlog is one pod's work, however many there are.
                backlog = backlog.max((deepest - time) * then);
            }
            let capacity = if time < change { before(time) } else { then };
            let mut delay = delay(backlog, capacity, change - time, then).max(deepest - time);
            if delay > 0.0 {
                delay += self.service.min(MOST_IN_HAND * self.promise);
            }
            worst = worst.max(delay);
            if time <= 2.0 * self.reaction {
                soon = worst;
            }
            waiting += step * dear(delay / self.promise);
            late += if delay > self.promise { step } else { 0.0 };
            let more = (self.arrival - capacity) * self.load.crowding;
            // No record ages faster than time goes by.
            let more = more.min(capacity.max(self.arrival - capacity));
            backlog = (backlog + more * step).max(0.0);
            if time >= change && backlog <= 0.0 && drained >= ahead {
                drained = time + step;
            }
            // From here on nothing waits: most plans of a fleet that copes end at their first step.
            if time >= change && backlog <= 0.0 && self.arrival <= then && deepest <= time + step {
                break;
            }
        }
        let extra = f64::from(size.saturating_sub(self.steady));
        let kept = (drained + AFTERWARDS).min(ahead);
        let pods = (f64::from(size) - extra) * ahead + extra * kept;
        let moves = if size == self.current { 0.0 } else { MOVE };
        // What is left at the end has to be done by somebody.
        let left = backlog / self.load.per_pod;
        Cost {
            total: pods + PRICE * waiting + left + moves,
            worst,
            soon,
            late,
            only_pods: waiting <= 0.0 && left <= 0.0,
        }
    }
}

/// Whether there is time for more than one reaction before waiting costs anything.
pub(super) fn may_wait(promise: f64, reaction: f64) -> bool {
    FREE * promise > REACTIONS_AHEAD * reaction
}

/// Seconds until what arrives now is done, `now` records per second before a change that comes in
/// `left` seconds, and `then` after it.
pub(super) fn delay(backlog: f64, now: f64, left: f64, then: f64) -> f64 {
    let then = then.max(1e-9);
    if left <= 0.0 {
        return backlog / then;
    }
    if backlog <= now * left {
        return if backlog > 0.0 { backlog / now } else { 0.0 };
    }
    left + (backlog - now * left) / then
}

/// What a delay, as a share of the promise, costs: nothing up to [`FREE`], 1 at the promise.
pub(super) fn dear(share: f64) -> f64 {
    let rising = ((share - FREE) / (1.0 - FREE)).max(0.0);
    if share <= 1.0 {
        rising
    } else {
        (1.0 + 0.1 * (share - 1.0)).min(2.0)
    }
}
