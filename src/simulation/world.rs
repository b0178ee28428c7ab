//! A topic and a fleet, second by second.
//!
//! Records are whole and done in order; pods take time to start, differ in speed and have their
//! partitions taken and given; commits come in lumps. A policy sees commits and reports, never the
//! truth.

use super::assignment::assign;
use super::controller::{Controller, Order, PartitionSeen, PodSeen, Seen};
use super::load::Load;
use super::measure::{Change, Course, Figures, Measure, Second};
use super::partition::Partition;
use super::pod::{Pod, Stage};
use super::random::Random;
use super::setup::Setup;
use super::trace::Trace;

/// The common ups and downs of pods change so often, seconds,
const NOISE_EVERY: u32 = 10;
/// and keep so much of what they were.
const NOISE_KEPT: f64 = 0.9;
/// A worker commits at least so often even if nothing has moved, seconds.
const COMMIT_ANYWAY: u32 = 30;

/// The first pods have been there for so long, seconds.
const A_WHILE: f64 = 3600.0;

/// What became of one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Figures to compare.
    pub figures: Figures,
    /// Every change of the size.
    pub changes: Vec<Change>,
    /// The run over time.
    pub course: Course,
}

/// A topic and a fleet.
pub(super) struct World<'a> {
    setup: &'a Setup,
    partitions: Vec<Partition>,
    owners: Vec<Option<usize>>,
    /// Every pod that ever was, by number.
    pods: Vec<Pod>,
    /// The numbers of those that still are, ascending.
    alive: Vec<usize>,
    /// The group's members, ascending.
    members: Vec<usize>,
    /// The common ups and downs.
    noise: Random,
    mood: f64,
    /// Since when the last change of members counts as one with those that follow.
    rebalanced: Option<u32>,
    measure: Measure,
}

/// Runs `controller` in the world of `setup` under the load of `trace`. The same arguments give the
/// same outcome.
pub fn run(setup: &Setup, trace: &Trace, controller: &mut dyn Controller) -> Outcome {
    let length = trace.length().ceil() as u32;
    let mut load = Load::new(
        trace,
        setup.partitions.max(1) as usize,
        setup.skew,
        setup.seed,
    );
    let mut arrivals = vec![0; setup.partitions.max(1) as usize];
    let first = trace
        .cut(0.0, Some(60.0))
        .map_or(trace.mean(), |part| part.mean());
    let size = (first / setup.per_pod).ceil().min(1e6) as u32;
    let mut world = World::new(setup, length, size.clamp(setup.min, setup.max));
    let mut changes = Vec::new();
    for second in 0..length {
        world.faults(second, length);
        load.arrive(second, &mut arrivals);
        let arrived = world.arrive(second, &arrivals);
        world.membership(second);
        world.work(second, length);
        world.commit(second);
        world.close(second, arrived);
        let now = f64::from(second + 1);
        if controller.due(now, arrived > 0) {
            let seen = Seen {
                readable: !world.is_blind(second, length),
                world: &world,
                now,
            };
            let order = controller.decide(&seen);
            changes.extend(order.and_then(|order| world.order(second + 1, order)));
        }
    }
    let left = world.partitions.iter().map(Partition::backlog).sum();
    let (figures, course) = world.measure.close(changes.len() as u64, left);
    Outcome {
        figures,
        changes,
        course,
    }
}

/// Whether a fault that begins in the middle and lasts for `lasts` is on.
fn is_on(lasts: Option<f64>, second: u32, length: u32) -> bool {
    lasts.is_some_and(|lasts| second >= length / 2 && f64::from(second - length / 2) < lasts)
}

impl<'a> World<'a> {
    /// A fleet of `size` pods that has been there for a while.
    fn new(setup: &'a Setup, length: u32, size: u32) -> Self {
        let mut world = Self {
            setup,
            partitions: vec![Partition::default(); setup.partitions.max(1) as usize],
            owners: vec![None; setup.partitions.max(1) as usize],
            pods: Vec::new(),
            alive: Vec::new(),
            members: Vec::new(),
            noise: Random::new(setup.seed, 3),
            mood: 0.0,
            rebalanced: None,
            measure: Measure::new(setup.promise, length),
        };
        for _ in 0..size {
            let number = world.create(0);
            world.pods[number].was_there_for(A_WHILE);
            world.members.push(number);
        }
        assign(&mut world.owners, &world.members);
        for (partition, owner) in world.partitions.iter_mut().zip(&world.owners) {
            partition.pod = *owner;
        }
        world.hand_out();
        world
    }

    fn create(&mut self, second: u32) -> usize {
        let number = self.pods.len();
        self.pods.push(Pod::new(number, second, self.setup));
        self.alive.push(number);
        number
    }

    fn faults(&mut self, second: u32, length: u32) {
        let stuck = is_on(self.setup.faults.stuck, second, length);
        let first = &mut self.partitions[0];
        if stuck != first.stuck {
            first.stuck = stuck;
            first.excused = stuck || first.backlog() > 0;
        }
    }

    fn is_blind(&self, second: u32, length: u32) -> bool {
        is_on(self.setup.faults.blind, second, length)
    }

    fn arrive(&mut self, second: u32, arrivals: &[u32]) -> u64 {
        for (partition, &count) in self.partitions.iter_mut().zip(arrivals) {
            partition.arrive(second, count);
        }
        arrivals.iter().map(|&count| u64::from(count)).sum()
    }

    /// Pods that are ready join, those that have drained are gone.
    fn membership(&mut self, second: u32) {
        let mut changed = false;
        for &number in &self.alive {
            let pod = &mut self.pods[number];
            match pod.stage {
                Stage::Starting { ready_at } if ready_at <= second => {
                    pod.stage = Stage::Member;
                    pod.ready = Some(f64::from(ready_at));
                    self.members.push(number);
                    changed = true;
                }
                Stage::Draining { until } if until <= second => {
                    pod.stage = Stage::Gone;
                    let left = self.members.len();
                    self.members.retain(|&member| member != number);
                    changed |= self.members.len() != left;
                }
                _ => {}
            }
        }
        if changed {
            let pods = &self.pods;
            self.alive
                .retain(|&number| pods[number].stage != Stage::Gone);
            self.members.sort_unstable();
            self.rebalance(second);
        }
    }

    fn rebalance(&mut self, second: u32) {
        let pause = self.setup.pause.round() as u32;
        if self
            .rebalanced
            .is_none_or(|last| second >= last + pause.max(1))
        {
            self.measure.rebalances += 1;
            self.rebalanced = Some(second);
        }
        let before = self.owners.clone();
        assign(&mut self.owners, &self.members);
        for (number, partition) in self.partitions.iter_mut().enumerate() {
            let moved = before[number] != self.owners[number];
            if moved {
                self.measure.moved += 1;
                // Given back in order: what was done is committed.
                if let Some(old) = before[number] {
                    partition.committed = partition.done;
                    partition.committed_at = second;
                    partition.pod = Some(old);
                    self.pods[old].report();
                }
            }
            if moved || self.setup.eager {
                partition.rests_until = second + pause;
            }
        }
        self.hand_out();
    }

    /// Tells pods which partitions are theirs.
    fn hand_out(&mut self) {
        for &number in &self.alive {
            self.pods[number].partitions.clear();
        }
        for (partition, owner) in self.owners.iter().enumerate() {
            if let Some(pod) = owner {
                self.pods[*pod].partitions.push(partition);
            }
        }
    }

    fn work(&mut self, second: u32, length: u32) {
        let setup = self.setup;
        if second.is_multiple_of(NOISE_EVERY) && setup.noise > 0.0 {
            let fresh = (1.0 - NOISE_KEPT * NOISE_KEPT).sqrt() * self.noise.normal();
            self.mood = NOISE_KEPT * self.mood + fresh;
        }
        let slower = match setup.faults.speed {
            Some(speed) if second >= length / 2 => speed,
            _ => 1.0,
        };
        let common = setup.per_pod * slower * (setup.noise * self.mood).exp();
        let working = self.members.len() as f64;
        let limit = setup.faults.downstream_pods.map_or(f64::INFINITY, |pods| {
            pods * setup.per_pod * slower / working.max(1.0)
        });
        for &number in &self.members {
            let pod = &mut self.pods[number];
            if pod.stage != Stage::Member {
                continue;
            }
            let rate = (common * pod.speed).min(limit);
            pod.work(rate, second, setup, &mut self.partitions, &mut self.measure);
        }
    }

    fn commit(&mut self, second: u32) {
        let every = (self.setup.commit_every.round() as u32).max(1);
        for (number, partition) in self.partitions.iter_mut().enumerate() {
            if !(second + number as u32).is_multiple_of(every) {
                continue;
            }
            let Some(owner) = self.owners[number] else {
                continue;
            };
            let new = partition.committed != partition.done;
            if new || second - partition.committed_at >= COMMIT_ANYWAY {
                partition.committed = partition.done;
                partition.committed_at = second;
                partition.pod = Some(owner);
                self.pods[owner].report();
            }
        }
    }

    fn close(&mut self, second: u32, arrived: u64) {
        let mut lag = 0;
        let mut delay: f64 = 0.0;
        for partition in &self.partitions {
            lag += partition.backlog();
            if !partition.excused {
                delay = delay.max(partition.waited(second));
            }
        }
        self.measure.second(&Second {
            arrived,
            lag,
            delay,
            pods: self.alive.len() as u32,
            replicas: self.replicas(),
        });
    }

    /// Makes the fleet as large as ordered, within the user's limits.
    fn order(&mut self, second: u32, order: Order) -> Option<Change> {
        let from = self.replicas();
        let to = order.replicas.clamp(self.setup.min, self.setup.max);
        for _ in from..to {
            self.create(second);
        }
        for _ in to..from {
            self.remove_one(second);
        }
        (to != from).then(|| Change {
            at: f64::from(second),
            from,
            to,
            why: order.why,
        })
    }

    /// Those that are not ready go first, then the youngest, as a ReplicaSet chooses.
    fn remove_one(&mut self, second: u32) {
        let staying = self.alive.iter().filter(|&&n| self.pods[n].stays());
        let Some(&number) = staying.max_by_key(|&&n| (self.pods[n].stage != Stage::Member, n))
        else {
            return;
        };
        let pod = &mut self.pods[number];
        if pod.stage == Stage::Member {
            let drain = self.setup.drain.round() as u32;
            pod.stage = Stage::Draining {
                until: second + drain,
            };
        } else {
            pod.stage = Stage::Gone;
            self.alive.retain(|&other| other != number);
        }
    }

    pub(super) fn replicas(&self) -> u32 {
        self.count(|pod| pod.stays())
    }

    pub(super) fn ready(&self) -> u32 {
        self.count(|pod| pod.stage == Stage::Member)
    }

    pub(super) fn starts(&self) -> impl Iterator<Item = (f64, Option<f64>)> + '_ {
        let pods = self.alive.iter().map(|&number| &self.pods[number]);
        let staying = pods.filter(|pod| pod.stays());
        staying.map(|pod| (pod.made, pod.ready))
    }

    fn count(&self, which: impl Fn(&Pod) -> bool) -> u32 {
        self.alive.iter().filter(|&&n| which(&self.pods[n])).count() as u32
    }

    pub(super) fn partitions_seen(&self) -> impl Iterator<Item = PartitionSeen> + '_ {
        self.partitions.iter().map(|partition| PartitionSeen {
            end: partition.end,
            committed: partition.committed,
            pod: partition.pod,
            stuck: partition.stuck && partition.backlog() > 0,
        })
    }

    pub(super) fn pod_seen(&self, pod: usize) -> PodSeen {
        self.pods[pod].reported
    }
}
