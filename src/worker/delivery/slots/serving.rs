//! What a slot does with what it is given.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::{Job, Shared, Slot, is_stale};
use crate::engine::Verdict;
use crate::worker::delivery::parts::{Outcome, Parts};
use crate::worker::delivery::transport::Line;
use crate::worker::delivery::{Delivery, pipeline, together};

pub(super) async fn serve(shared: Rc<Shared>, slot: Rc<Slot>, index: usize) {
    let mut line = shared.pipeline.transport.line(&slot.group);
    // One timer for all deliveries: to put it off is cheap, to make one each time is not.
    let mut deadline = pin!(sleep_until(Instant::now() + shared.limits.timeout));
    loop {
        let Some(job) = next(&slot, &mut line).await else {
            return line.close().await;
        };
        let begun = shared.clock.elapsed();
        slot.begun.set(begun);
        if is_stale(&slot, begun) {
            line.hang_up();
        }
        let over_at;
        match job {
            Job::One(delivery) => {
                let attempted =
                    pipeline::deliver(&shared, &slot, &mut line, deadline.as_mut(), &delivery)
                        .await;
                over_at = shared.clock.elapsed();
                if let Some(attempted) = attempted {
                    let took = over_at.saturating_sub(begun);
                    let over = delivery.over(attempted.verdict, took, attempted.reached);
                    shared.over.borrow_mut().push(over);
                }
            }
            Job::Batch(batch) => {
                deliver_batch(&shared, &slot, &mut line, deadline.as_mut(), batch, begun).await;
                over_at = shared.clock.elapsed();
            }
        }
        slot.busy_with.borrow_mut().clear();
        // A wish to cancel that came too late must not meet the next delivery.
        slot.cancelled.set(false);
        slot.idle_since.set(over_at);
        shared.idle.borrow_mut().push(index);
        shared.wake.notify_one();
    }
}

/// A batch, in as many parts as the handler's limit for requests makes of it; nearly always one. No part but the first
/// is begun when the handler's time is over, or while partitions are given back: what is left is delivered again.
async fn deliver_batch(
    shared: &Shared,
    slot: &Slot,
    line: &mut Line,
    mut deadline: Pin<&mut Sleep>,
    batch: Vec<Delivery>,
    begun: Duration,
) {
    let mut parts = Parts::of(batch, &shared.most, together::is_in_order(shared));
    let mut begun_any = false;
    while (!begun_any || shared.may_go_on(slot, begun))
        && let Some(part) = parts.next()
    {
        begun_any = true;
        let settled = together::deliver(shared, slot, line, deadline.as_mut(), &part).await;
        let Some((verdicts, reached)) = settled else {
            // It was told to be over before, because it was cancelled.
            break;
        };
        if let Outcome::Over(over) = parts.settle(part, verdicts) {
            if parts.has_more() {
                // Whoever asks for them to end means their next delivery.
                let are_over = |ticket| over.iter().any(|(each, _)| each.ticket == ticket);
                slot.busy_with
                    .borrow_mut()
                    .retain(|ticket| !are_over(*ticket));
                shared.wake.notify_one();
            }
            let took = shared.clock.elapsed().saturating_sub(begun);
            let over = over.into_iter();
            let over = over.map(|(delivery, verdict)| delivery.over(verdict, took, reached));
            shared.over.borrow_mut().extend(over);
        }
    }
    let took = shared.clock.elapsed().saturating_sub(begun);
    let rest = parts.rest();
    let rest = rest.map(|delivery| delivery.over(Verdict::Cancelled, took, None));
    shared.over.borrow_mut().extend(rest);
}

/// Waits for the next delivery, with an eye on the line: one that the handler closes, or that is idle
/// for too long, is let go. None when it is time to take leave.
async fn next(slot: &Slot, line: &mut Line) -> Option<Job> {
    poll_fn(|cx| {
        if let Some(job) = slot.inbox.take() {
            return Poll::Ready(Some(job));
        }
        if slot.close.get() {
            return Poll::Ready(None);
        }
        slot.listen(cx);
        if slot.hang_up.take() {
            line.hang_up();
        }
        line.poll_idle(cx);
        Poll::Pending
    })
    .await
}
