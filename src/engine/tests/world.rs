//! A world for the engine: a broker with three logs, a group that gives and takes, a handler and a
//! producer that answer as a script says. It writes down what happens and judges nothing.

mod group;
mod handler;
mod log;

use std::collections::BTreeMap;
use std::time::Duration;

use super::history::{Answer, Fact, History};
use super::rig::ms;
use super::script::{PARTITIONS, Script, Step};
use crate::engine::{Engine, Event, FrontierCommit, LaneId, Settings, Ticket};
use crate::report::{Outcomes, Report};
use crate::topic::{Offset, TopicPartition};

/// A record's content: where it is from.
pub(super) type Content = (i32, i64);

pub(super) struct World {
    pub engine: Engine<Content>,
    pub now: Duration,
    pub logs: Vec<Log>,
    /// Partitions that we have, as the client sees it.
    pub held: BTreeMap<i32, Held>,
    pub out: Vec<(Ticket, Content)>,
    pub letters: Vec<(Ticket, Content)>,
    /// The commit under way, each with the number of its assignment.
    pub commit: Option<Vec<(FrontierCommit, u64)>>,
    answered: Vec<Ticket>,
    pub stopping: bool,
    /// More is told at this moment: the engine only hears.
    pub more_follows: bool,
    pub history: History,
}

#[derive(Debug)]
pub(super) struct Log {
    pub records: Vec<(i64, Option<u64>, usize)>,
    pub end: i64,
    pub committed: Option<(i64, String)>,
    pub assignments: u64,
}

#[derive(Debug)]
pub(super) struct Held {
    pub lane: LaneId,
    /// The next record of the log to read.
    pub next: usize,
    pub paused: bool,
    pub revoked: bool,
}

pub(super) fn play(script: Script) -> World {
    let mut world = World::new(&script);
    let all = usize::try_from(PARTITIONS).unwrap();
    world.tell(Vec::new(), Event::Partitions(all));
    for step in script.steps {
        world.step(&step);
    }
    world
}

fn named(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

impl World {
    fn new(script: &Script) -> Self {
        let logs = script.logs.iter().zip(&script.tails).map(|(logged, tail)| {
            let mut end = 0;
            let place = |record: &super::script::Logged| {
                let offset = end + record.gap;
                end = offset + 1;
                (offset, record.key, record.bytes)
            };
            let records = logged.iter().map(place).collect();
            Log {
                records,
                end: end + tail,
                committed: None,
                assignments: 0,
            }
        });
        Self {
            engine: Engine::new(script.settings.clone()),
            now: ms(1_000_000),
            logs: logs.collect(),
            held: BTreeMap::new(),
            out: Vec::new(),
            letters: Vec::new(),
            commit: None,
            answered: Vec::new(),
            stopping: false,
            more_follows: false,
            history: History {
                settings: script.settings.clone(),
                facts: Vec::new(),
            },
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Assign(which) => self.assign(i32::try_from(which).unwrap() % PARTITIONS),
            Step::AssignAnew(which) => {
                if let Some(partition) = self.pick(which).filter(|p| self.held[p].revoked) {
                    self.assigned(partition);
                }
            }
            Step::Revoke(mask) => {
                let revoked = self.held.keys().filter(|p| mask >> **p & 1 == 1);
                let revoked = revoked.copied().collect();
                self.revoke(revoked);
            }
            Step::Lose(which) => {
                if let Some(partition) = self.pick(which) {
                    self.held.remove(&partition);
                    let fact = Fact::Lost { partition };
                    self.tell(vec![fact], Event::Lost(vec![named(partition)]));
                }
            }
            Step::Read(which, count) => {
                let partition = self.pick(which);
                // Now one by one, now as the events of one turn.
                self.more_follows = which % 2 == 1;
                for _ in 0..count {
                    partition
                        .into_iter()
                        .for_each(|partition| self.read(partition));
                }
                self.no_more_follows();
            }
            Step::ReadAgain(which, record) => {
                if let Some(partition) = self.pick(which)
                    && self.held[&partition].next > 0
                    && !self.held[&partition].paused
                {
                    let back = record % self.held[&partition].next;
                    if self.is_reset_by(partition, back) {
                        self.held.get_mut(&partition).unwrap().next = back + 1;
                    }
                    self.read_record(partition, back);
                }
            }
            Step::Bar(which) => self.pick(which).into_iter().for_each(|p| self.bar(p)),
            Step::End(which) => self.pick(which).into_iter().for_each(|p| self.end(p)),
            Step::Answer(which, answer, after) if !self.out.is_empty() => {
                self.more_follows = which % 2 == 1;
                self.answer(which % self.out.len(), answer, after.map(ms));
                if self.more_follows && !self.out.is_empty() {
                    self.answer(which % self.out.len(), Answer::Done, None);
                }
                self.no_more_follows();
            }
            Step::Letter(which, taken) if !self.letters.is_empty() => {
                self.letter(which % self.letters.len(), taken);
            }
            Step::Commit(fate) => self.answer_commit(fate),
            Step::Echo(which, letter) if !self.answered.is_empty() => {
                self.echo(self.answered[which % self.answered.len()], letter);
            }
            Step::Answer(..) | Step::Letter(..) | Step::Echo(..) => {}
            Step::Pass(millis) => {
                self.pass(ms(millis));
                if millis % 4 == 0 {
                    self.others_report(u32::try_from(millis / 4 % 8).unwrap());
                }
            }
            Step::PassToDeadline => self.pass_to_deadline(),
            Step::Sleep => self.tell(vec![Fact::Slept], Event::Slept),
            Step::Crash => self.crash("pod-0"),
            Step::Shutdown => self.shutdown(),
        }
    }

    /// The worker is killed, and one named `pod` begins in its place, which finds its journal.
    pub(super) fn crash(&mut self, pod: &str) {
        // What the one before had stays written until it is known to be harmless.
        let before = self.engine.suspects();
        let mut with: Vec<_> = before.map(|(p, offset)| (p.partition, offset.0)).collect();
        with.extend(self.out.drain(..).map(|(_, content)| content));
        self.letters.clear();
        self.answered.clear();
        self.commit = None;
        self.held.clear();
        self.stopping = false;
        self.more_follows = false;
        self.engine = Engine::new(Settings {
            pod: pod.to_owned(),
            ..self.history.settings.clone()
        });
        let suspects = with.iter().map(|(p, offset)| (named(*p), Offset(*offset)));
        let suspects = Event::Suspects(suspects.collect());
        self.tell(vec![Fact::Crashed { with }], suspects);
        let all = usize::try_from(PARTITIONS).unwrap();
        self.tell(Vec::new(), Event::Partitions(all));
    }

    /// Another pod has seen eight records, of which it gave some up.
    fn others_report(&mut self, given_up: u32) {
        let at = (self.history.settings.began + self.now).as_secs();
        let outcomes = Some(Outcomes {
            given_up,
            of: 8,
            at,
        });
        let pod = "pod-1".to_owned();
        let report = Report {
            pod,
            outcomes,
            ..Report::default()
        };
        self.tell(vec![], Event::OthersReport(vec![report]));
    }

    fn no_more_follows(&mut self) {
        if std::mem::take(&mut self.more_follows) {
            self.tell(Vec::new(), Event::Tick);
        }
    }

    fn pick(&self, which: usize) -> Option<i32> {
        self.held
            .keys()
            .nth(which % self.held.len().max(1))
            .copied()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.tell(vec![Fact::Ticked], Event::Tick);
    }

    pub(super) fn pass_to_deadline(&mut self) {
        let due = self.engine.next_deadline().unwrap_or(self.now);
        self.pass(due.saturating_sub(self.now));
    }
}

/// Somebody gave up what lies at every seventh offset.
pub(super) fn is_given_up(offset: i64) -> bool {
    offset % 7 == 3
}
