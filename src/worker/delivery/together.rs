//! The way of a batch through a slot: each record prepared and claimed, all of them attempted together,
//! each settled by its own verdict.

use std::pin::Pin;

use futures::future::join_all;
use tokio::time::Sleep;

use super::claims::Held;
use super::document::Item;
use super::pipeline::{Pipeline, begin_handlers_time, settle, timed_out};
use super::prepare::Prepared;
use super::room::Taken;
use super::slots::{End, Shared, Slot, finish, unless_cancelled};
use super::transport::Line;
use super::{Delivery, results, spans};
use crate::engine::Verdict;

/// How far a record has come.
struct Member<'a> {
    delivery: &'a Delivery,
    /// Until it is given to the handler.
    prepared: Option<Prepared<'a>>,
    /// As long as that.
    room: Option<Taken>,
    /// The claim on it: wanted at first, then ours.
    held: Option<Held>,
    verdict: Option<Verdict>,
}

/// A batch, from its preparation until each of its records is settled: their verdicts, and Some if it
/// could be told whether the handler is there. None if they were told to be over before.
pub(super) async fn deliver(
    shared: &Shared,
    slot: &Slot,
    line: &mut Line,
    deadline: Pin<&mut Sleep>,
    batch: &[Delivery],
) -> Option<(Vec<Verdict>, Option<bool>)> {
    let in_order = is_in_order(shared);
    let mut members: Vec<_> = match shared.pipeline.preparation.decryption {
        None => {
            let of = |delivery| Member::of(shared, delivery, Some(None));
            batch.iter().map(of).collect()
        }
        Some(_) => one_by_one(shared, slot, batch).await,
    };
    let claimed = match members.iter().any(|member| member.held.is_some()) {
        true => {
            let claiming = join_all(members.iter_mut().map(|member| member.claim(shared)));
            unless_cancelled(slot, claiming).await.is_some()
        }
        // Nearly always, and a future for each record would be much of what a batch takes.
        false => true,
    };
    let (reached, outlived) = match claimed {
        true => attempt(shared, slot, line, deadline, &mut members, batch).await,
        false => (None, false),
    };
    members.iter_mut().for_each(|member| member.room = None);
    let mut verdicts: Vec<_> = members
        .iter_mut()
        // What was not given to the handler is delivered again.
        .map(|member| member.verdict.take().unwrap_or(Verdict::Cancelled))
        .collect();
    if in_order {
        results::keep_order(&mut verdicts);
    }
    if members.iter().all(|member| member.held.is_none()) {
        return Some((verdicts, reached));
    }
    let settling = members.into_iter().zip(verdicts);
    if outlived {
        for (member, verdict) in settling {
            if let Some(held) = member.held {
                shared.pipeline.claims.settle_beside(held, &verdict);
            }
        }
        return None;
    }
    let settling = settling.map(async |(member, verdict)| match member.held {
        Some(held) => settle(shared, slot, member.delivery.ticket, held, verdict).await,
        None => verdict,
    });
    Some((join_all(settling).await, reached))
}

impl<'a> Member<'a> {
    /// Without `room` it is delivered later.
    fn of(shared: &Shared, delivery: &'a Delivery, room: Option<Option<Taken>>) -> Self {
        let mut member = Self {
            delivery,
            prepared: None,
            room: None,
            held: None,
            verdict: None,
        };
        let Some(room) = room else {
            member.verdict = Some(Verdict::Cancelled);
            return member;
        };
        member.room = room;
        let preparation = &shared.pipeline.preparation;
        let prepared = preparation.prepare(&delivery.record, &mut member.room);
        let wanted = prepared.and_then(|prepared| {
            let wanted = shared.pipeline.claims.wanted(&prepared, delivery.ticket)?;
            Ok((prepared, wanted))
        });
        match wanted {
            Ok((prepared, wanted)) => {
                member.prepared = Some(prepared);
                member.held = wanted;
            }
            Err(verdict) => member.verdict = Some(verdict),
        }
        member
    }

    async fn claim(&mut self, shared: &Shared) {
        if let Some(wanted) = &self.held
            && let Err(verdict) = shared.pipeline.claims.claim(wanted).await
        {
            self.held = None;
            self.verdict = Some(verdict);
        }
    }
}

/// Each with room for what its value becomes.
async fn one_by_one<'a>(shared: &Shared, slot: &Slot, batch: &'a [Delivery]) -> Vec<Member<'a>> {
    let mut members = Vec::with_capacity(batch.len());
    for delivery in batch {
        let room = room(shared, slot, &members, delivery).await;
        members.push(Member::of(shared, delivery, room));
    }
    members
}

/// Room for what the delivery's value may become: waited for only where the batch holds none yet, or
/// two batches might wait for each other. None where it must come later.
async fn room(
    shared: &Shared,
    slot: &Slot,
    members: &[Member<'_>],
    delivery: &Delivery,
) -> Option<Option<Taken>> {
    let preparation = &shared.pipeline.preparation;
    if members.iter().any(|member| member.room.is_some()) {
        return preparation.room_at_once(&delivery.record);
    }
    unless_cancelled(slot, preparation.room(&delivery.record)).await
}

/// Gives those to the handler that are to be: Some if it could be told whether it is there, and whether the
/// batch was told to be over before.
async fn attempt(
    shared: &Shared,
    slot: &Slot,
    line: &mut Line,
    mut deadline: Pin<&mut Sleep>,
    members: &mut [Member<'_>],
    batch: &[Delivery],
) -> (Option<bool>, bool) {
    let in_order = is_in_order(shared);
    let stops = |member: &Member<'_>| {
        member
            .verdict
            .as_ref()
            .is_some_and(|v| !results::finishes(v))
    };
    let end = match members.iter().position(stops) {
        // What comes after it would overtake it.
        Some(first) if in_order => first,
        _ => members.len(),
    };
    let mut places = Vec::with_capacity(end);
    let mut items = Vec::with_capacity(end);
    for (place, member) in members[..end].iter_mut().enumerate() {
        let attempt = member.delivery.attempt;
        let prepared = member.prepared.take().filter(|_| member.verdict.is_none());
        if let Some(prepared) = prepared {
            places.push(place);
            items.push(Item { prepared, attempt });
        }
    }
    if items.is_empty() {
        return (None, false);
    }
    begin_handlers_time(shared, deadline.as_mut(), shared.clock.elapsed());
    let Pipeline {
        transport, tracing, ..
    } = &shared.pipeline;
    let span = tracing.as_ref().map(|tracing| tracing.begin(&items));
    let hop = span.as_ref().map(spans::Attempt::hop);
    let attempt = transport.attempt_batch(line, &items, hop.as_ref());
    let has_claim = members.iter().any(|member| member.held.is_some());
    let (end, outlived) = finish(shared, slot, attempt, deadline, batch, has_claim).await;
    let (verdicts, reached) = match end {
        End::Answered(answered) => answered,
        End::TimedOut => {
            let (verdict, reached) = timed_out(shared, slot);
            (vec![verdict; items.len()], reached)
        }
        End::Cancelled => (vec![Verdict::Cancelled; items.len()], None),
    };
    if let Some(span) = span {
        span.end(&verdicts);
    }
    for (place, verdict) in places.into_iter().zip(verdicts) {
        members[place].verdict = Some(verdict);
    }
    (reached, outlived)
}

pub(super) fn is_in_order(shared: &Shared) -> bool {
    shared.limits.batches.is_some_and(|limits| limits.in_order)
}
