//! The way of a record through a slot: prepared, claimed, attempted, settled.

use std::pin::{Pin, pin};
use std::slice::from_ref;
use std::time::Duration;

use futures::future::{Either, select};
use tokio::time::{Sleep, sleep};

use super::Delivery;
use super::answer::{self, class};
use super::claims::{Claims, Confirmed, Held};
use super::document::Item;
use super::exec;
use super::prepare::Preparation;
use super::slots::{CONFIRM_AGAIN, End, Shared, Slot, finish, unless_cancelled};
use super::spans::{self, Tracing};
use super::transport::{Attempted, Line, Transport};
use crate::engine::{Ticket, Verdict};

/// A mark is usually there much sooner.
const SOON: Duration = Duration::from_millis(50);

/// What every delivery goes through.
pub struct Pipeline {
    /// Makes of a record what the handler gets.
    pub preparation: Preparation,
    /// Keeps book of what was handled.
    pub claims: Claims,
    /// Reaches the handler.
    pub transport: Transport,
    /// Makes a span of each attempt; None where nobody asks for spans.
    pub tracing: Option<Tracing>,
}

/// One delivery, from its preparation until it is settled; None if it was told to be over before.
pub(super) async fn deliver(
    shared: &Shared,
    slot: &Slot,
    line: &mut Line,
    deadline: Pin<&mut Sleep>,
    delivery: &Delivery,
) -> Option<Attempted> {
    let (attempted, claim) = attempt(shared, slot, line, deadline, delivery).await;
    let verdict = attempted.verdict;
    let verdict = match claim {
        Claim::None => verdict,
        Claim::Held(held) => settle(shared, slot, delivery.ticket, held, verdict).await,
        Claim::Outlived(held) => {
            shared.pipeline.claims.settle_beside(held, &verdict);
            return None;
        }
    };
    Some(Attempted {
        verdict,
        ..attempted
    })
}

/// What an attempt leaves to be settled.
enum Claim {
    None,
    Held(Held),
    /// The delivery was told to be over before its attempt was.
    Outlived(Held),
}

/// Everything up to the handler's answer, and the claim that is to be settled then.
async fn attempt(
    shared: &Shared,
    slot: &Slot,
    line: &mut Line,
    mut deadline: Pin<&mut Sleep>,
    delivery: &Delivery,
) -> (Attempted, Claim) {
    let Pipeline {
        preparation,
        claims,
        transport,
        tracing,
    } = &shared.pipeline;
    let unasked = |verdict| (Attempted::without_handler(verdict), Claim::None);
    let mut room = None;
    if preparation.decryption.is_some() {
        match unless_cancelled(slot, preparation.room(&delivery.record)).await {
            Some(taken) => room = taken,
            None => return unasked(Verdict::Cancelled),
        }
    }
    let prepared = match preparation.prepare(&delivery.record, &mut room) {
        Ok(prepared) => prepared,
        Err(verdict) => return unasked(verdict),
    };
    let wanted = match claims.wanted(&prepared, delivery.ticket) {
        Ok(wanted) => wanted,
        Err(verdict) => return unasked(verdict),
    };
    let mut held = None;
    if let Some(wanted) = wanted {
        match unless_cancelled(slot, claims.claim(&wanted)).await {
            Some(Ok(())) => held = Some(wanted),
            Some(Err(verdict)) => return unasked(verdict),
            None => {
                // The claim may be made or not.
                claims.release_beside(wanted);
                return unasked(Verdict::Cancelled);
            }
        }
    }
    let waited = room.is_some() || held.is_some();
    let begin = match waited {
        true => shared.clock.elapsed(),
        false => slot.begun(),
    };
    begin_handlers_time(shared, deadline.as_mut(), begin);
    let item = Item {
        prepared,
        attempt: delivery.attempt,
    };
    let span = tracing
        .as_ref()
        .map(|tracing| tracing.begin(from_ref(&item)));
    let hop = span.as_ref().map(spans::Attempt::hop);
    let attempt = transport.attempt(line, &item, hop.as_ref());
    let delivery = from_ref(delivery);
    let finished = finish(shared, slot, attempt, deadline, delivery, held.is_some()).await;
    let (end, outlived) = finished;
    let attempted = match end {
        End::Answered(attempted) => attempted,
        End::TimedOut => {
            let (verdict, reached) = timed_out(shared, slot);
            Attempted { verdict, reached }
        }
        End::Cancelled => Attempted::without_handler(Verdict::Cancelled),
    };
    if let Some(span) = span {
        span.end(from_ref(&attempted.verdict));
    }
    let claim = match held {
        None => Claim::None,
        Some(held) if outlived => Claim::Outlived(held),
        Some(held) => Claim::Held(held),
    };
    (attempted, claim)
}

/// The handler's time begins at `begin`, when it is its turn: a slow store must not cost attempts.
pub(super) fn begin_handlers_time(shared: &Shared, deadline: Pin<&mut Sleep>, begin: Duration) {
    let due = begin + shared.limits.timeout;
    deadline.reset(shared.clock.at(due).into());
}

/// There was no whole answer in the handler's time; with whether the handler is there, if that can be told.
pub(super) fn timed_out(shared: &Shared, slot: &Slot) -> (Verdict, Option<bool>) {
    if let Some(waited) = slot.group.has_read_nothing_for() {
        return (exec::never_read(waited), Some(false));
    }
    let message = format!("no whole answer within {:?}", shared.limits.timeout);
    let failure = answer::failure(class::TIMEOUT, None, &message);
    (Verdict::Retry(failure), None)
}

/// The attempt ended with `verdict`, and so does the delivery. What was done stays done, whatever
/// becomes of its mark: see `docs/adr/006-done-without-a-mark-is-done.md`.
pub(super) async fn settle(
    shared: &Shared,
    slot: &Slot,
    ticket: Ticket,
    held: Held,
    verdict: Verdict,
) -> Verdict {
    let claims = &shared.pipeline.claims;
    match verdict {
        Verdict::Done | Verdict::Skip => loop {
            let confirming = confirm(shared, ticket, &held);
            let waited = match unless_cancelled(slot, confirming).await {
                Some(Confirmed::Settled) => return verdict,
                Some(Confirmed::NotYet(failure)) => {
                    shared.tell_handled(ticket, Some(failure));
                    unless_cancelled(slot, sleep(CONFIRM_AGAIN)).await
                }
                None => None,
            };
            if waited.is_none() {
                claims.confirm_beside(held);
                return verdict;
            }
        },
        Verdict::Cancelled => claims.release_beside(held),
        _ => {
            if unless_cancelled(slot, claims.release(&held))
                .await
                .is_none()
            {
                claims.release_beside(held);
            }
        }
    }
    verdict
}

/// Confirms; and if that takes a while, says that the work is done: the partition may have to go
/// before the store answers.
async fn confirm(shared: &Shared, ticket: Ticket, held: &Held) -> Confirmed {
    let confirming = pin!(shared.pipeline.claims.confirm(held));
    match select(confirming, pin!(sleep(SOON))).await {
        Either::Left((confirmed, _)) => confirmed,
        Either::Right(((), confirming)) => {
            shared.tell_handled(ticket, None);
            confirming.await
        }
    }
}
