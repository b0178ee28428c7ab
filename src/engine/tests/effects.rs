//! How the world carries out what the engine wants, and writes it down.

use super::history::{Fact, Partition, Seen, SeenLane};
use super::script::CommitFate;
use super::world::{Content, World, is_given_up};
use crate::engine::{CommitFailure, Effect, Event, FrontierCommit, LaneView, Refused, Ticket};
use crate::report::{Report, unread};
use crate::topic::TopicPartition;

impl World {
    pub(super) fn partition_of(&self, ticket: Ticket) -> Partition {
        let held = self.held.iter().find(|(_, held)| held.lane == ticket.lane);
        held.map(|(partition, _)| *partition)
    }

    pub(super) fn tell(&mut self, facts: Vec<Fact>, event: Event<Content>) {
        for fact in facts {
            self.note(fact);
        }
        let mut effects = Vec::new();
        match self.more_follows {
            true => self.engine.hear(event, self.now, &mut effects),
            false => self.engine.on(event, self.now, &mut effects),
        }
        for effect in effects {
            self.carry_out(effect);
        }
        let lane = |lane: LaneView<'_>| SeenLane {
            partition: lane.partition.partition,
            frontier: lane.frontier.map(|offset| offset.0),
            unfinished: lane.unfinished,
        };
        self.note(Fact::Seen(Seen {
            held_bytes: self.engine.held_bytes(),
            in_flight: self.engine.in_flight(),
            totals: self.engine.totals().clone(),
            lanes: self.engine.lanes().map(lane).collect(),
        }));
        let due = self.engine.next_deadline();
        assert!(
            self.more_follows || due.is_none_or(|due| due > self.now),
            "a deadline that passed stays due"
        );
    }

    fn note(&mut self, fact: Fact) {
        self.history.facts.push((self.now, fact));
    }

    fn carry_out(&mut self, effect: Effect<Content>) {
        match effect {
            Effect::Deliver {
                ticket,
                attempt,
                follows,
                payload,
            } => {
                let partition = self.partition_of(ticket);
                assert_eq!((partition, ticket.offset.0), (Some(payload.0), payload.1));
                assert!(!is_given_up(ticket.offset.0));
                self.out.push((ticket, payload));
                self.note(Fact::Delivered {
                    partition,
                    ticket,
                    attempt,
                    follows,
                });
            }
            Effect::Cancel(_) => self.note(Fact::Cancelled),
            Effect::DeadLetter {
                ticket,
                reason,
                attempts,
                failure: _,
                payload,
            } => {
                let partition = self.partition_of(ticket);
                assert_eq!((partition, ticket.offset.0), (Some(payload.0), payload.1));
                self.letters.push((ticket, payload));
                self.note(Fact::LetterAsked {
                    partition,
                    ticket,
                    reason,
                    attempts,
                });
            }
            Effect::Commit(frontiers) => self.commit_asked(frontiers),
            Effect::Pause(partitions) => self.paused(partitions, true),
            Effect::Resume(partitions) => self.paused(partitions, false),
            Effect::GiveBack(partitions) => {
                for TopicPartition { partition, .. } in partitions {
                    self.held.remove(&partition);
                    self.note(Fact::GivenBack { partition });
                }
            }
            // A word for people; what is repeated follows from the commits themselves.
            Effect::Uncommitted { records, .. } => assert!(records > 0),
            Effect::Skipped {
                partition,
                offset,
                failure,
            } => self.note(Fact::Skipped {
                partition: partition.partition,
                offset: offset.0,
                by_policy: failure.is_some(),
            }),
            Effect::Reread { partition, from } => {
                let (partition, from) = (partition.partition, from.0);
                self.note(Fact::Reread { partition, from });
                let log = &self.logs[partition as usize];
                let held = self.held.get_mut(&partition).expect("it is ours");
                held.next = log.records.partition_point(|(offset, ..)| *offset < from);
            }
            Effect::Stalled { failure, .. } if unread::ALL.contains(&failure.class) => {
                self.note(Fact::Unread);
            }
            Effect::Stalled {
                partition,
                offset,
                attempts,
                failure: _,
            } => {
                let (partition, offset) = (partition.partition, offset.0);
                self.note(Fact::Stalled {
                    partition,
                    offset,
                    attempts,
                });
            }
            Effect::GivenUp { partition, offset } => {
                assert!(is_given_up(offset.0), "{partition} {offset}");
                self.note(Fact::PassedOver);
            }
            Effect::BreakerOpened { .. } => self.note(Fact::BreakerOpened),
            Effect::BreakerClosed => self.note(Fact::BreakerClosed),
            Effect::Unstalled { .. } => self.note(Fact::Unstalled),
            Effect::Stopped => self.note(Fact::Stopped),
        }
    }

    fn commit_asked(&mut self, frontiers: Vec<FrontierCommit>) {
        assert!(self.commit.is_none(), "two commits under way");
        for FrontierCommit {
            partition,
            offset,
            report,
            ..
        } in frontiers.clone()
        {
            let (partition, offset) = (partition.partition, offset.0);
            self.note(Fact::CommitAsked {
                partition,
                offset,
                report,
            });
        }
        let numbered = frontiers.into_iter().map(|frontier| {
            let assignment = self.logs[frontier.partition.partition as usize].assignments;
            (frontier, assignment)
        });
        self.commit = Some(numbered.collect());
    }

    pub(super) fn answer_commit(&mut self, fate: CommitFate) {
        let Some(commit) = self.commit.take() else {
            return;
        };
        let (mut refused, mut taken) = (Vec::new(), Vec::new());
        let mut result = match fate {
            CommitFate::Taken | CommitFate::InPart => Ok(()),
            CommitFate::Later | CommitFate::TakenButLater => {
                Err(CommitFailure::Later("in progress".to_owned()))
            }
            CommitFate::Outdated => Err(CommitFailure::Outdated("illegal generation".to_owned())),
            CommitFate::Dropped => Err(CommitFailure::Dropped("fenced".to_owned())),
            CommitFate::Fatal => Err(CommitFailure::Fatal("not authorised".to_owned())),
        };
        if matches!(
            fate,
            CommitFate::Taken | CommitFate::TakenButLater | CommitFate::InPart
        ) {
            for (frontier, assignment) in commit {
                if fate == CommitFate::InPart && refused.is_empty() {
                    let why = match frontier.offset.0 % 3 {
                        0 => Refused::Gone,
                        1 => Refused::Failed(CommitFailure::Fatal("not authorised".to_owned())),
                        _ => Refused::Failed(CommitFailure::Later("in progress".to_owned())),
                    };
                    refused.push((frontier.partition, why));
                    continue;
                }
                let log = &mut self.logs[frontier.partition.partition as usize];
                if log.assignments == assignment {
                    let most = frontier.most_bytes;
                    let text = frontier.report.encode_within(frontier.offset, most);
                    let stored = Report::decode(&text, frontier.offset).expect("a report");
                    log.committed = Some((frontier.offset.0, text));
                    taken.push(frontier.partition.partition);
                    let suspects = stored.suspects.iter();
                    self.note(Fact::Stored {
                        partition: frontier.partition.partition,
                        suspects: suspects.map(|said| (said.offset, said.kills)).collect(),
                    });
                } else {
                    result = Err(CommitFailure::Dropped("fenced".to_owned()));
                }
            }
        }
        if result.is_err() {
            taken.clear();
        }
        let event = match refused.is_empty() || result.is_err() {
            true => Event::Committed(result),
            false => Event::CommittedInPart { refused },
        };
        self.tell(vec![Fact::CommitAnswered { taken }], event);
    }

    fn paused(&mut self, partitions: Vec<TopicPartition>, paused: bool) {
        for TopicPartition { partition, .. } in partitions {
            if let Some(held) = self.held.get_mut(&partition) {
                held.paused = paused;
            }
            self.note(if paused {
                Fact::Paused { partition }
            } else {
                Fact::Resumed { partition }
            });
        }
    }
}
