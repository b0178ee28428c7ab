//! Carries out what the engine wants.

use tracing::{debug, error, info, warn};

use super::consume::Loop;
use super::dead_letters::Letter;
use super::delivery::Delivery;
use super::membership::names;
use super::onlooker::Sight;
use super::record::Record;
use crate::engine::{DeadLetterReason, Effect, Failure, FrontierCommit};
use crate::kafka::consumer::Commit;
use crate::report::unread;

impl Loop {
    /// Carries out all that is wanted, in its order, and what follows from that.
    pub fn act(&mut self) {
        // An effect may cause an event, and that effects: those come after the ones before.
        while !self.effects.is_empty() {
            let mut effects = std::mem::take(&mut self.effects);
            for effect in effects.drain(..) {
                self.carry_out(effect);
            }
            if self.effects.is_empty() {
                self.effects = effects;
                return;
            }
        }
    }

    fn carry_out(&mut self, effect: Effect<Box<Record>>) {
        match effect {
            Effect::Deliver {
                ticket,
                attempt,
                follows,
                payload,
            } => {
                self.show(&Sight::Delivering {
                    record: &payload,
                    attempt,
                });
                let delivery = Delivery {
                    ticket,
                    attempt,
                    follows,
                    record: payload,
                };
                self.deliveries.begin(delivery, self.now);
            }
            Effect::Cancel(ticket) => self.deliveries.cancel(ticket),
            Effect::DeadLetter {
                ticket,
                reason,
                attempts,
                failure,
                payload,
            } => {
                if reason == DeadLetterReason::WorkerKilled {
                    warn!(
                        topic = %payload.topic,
                        partition = payload.partition,
                        offset = %payload.offset,
                        why = failure.message,
                        "a record becomes a dead letter undelivered"
                    );
                }
                self.show(&Sight::DeadLettering {
                    record: &payload,
                    reason,
                    attempts,
                    failure: &failure,
                });
                self.dead_letters.write(Letter {
                    ticket,
                    reason,
                    attempts,
                    failure,
                    record: payload,
                });
            }
            Effect::Commit(frontiers) => self.commit(frontiers),
            Effect::Pause(partitions) => {
                self.paused.extend(partitions.iter().cloned());
                if let Err(error) = self.consumer.pause(&partitions) {
                    warn!(%error, "pause");
                }
            }
            Effect::Resume(partitions) => {
                for partition in &partitions {
                    self.paused.remove(partition);
                }
                if let Err(error) = self.consumer.resume(&partitions) {
                    warn!(%error, "resume");
                }
            }
            Effect::Reread { partition, from } => self.reread(partition, from),
            Effect::GiveBack(partitions) => self.give_back(&partitions),
            Effect::Uncommitted {
                partitions,
                records,
                why,
            } => {
                let partitions = names(&partitions);
                warn!(%partitions, records, why, "given back without the last commit; these records will be handled again");
            }
            Effect::Skipped {
                partition,
                offset,
                failure,
            } => {
                self.metrics.skipped.inc();
                if let Some(failure) = &failure {
                    self.show(&Sight::PassedOver {
                        partition: &partition,
                        offset,
                        failure,
                    });
                }
                match failure {
                    None => debug!(%partition, %offset, "skipped, as the handler wished"),
                    Some(Failure { class, message, .. }) => {
                        warn!(%partition, %offset, class, message, "skipped after its last attempt");
                    }
                }
            }
            Effect::GivenUp { partition, offset } => {
                self.metrics.given_up.inc();
                let skip = self.skips.at(&partition, offset);
                let reason = skip.map_or("", |skip| skip.reason.as_str());
                warn!(%partition, %offset, reason, "skipped, as somebody said with drover skip");
            }
            Effect::Stalled {
                partition,
                offset,
                attempts,
                failure,
            } => {
                self.show(&Sight::Stalled {
                    partition: &partition,
                    offset,
                    attempts,
                    failure: &failure,
                });
                let Failure { class, message, .. } = failure;
                let before = self.stalled.insert((partition.clone(), offset), class);
                // Why a partition cannot be read is found out later than that it cannot.
                let found_out = |before| before != class && unread::ALL.contains(&class);
                if before.is_none_or(found_out) {
                    warn!(%partition, %offset, attempts, class, message, "stalled: what must wait for this record waits");
                } else {
                    debug!(%partition, %offset, attempts, class, message, "still stalled");
                }
            }
            Effect::BreakerOpened { bad, of, failure } => {
                self.metrics.breaker_open.set(1);
                self.show(&Sight::BreakerOpened {
                    bad,
                    of,
                    failure: &failure,
                });
                let Failure { class, message, .. } = failure;
                warn!(
                    bad,
                    of,
                    class,
                    message,
                    "the breaker is open: too many records would be dead-lettered, so none is, and records are tried one at a time until the handler takes them; those not tried yet wait as well; mend it"
                );
            }
            Effect::BreakerClosed => {
                self.metrics.breaker_open.set(0);
                self.show(&Sight::BreakerClosed);
                info!(
                    "the breaker is closed: the handler takes records again, and what fails is dead-lettered"
                );
            }
            Effect::Unstalled { partition, offset } => {
                info!(%partition, %offset, "no longer stalled");
                self.show(&Sight::Unstalled {
                    partition: &partition,
                    offset,
                });
                self.stalled.remove(&(partition, offset));
            }
            Effect::Stopped => self.stopped = true,
        }
    }

    fn commit(&mut self, frontiers: Vec<FrontierCommit>) {
        for FrontierCommit {
            partition, offset, ..
        } in &frontiers
        {
            if let Some(last) = self.commits.went_back(partition, *offset) {
                self.metrics.commit_violations.inc();
                error!(%partition, %offset, %last, "a commit goes back: a defect of the worker, please report it");
            }
        }
        let commits: Vec<_> = frontiers
            .into_iter()
            .map(|frontier| Commit {
                metadata: frontier
                    .report
                    .encode_within(frontier.offset, frontier.most_bytes),
                partition: frontier.partition,
                offset: frontier.offset,
            })
            .collect();
        self.commits.sent(self.now);
        let number = self.second_way.sends(&commits, self.now);
        if let Err(error) = self.consumer.commit(&commits, number) {
            self.second_way.is_answered(number);
            self.commit_over(Some(error), None);
        }
    }
}
