//! Slots: as many as the engine keeps in flight.
//!
//! A slot is a task with a line of its own to the handler. The slot that was busy last is taken first,
//! so that a quiet worker holds few lines. Loop and slots share a thread, so what they tell each other
//! needs cells and a waker, no locks.

mod serving;
mod waiting;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use self::serving::serve;
pub(super) use self::waiting::{End, finish, unless_cancelled};
use super::batches::{self, Batches};
use super::exec::Group;
use super::parts::Most;
use super::pipeline::Pipeline;
use super::{Delivered, Delivery};
use crate::clock::Monotonic;
use crate::engine::{Failure, Ticket, Verdict};

/// What the idempotency store did not answer after the work was done is asked again after this.
pub(super) const CONFIRM_AGAIN: Duration = Duration::from_secs(1);
/// A connection that was idle for longer is not used again: servers close idle connections, some
/// after two seconds, and a request that meets the closing may or may not have been seen.
const IDLE: Duration = Duration::from_secs(1);

/// How much at once, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one delivery, or one batch.
    pub timeout: Duration,
    /// Slots at most.
    pub slots: usize,
    /// None where each record is delivered alone.
    pub batches: Option<batches::Limits>,
}

/// What is in flight to the handler, and what waits for company.
pub struct Deliveries {
    batches: Option<Batches>,
    shared: Rc<Shared>,
    slots: Vec<Rc<Slot>>,
    tasks: JoinSet<()>,
}

pub(super) struct Shared {
    pub pipeline: Pipeline,
    pub limits: Limits,
    pub clock: Monotonic,
    /// What the handler takes together.
    most: Most,
    /// Partitions are given back: nothing is begun that can wait.
    hurry: Cell<bool>,
    /// Slots without work; the last one was busy last.
    idle: RefCell<Vec<usize>>,
    /// Deliveries that are over and not yet taken.
    over: RefCell<Vec<Delivered>>,
    /// Deliveries that are done and go on until that is marked, not yet told; with what is in the way.
    handled: RefCell<Vec<(Ticket, Option<Failure>)>>,
    /// Whom to wake when there are some.
    pub wake: Arc<Notify>,
}

impl Shared {
    /// Whether a batch that began at `begun` may go on with its next part: each has the handler's time, and a drain
    /// waits for one.
    fn may_go_on(&self, slot: &Slot, begun: Duration) -> bool {
        let spent = self.clock.elapsed().saturating_sub(begun);
        !slot.cancelled.get() && !self.hurry.get() && spent < self.limits.timeout
    }

    /// The deliveries of a slot end here, although the handler is still at work on them.
    fn tell_cancelled(&self, slot: &Slot, deliveries: &[Delivery]) {
        let took = self.clock.elapsed().saturating_sub(slot.begun.get());
        let over = deliveries.iter().map(|delivery| delivery.cancelled(took));
        self.over.borrow_mut().extend(over);
        slot.busy_with.borrow_mut().clear();
        self.wake.notify_one();
    }

    /// The handler has done it; its delivery goes on until that is marked.
    pub fn tell_handled(&self, ticket: Ticket, hindered: Option<Failure>) {
        self.handled.borrow_mut().push((ticket, hindered));
        self.wake.notify_one();
    }
}

/// What a slot does.
enum Job {
    One(Delivery),
    Batch(Vec<Delivery>),
}

impl Job {
    fn deliveries(&self) -> &[Delivery] {
        match self {
            Self::One(delivery) => std::slice::from_ref(delivery),
            Self::Batch(deliveries) => deliveries,
        }
    }
}

/// What the loop tells a slot.
#[derive(Default)]
pub(super) struct Slot {
    inbox: Cell<Option<Job>>,
    busy_with: RefCell<Vec<Ticket>>,
    cancelled: Cell<bool>,
    /// When its delivery began.
    begun: Cell<Duration>,
    /// When it was last busy.
    idle_since: Cell<Duration>,
    hang_up: Cell<bool>,
    close: Cell<bool>,
    /// What works on its delivery, where that is processes of ours.
    pub group: Rc<Group>,
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    /// When its delivery began.
    pub fn begun(&self) -> Duration {
        self.begun.get()
    }

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
    /// Deliveries down `pipeline`. Must be made and used inside a `LocalSet`.
    pub fn new(pipeline: Pipeline, limits: Limits, clock: Monotonic, wake: Arc<Notify>) -> Self {
        let shared = Shared {
            pipeline,
            limits,
            clock,
            most: Most::default(),
            hurry: Cell::default(),
            idle: RefCell::default(),
            over: RefCell::default(),
            handled: RefCell::default(),
            wake,
        };
        Self {
            batches: limits.batches.map(Batches::new),
            shared: Rc::new(shared),
            slots: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Begins a delivery at `now`, or keeps it for a batch until [`Deliveries::send_due`]. How many are
    /// in flight at once is the engine's to say.
    pub fn begin(&mut self, delivery: Delivery, now: Duration) {
        match &mut self.batches {
            None => self.give(Job::One(delivery)),
            Some(batches) => batches.push(delivery, now, self.shared.most.get()),
        }
    }

    /// Sends the batches that are due at `now`, as far as there are slots; with `hurry` without
    /// waiting for company.
    pub fn send_due(&mut self, now: Duration, hurry: bool) {
        self.shared.hurry.set(hurry);
        if let Some(batches) = self.batches.as_mut().filter(|_| hurry) {
            batches.flush();
        }
        while self.has_free_slot() {
            let Some(batch) = self.batches.as_mut().and_then(|batches| batches.take(now)) else {
                return;
            };
            self.give(Job::Batch(batch));
        }
    }

    /// When [`Deliveries::send_due`] has something to do, if nothing else happens before.
    pub fn due(&self) -> Option<Duration> {
        let batches = self.batches.as_ref().filter(|_| self.has_free_slot());
        batches.and_then(Batches::due)
    }

    fn has_free_slot(&self) -> bool {
        self.slots.len() < self.shared.limits.slots || !self.shared.idle.borrow().is_empty()
    }

    fn give(&mut self, job: Job) {
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
        let tickets = job.deliveries().iter().map(|delivery| delivery.ticket);
        slot.busy_with.borrow_mut().extend(tickets);
        slot.inbox.set(Some(job));
        slot.wake();
    }

    /// Ends a delivery with [`Verdict::Cancelled`], if it is not over yet, and with it all that is in
    /// its batch. Its connection is closed, which is all that HTTP has to tell a handler; its process
    /// group is killed.
    pub fn cancel(&mut self, ticket: Ticket) {
        let busy = |slot: &&Rc<Slot>| slot.busy_with.borrow().contains(&ticket);
        if let Some(slot) = self.slots.iter().find(busy) {
            slot.cancelled.set(true);
            // Now, not when the slot has its turn: the partition may be given back before.
            slot.group.kill();
            slot.wake();
        } else if let Some(delivery) = self.batches.as_mut().and_then(|b| b.remove(ticket)) {
            let took = Duration::ZERO;
            let over = delivery.over(Verdict::Cancelled, took, None);
            self.shared.over.borrow_mut().push(over);
            self.shared.wake.notify_one();
        }
    }

    /// Ends what is still going on, takes leave of the handler, and settles what can be settled at
    /// once.
    pub async fn close(mut self) {
        for slot in &self.slots {
            slot.close.set(true);
            slot.cancelled.set(true);
            slot.wake();
        }
        while self.tasks.join_next().await.is_some() {}
        self.shared.pipeline.claims.close().await;
    }

    /// Takes the deliveries that are over.
    pub fn take_over(&self, into: &mut Vec<Delivered>) {
        into.append(&mut self.shared.over.borrow_mut());
    }

    /// Takes the deliveries that are done and go on until that is marked, with what is in the way.
    pub fn take_handled(&self) -> Vec<(Ticket, Option<Failure>)> {
        self.shared.handled.take()
    }

    /// Bytes that prepared values take beside their records.
    pub fn prepared_bytes(&self) -> usize {
        self.shared.pipeline.preparation.taken_bytes()
    }

    /// Why the idempotency store cannot be used.
    pub fn store_trouble(&self) -> Option<String> {
        self.shared.pipeline.claims.trouble()
    }

    /// Records wait while the idempotency store is away.
    pub fn waits_for_store(&self) -> bool {
        self.shared.pipeline.claims.stalls()
    }

    /// Goes on with the panic of a slot: what it had would be in flight for ever, and nobody would be told.
    ///
    /// # Panics
    /// If a slot has.
    pub fn look_after_slots(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(panicked) = ended.map_err(JoinError::try_into_panic)
                && let Ok(panic) = panicked
            {
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// Closes connections that are idle for so long that they will not be used again.
    pub fn hang_up_idle(&self, now: Duration) {
        self.shared.pipeline.transport.hang_up_idle();
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

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
