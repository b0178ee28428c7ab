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
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::answer::{self, class};
use super::pipeline::Pipeline;
use super::transport::{Attempted, Line};
use super::{Delivered, Delivery};
use crate::clock::Monotonic;
use crate::engine::{Ticket, Verdict};

/// How long settling a claim may take; a drain leaves room for it.
const SETTLE: Duration = Duration::from_secs(1);
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
    let pipeline = &shared.pipeline;
    let mut line = pipeline.transport.line();
    // One timer for all deliveries: to put it off is cheap, to make one each time is not.
    let mut deadline = pin!(sleep_until(Instant::now() + shared.timeout));
    loop {
        let delivery = next(&slot, &mut line).await;
        let begun = shared.clock.elapsed();
        if is_stale(&slot, begun) {
            line.hang_up();
        }
        deadline
            .as_mut()
            .reset(shared.clock.at(begun + shared.timeout).into());
        let mut held = None;
        let attempt = pipeline.attempt(&mut line, &delivery, &mut held);
        let Attempted { verdict, reached } = match finish(&slot, attempt, deadline.as_mut()).await {
            End::Answered(attempted) => attempted,
            End::TimedOut => {
                let message = format!("no whole answer within {:?}", shared.timeout);
                let failure = answer::failure(class::TIMEOUT, None, &message);
                Attempted::without_handler(Verdict::Retry(failure))
            }
            End::Cancelled => Attempted::without_handler(Verdict::Cancelled),
        };
        if held.is_some() {
            // What cannot be settled in time ends by itself, as if this worker had died.
            let _ = timeout(SETTLE, pipeline.settle(held, &verdict)).await;
        }
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
