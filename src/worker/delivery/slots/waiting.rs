//! Waiting for an attempt: until it ends, its time is over, or its delivery is to end before.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::{Instant, Sleep};

use super::{Shared, Slot};
use crate::worker::delivery::Delivery;

pub(in crate::worker::delivery) enum End<T> {
    Answered(T),
    TimedOut,
    Cancelled,
}

/// Waits for the end of an attempt, and says whether the deliveries were told to be over before it.
///
/// With a claim on any of `deliveries` a wish to cancel ends them but not the attempt: only its outcome can
/// tell whether whoever gets the record next has to do it. That ends with the handler's time, or when the
/// worker leaves.
///
/// The handler's time is the longer by what a command takes to start; but not with a claim, which lasts no longer.
pub(in crate::worker::delivery) async fn finish<T>(
    shared: &Shared,
    slot: &Slot,
    attempt: impl Future<Output = T>,
    mut deadline: Pin<&mut Sleep>,
    deliveries: &[Delivery],
    has_claim: bool,
) -> (End<T>, bool) {
    if slot.cancelled.get() {
        // Its partition may be another's by now, and nothing of the handler's is lost by not asking it.
        return (End::Cancelled, false);
    }
    let mut attempt = pin!(attempt);
    loop {
        let end = until(slot, &slot.cancelled, attempt.as_mut(), deadline.as_mut()).await;
        return match end {
            End::TimedOut if !has_claim => match slot.group.more_time(shared.limits.timeout) {
                Some(more) => {
                    deadline.as_mut().reset(Instant::now() + more);
                    continue;
                }
                None => (end, false),
            },
            End::Cancelled if has_claim => {
                shared.tell_cancelled(slot, deliveries);
                (until(slot, &slot.close, attempt, deadline).await, true)
            }
            end => (end, false),
        };
    }
}

async fn until<T>(
    slot: &Slot,
    cancelled: &Cell<bool>,
    mut attempt: Pin<&mut impl Future<Output = T>>,
    mut deadline: Pin<&mut Sleep>,
) -> End<T> {
    if cancelled.get() {
        // Before it began, or again.
        return End::Cancelled;
    }
    poll_fn(|cx| {
        // The answer first: what has come counts, whatever else has happened since.
        if let Poll::Ready(attempted) = attempt.as_mut().poll(cx) {
            return Poll::Ready(End::Answered(attempted));
        }
        if cancelled.get() {
            return Poll::Ready(End::Cancelled);
        }
        slot.listen(cx);
        deadline.as_mut().poll(cx).map(|()| End::TimedOut)
    })
    .await
}

/// None if the delivery is to end before.
pub(in crate::worker::delivery) async fn unless_cancelled<T>(
    slot: &Slot,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if slot.cancelled.get() {
            return Poll::Ready(None);
        }
        slot.listen(cx);
        Poll::Pending
    })
    .await
}
