//! Slots: as many as the engine keeps in flight.
//!
//! A slot is a task with a line of its own to the handler. The slot that was busy last is taken first,
//! so that a quiet worker holds few lines. Loop and slots share a thread, so what they tell each other
//! needs cells and a waker, no locks.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::answer::{self, class};
use super::claims::{Confirmed, Held};
use super::pipeline::Pipeline;
use super::transport::{Attempted, Line};
use super::{Delivered, Delivery};
use crate::clock::Monotonic;
use crate::engine::{Failure, Ticket, Verdict};

/// What the idempotency store did not answer after the work was done is asked again after this.
const CONFIRM_AGAIN: Duration = Duration::from_secs(1);
/// A connection that was idle for longer is not used again: servers close idle connections, some
/// after two seconds, and a request that meets the closing may or may not have been seen.
const IDLE: Duration = Duration::from_secs(1);

/// What is in flight to the handler.
pub struct Deliveries {
    shared: Rc<Shared>,
    slots: Vec<Rc<Slot>>,
    tasks: JoinSet<()>,
}

struct Shared {
    pipeline: Pipeline,
    timeout: Duration,
    clock: Monotonic,
    /// Slots without work; the last one was busy last.
    idle: RefCell<Vec<usize>>,
    /// Deliveries that are over and not yet taken.
    over: RefCell<Vec<Delivered>>,
    /// Deliveries that are done and cannot end, not yet told.
    hindered: RefCell<Vec<(Ticket, Failure)>>,
    /// Whom to wake when there are some.
    wake: Arc<Notify>,
}

/// What the loop tells a slot.
#[derive(Default)]
struct Slot {
    inbox: Cell<Option<Delivery>>,
    busy_with: Cell<Option<Ticket>>,
    cancelled: Cell<bool>,
    /// When it was last busy.
    idle_since: Cell<Duration>,
    hang_up: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    /// Has the task polled again.
    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The task being polled is the one to wake.
    fn listen(&self, cx: &Context<'_>) {
        let mut held = self.waker.borrow_mut();
        if !held
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *held = Some(cx.waker().clone());
        }
    }
}

impl Deliveries {
    /// Deliveries down `pipeline`, each of which may take `timeout`. Must be made and used inside a
    /// `LocalSet`.
    pub fn new(pipeline: Pipeline, timeout: Duration, clock: Monotonic, wake: Arc<Notify>) -> Self {
        let shared = Shared {
            pipeline,
            timeout,
            clock,
            idle: RefCell::default(),
            over: RefCell::default(),
            hindered: RefCell::default(),
            wake,
        };
        Self {
            shared: Rc::new(shared),
            slots: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Begins a delivery. How many are in flight at once is the engine's to say.
    pub fn begin(&mut self, delivery: Delivery) {
        let idle = self.shared.idle.borrow_mut().pop();
        let index = idle.unwrap_or_else(|| {
            let slot = Rc::new(Slot::default());
            self.slots.push(Rc::clone(&slot));
            let index = self.slots.len() - 1;
            let serving = serve(Rc::clone(&self.shared), slot, index);
            self.tasks.spawn_local(serving);
            index
        });
        let slot = &self.slots[index];
        slot.busy_with.set(Some(delivery.ticket));
        slot.inbox.set(Some(delivery));
        slot.wake();
    }

    /// Ends a delivery with [`Verdict::Cancelled`], if it is not over yet. Its connection is
    /// closed, which is all that HTTP has to tell a handler.
    pub fn cancel(&self, ticket: Ticket) {
        let busy = |slot: &&Rc<Slot>| slot.busy_with.get() == Some(ticket);
        if let Some(slot) = self.slots.iter().find(busy) {
            slot.cancelled.set(true);
            slot.wake();
        }
    }

    /// Takes the deliveries that are over.
    pub fn take_over(&self, into: &mut Vec<Delivered>) {
        into.append(&mut self.shared.over.borrow_mut());
    }

    /// Takes the deliveries that are done and cannot end for a reason outside of the handler.
    pub fn take_hindered(&self) -> Vec<(Ticket, Failure)> {
        self.shared.hindered.take()
    }

    /// Why the idempotency store cannot be used.
    pub fn store_trouble(&self) -> Option<String> {
        self.shared.pipeline.claims.trouble()
    }

    /// Records wait while the idempotency store is away.
    pub fn waits_for_store(&self) -> bool {
        self.shared.pipeline.claims.stalls()
    }

    /// Ends what is still going on, and settles what can be settled at once.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
        self.shared.pipeline.claims.close().await;
    }

    /// Closes connections that are idle for so long that they will not be used again.
    pub fn hang_up_idle(&self, now: Duration) {
        for slot in self
            .shared
            .idle
            .borrow()
            .iter()
            .map(|index| &self.slots[*index])
        {
            if is_stale(slot, now) {
                slot.hang_up.set(true);
                slot.wake();
            }
        }
    }
}

fn is_stale(slot: &Slot, now: Duration) -> bool {
    now.saturating_sub(slot.idle_since.get()) > IDLE
}

async fn serve(shared: Rc<Shared>, slot: Rc<Slot>, index: usize) {
    let mut line = shared.pipeline.transport.line();
    // One timer for all deliveries: to put it off is cheap, to make one each time is not.
    let mut deadline = pin!(sleep_until(Instant::now() + shared.timeout));
    loop {
        let delivery = next(&slot, &mut line).await;
        let begun = shared.clock.elapsed();
        if is_stale(&slot, begun) {
            line.hang_up();
        }
        let (Attempted { verdict, reached }, held) =
            attempt(&shared, &slot, &mut line, &delivery, deadline.as_mut()).await;
        let verdict = match held {
            Some(held) => settle(&shared, &slot, delivery.ticket, held, verdict).await,
            None => verdict,
        };
        let now = shared.clock.elapsed();
        slot.busy_with.set(None);
        // A wish to cancel that came too late must not meet the next delivery.
        slot.cancelled.set(false);
        slot.idle_since.set(now);
        let Delivery { ticket, record, .. } = delivery;
        shared.over.borrow_mut().push(Delivered {
            ticket,
            verdict,
            took: now.saturating_sub(begun),
            reached,
            record,
        });
        shared.idle.borrow_mut().push(index);
        shared.wake.notify_one();
    }
}

/// Everything up to the handler's answer, and the claim that is to be settled then.
async fn attempt(
    shared: &Shared,
    slot: &Slot,
    line: &mut Line,
    delivery: &Delivery,
    mut deadline: Pin<&mut Sleep>,
) -> (Attempted, Option<Held>) {
    let Pipeline {
        preparation,
        claims,
        transport,
    } = &shared.pipeline;
    let unasked = |verdict| (Attempted::without_handler(verdict), None);
    let prepared = match preparation.prepare(&delivery.record) {
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
    // The handler's time begins when it is its turn: a slow store must not cost attempts.
    let due = shared.clock.elapsed() + shared.timeout;
    deadline.as_mut().reset(shared.clock.at(due).into());
    let attempt = transport.attempt(line, &prepared, delivery.attempt);
    let attempted = match finish(slot, attempt, deadline).await {
        End::Answered(attempted) => attempted,
        End::TimedOut => {
            let message = format!("no whole answer within {:?}", shared.timeout);
            let failure = answer::failure(class::TIMEOUT, None, &message);
            Attempted::without_handler(Verdict::Retry(failure))
        }
        End::Cancelled => Attempted::without_handler(Verdict::Cancelled),
    };
    (attempted, held)
}

/// The attempt ended with `verdict`, and so does the delivery. What was done stays done, whatever
/// becomes of its mark: see `docs/adr/006-done-without-a-mark-is-done.md`.
async fn settle(
    shared: &Shared,
    slot: &Slot,
    ticket: Ticket,
    held: Held,
    verdict: Verdict,
) -> Verdict {
    let claims = &shared.pipeline.claims;
    match verdict {
        Verdict::Done | Verdict::Skip => loop {
            let waited = match unless_cancelled(slot, claims.confirm(&held)).await {
                Some(Confirmed::Settled) => return verdict,
                Some(Confirmed::NotYet(failure)) => {
                    shared.hindered.borrow_mut().push((ticket, failure));
                    shared.wake.notify_one();
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

/// Waits for the next delivery, with an eye on the line: one that the handler closes, or that is idle
/// for too long, is let go.
async fn next(slot: &Slot, line: &mut Line) -> Delivery {
    poll_fn(|cx| {
        if let Some(delivery) = slot.inbox.take() {
            return Poll::Ready(delivery);
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

enum End {
    Answered(Attempted),
    TimedOut,
    Cancelled,
}

async fn finish(
    slot: &Slot,
    attempt: impl Future<Output = Attempted>,
    mut deadline: Pin<&mut Sleep>,
) -> End {
    let mut attempt = pin!(attempt);
    poll_fn(|cx| {
        // The answer first: what has come counts, whatever else has happened since.
        if let Poll::Ready(attempted) = attempt.as_mut().poll(cx) {
            return Poll::Ready(End::Answered(attempted));
        }
        if slot.cancelled.get() {
            return Poll::Ready(End::Cancelled);
        }
        slot.listen(cx);
        deadline.as_mut().poll(cx).map(|()| End::TimedOut)
    })
    .await
}

/// None if the delivery is to end before.
async fn unless_cancelled<T>(slot: &Slot, work: impl Future<Output = T>) -> Option<T> {
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
