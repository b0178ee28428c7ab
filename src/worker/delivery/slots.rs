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
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Sleep, sleep_until};

use super::batches::{self, Batches};
use super::exec::Group;
use super::parts::{Most, Outcome, Parts};
use super::pipeline::{self, Pipeline};
use super::transport::Line;
use super::{Delivered, Delivery, together};
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

async fn serve(shared: Rc<Shared>, slot: Rc<Slot>, index: usize) {
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

pub(super) enum End<T> {
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
pub(super) async fn finish<T>(
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
pub(super) async fn unless_cancelled<T>(slot: &Slot, work: impl Future<Output = T>) -> Option<T> {
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

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
