//! What handler and producer answer, and what they answer twice.

use std::time::Duration;

use super::{Content, World};
use crate::engine::tests::history::{Answer, Fact};
use crate::engine::tests::rig::{broken, failure, ms};
use crate::engine::{DeadLetterReason, Event, Ticket, Verdict};

impl World {
    pub(in crate::engine::tests) fn answer(
        &mut self,
        index: usize,
        answer: Answer,
        after: Option<Duration>,
    ) {
        let (ticket, payload) = self.out.remove(index);
        self.answered.push(ticket);
        let fact = Fact::Answered {
            partition: self.partition_of(ticket),
            ticket,
            answer,
            genuine: true,
        };
        let verdict = match answer {
            Answer::Done => Verdict::Done,
            Answer::Skip => Verdict::Skip,
            Answer::Retry => Verdict::Retry(match ticket.offset.0 % 2 {
                0 => broken(),
                _ => failure(),
            }),
            Answer::Reject => Verdict::Reject(failure()),
            Answer::SlowDown => Verdict::SlowDown {
                after,
                failure: failure(),
            },
            Answer::Misconfigured => Verdict::Misconfigured(failure()),
            Answer::Duplicate => Verdict::Duplicate,
            Answer::Postponed => Verdict::Postponed {
                after: after.unwrap_or(ms(250)),
                failure: None,
                of_all: false,
            },
            Answer::HeldUp => Verdict::Postponed {
                after: after.unwrap_or(ms(1000)),
                failure: Some(failure()),
                of_all: ticket.offset.0 % 2 == 0,
            },
            Answer::Undeliverable => Verdict::Undeliverable {
                reason: DeadLetterReason::DecryptionFailed,
                failure: failure(),
            },
            Answer::NotYet => Verdict::NotYet(failure()),
            Answer::Cancelled => Verdict::Cancelled,
        };
        let took = ms(5);
        self.tell(
            vec![fact],
            Event::Finished {
                ticket,
                verdict,
                took,
                payload,
            },
        );
    }

    pub(in crate::engine::tests) fn letter(&mut self, index: usize, taken: bool) {
        let (ticket, payload) = self.letters.remove(index);
        self.answered.push(ticket);
        let partition = self.partition_of(ticket);
        let fact = Fact::LetterAnswered {
            partition,
            ticket,
            taken,
            genuine: true,
        };
        let result = if taken {
            Ok(())
        } else {
            Err("no such topic".to_owned())
        };
        self.tell(
            vec![fact],
            Event::DeadLettered {
                ticket,
                result,
                payload,
            },
        );
    }

    /// A second answer to what was answered: it does not count.
    pub(super) fn echo(&mut self, ticket: Ticket, letter: bool) {
        let open = |open: &[(Ticket, Content)]| open.iter().any(|(other, _)| *other == ticket);
        let (genuine, payload) = (false, (-1, -1));
        let partition = self.partition_of(ticket);
        if letter && !open(&self.letters) {
            let fact = Fact::LetterAnswered {
                partition,
                ticket,
                taken: true,
                genuine,
            };
            let result = Ok(());
            self.tell(
                vec![fact],
                Event::DeadLettered {
                    ticket,
                    result,
                    payload,
                },
            );
        } else if !letter && !open(&self.out) {
            let fact = Fact::Answered {
                partition,
                ticket,
                answer: Answer::Done,
                genuine,
            };
            let (verdict, took) = (Verdict::Done, ms(5));
            self.tell(
                vec![fact],
                Event::Finished {
                    ticket,
                    verdict,
                    took,
                    payload,
                },
            );
        }
    }
}
