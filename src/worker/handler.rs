//! Delivers records to the handler, over as many connections as the engine keeps in flight.
//!
//! A slot is a task with a connection of its own. The slot that was busy last is taken first, so
//! that a quiet worker holds few connections.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{Either, select};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{self, class};
use super::connection::{self, Connection, Exchanged};
use super::record::Record;
use super::request::{self, Target};
use crate::clock::Monotonic;
use crate::engine::{Ticket, Verdict};

/// A connection that was idle for longer is not used again: servers close idle connections, some
/// after two seconds, and a request that meets the closing may or may not have been seen.
const IDLE: Duration = Duration::from_secs(1);

/// One delivery to make.
pub struct Delivery {
    /// To be given back.
    pub ticket: Ticket,
    /// 1 for the first.
    pub attempt: u32,
    /// The record.
    pub record: Box<Record>,
}

/// A delivery that is over.
pub struct Delivered {
    /// From [`Delivery`].
    pub ticket: Ticket,
    /// What became of it.
    pub verdict: Verdict,
    /// Time inside the handler.
    pub took: Duration,
    /// Some if it could be told whether the handler is there.
    pub reached: Option<bool>,
    /// From [`Delivery`].
    pub record: Box<Record>,
}

/// The handler, and what is in flight to it.
pub struct Handler {
    shared: Rc<Shared>,
    slots: Vec<Rc<Slot>>,
    tasks: JoinSet<()>,
}

struct Shared {
    target: Target,
    timeout: Duration,
    clock: Monotonic,
    /// Slots without work; the last one was busy last.
    idle: RefCell<Vec<usize>>,
    /// Deliveries that are over and not yet taken.
    over: RefCell<Vec<Delivered>>,
    /// Whom to wake when there are some.
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Slot {
    inbox: RefCell<Option<Delivery>>,
    busy_with: Cell<Option<Ticket>>,
    wake: Notify,
    cancel: Notify,
}

impl Handler {
    /// A handler at `target`. Must be made and used inside a `LocalSet`.
    pub fn new(target: Target, timeout: Duration, clock: Monotonic, wake: Arc<Notify>) -> Self {
        let shared = Shared {
            target,
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
    pub fn deliver(&mut self, delivery: Delivery) {
        let index = match self.shared.idle.borrow_mut().pop() {
            Some(index) => index,
            None => {
                let slot = Rc::new(Slot::default());
                self.slots.push(Rc::clone(&slot));
                let index = self.slots.len() - 1;
                self.tasks
                    .spawn_local(serve(Rc::clone(&self.shared), slot, index));
                index
            }
        };
        let slot = &self.slots[index];
        slot.busy_with.set(Some(delivery.ticket));
        slot.inbox.replace(Some(delivery));
        slot.wake.notify_one();
    }

    /// Ends a delivery with [`Verdict::Cancelled`], if it is not over yet. Its connection is
    /// closed, which is all that HTTP has to tell a handler.
    pub fn cancel(&self, ticket: Ticket) {
        if let Some(slot) = self
            .slots
            .iter()
            .find(|slot| slot.busy_with.get() == Some(ticket))
        {
            slot.cancel.notify_one();
        }
    }

    /// Takes the deliveries that are over.
    pub fn take_over(&self, into: &mut Vec<Delivered>) {
        into.append(&mut self.shared.over.borrow_mut());
    }
}

async fn serve(shared: Rc<Shared>, slot: Rc<Slot>, index: usize) {
    let mut connection: Option<Connection> = None;
    loop {
        if slot.inbox.borrow().is_none() {
            connection = idle(&slot, connection).await;
        }
        let Some(delivery) = slot.inbox.take() else {
            continue;
        };
        let begun = shared.clock.elapsed();
        let request = request::request(&shared.target, &delivery.record, delivery.attempt);
        let exchange = timeout(
            shared.timeout,
            connection::attempt(&shared.target, connection.take(), request),
        );
        let (verdict, reached) = match select(pin!(exchange), pin!(slot.cancel.notified())).await {
            Either::Left((
                Ok(Exchanged {
                    verdict,
                    connection: kept,
                    reached,
                }),
                _,
            )) => {
                connection = kept;
                (verdict, Some(reached))
            }
            Either::Left((Err(_), _)) => {
                let message = format!("no whole answer within {:?}", shared.timeout);
                (
                    Verdict::Retry(answer::failure(class::TIMEOUT, None, &message)),
                    None,
                )
            }
            Either::Right(_) => (Verdict::Cancelled, None),
        };
        slot.busy_with.set(None);
        // A wish to cancel that came too late must not meet the next delivery.
        let _ = slot.cancel.notified().now_or_never();
        let took = shared.clock.elapsed().saturating_sub(begun);
        let Delivery { ticket, record, .. } = delivery;
        shared.over.borrow_mut().push(Delivered {
            ticket,
            verdict,
            took,
            reached,
            record,
        });
        shared.idle.borrow_mut().push(index);
        shared.wake.notify_one();
    }
}

/// Waits for work, with an eye on the connection: one that the handler closes, or that is idle for
/// too long, is let go.
async fn idle(slot: &Slot, mut connection: Option<Connection>) -> Option<Connection> {
    if let Some(open) = &mut connection {
        let over = timeout(IDLE, open.closed());
        let woken = matches!(
            select(pin!(slot.wake.notified()), pin!(over)).await,
            Either::Left(_)
        );
        if woken {
            return connection;
        }
        connection = None;
    }
    slot.wake.notified().await;
    connection
}
