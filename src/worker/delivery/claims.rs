//! Whether a record was handled before: a claim before the attempt, its settling after it.
//!
//! Nothing here lasts: a question to the store fails after seconds, and what is to be done then is
//! the policy's to say. Claims are made and settled inside the slot, so that there are never more of
//! them than deliveries; what could not be settled when a delivery had to end is seen to beside it.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::answer::{class, failure};
use super::prepare::Prepared;
use crate::clock::Monotonic;
use crate::engine::{DeadLetterReason, Failure, Ticket, Verdict};
use crate::idempotency::{self, Claimed, Holder};
use crate::report::IDEMPOTENCY_STORE;
use crate::store::{Error, Store};
use crate::telemetry::worker_metrics::{Outcome, WorkerMetrics};
use crate::worker::record::Record;
use crate::worker_config::{Idempotency, OnMissingKey, OnStoreError};

/// A record whose key is claimed by another asks again after this, or when that lease runs out.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// What the store did not answer is asked again after this.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// What is still to be settled when the worker stops has this long. With the rest of leaving it fits
/// into the pod's grace period.
const CLOSE: Duration = Duration::from_millis(400);

/// Who keeps book of what was handled.
pub enum Claims {
    /// Nobody: every record is delivered whenever it is read.
    Off,
    /// An idempotency store.
    On(Rc<Book>),
}

/// An idempotency store and what is to be done with it.
pub struct Book {
    store: Store,
    rules: Idempotency,
    clock: Monotonic,
    metrics: Arc<WorkerMetrics>,
    /// This process, and no other that ever was.
    process: String,
    attempts: Cell<u64>,
    /// What is still to be settled though its delivery is over.
    beside: RefCell<JoinSet<()>>,
}

/// A claim on one record, from when it is wanted until it is settled.
pub struct Held {
    key: String,
    holder: Holder,
    /// For the log.
    place: String,
}

/// How a confirmation went.
pub enum Confirmed {
    /// Nothing is left to do.
    Settled,
    /// The store does not answer, and the record is not finished before it does.
    NotYet(Failure),
}

impl Claims {
    /// Keeps book as `rules` say. Must be made and used inside a `LocalSet`.
    pub fn new(
        rules: Option<&Idempotency>,
        pod: &str,
        clock: Monotonic,
        metrics: &Arc<WorkerMetrics>,
    ) -> Self {
        let Some(rules) = rules else {
            return Self::Off;
        };
        Self::On(Rc::new(Book {
            store: Store::open(rules, clock),
            rules: rules.clone(),
            clock,
            metrics: Arc::clone(metrics),
            process: process(pod),
            attempts: Cell::new(0),
            beside: RefCell::default(),
        }))
    }

    /// The claim that the record needs before it may be delivered; none where nobody keeps book, or
    /// where it has no key and is delivered all the same.
    pub fn wanted(&self, prepared: &Prepared<'_>, ticket: Ticket) -> Result<Option<Held>, Verdict> {
        match self {
            Self::Off => Ok(None),
            Self::On(book) => book.wanted(prepared, ticket),
        }
    }

    /// Claims the record for one attempt; the verdict if it is not to be delivered now.
    pub async fn claim(&self, wanted: &Held) -> Result<(), Verdict> {
        match self {
            Self::Off => Ok(()),
            Self::On(book) => book.claim(wanted).await,
        }
    }

    /// The handler has done it.
    pub async fn confirm(&self, held: &Held) -> Confirmed {
        match self {
            Self::Off => Confirmed::Settled,
            Self::On(book) => book.confirm(held).await,
        }
    }

    /// It is not done: whoever tries next claims it again.
    pub async fn release(&self, held: &Held) {
        if let Self::On(book) = self {
            book.release(held).await;
        }
    }

    /// The delivery must end now, done: its mark is made as soon as it can be.
    pub fn confirm_beside(&self, held: Held) {
        if let Self::On(book) = self {
            book.unconfirmed(&held, "its delivery had to end");
            let own = Rc::clone(book);
            book.beside(async move { own.confirm_late(held).await });
        }
    }

    /// The delivery must end now, not done: its claim is given back as soon as it can be.
    pub fn release_beside(&self, held: Held) {
        if let Self::On(book) = self {
            let own = Rc::clone(book);
            book.beside(async move { own.release(&held).await });
        }
    }

    /// The attempt outlived its delivery, and `verdict` is what came of it.
    pub fn settle_beside(&self, held: Held, verdict: &Verdict) {
        let Self::On(book) = self else { return };
        let own = Rc::clone(book);
        match verdict {
            Verdict::Done | Verdict::Skip => {
                book.beside(async move { own.confirm_late(held).await });
            }
            _ => book.beside(async move { own.release(&held).await }),
        }
    }

    /// Why the store cannot be used, if records wait for it.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Off => None,
            Self::On(book) => book.store.trouble(),
        }
    }

    /// Records wait while the store is away.
    pub fn stalls(&self) -> bool {
        matches!(self, Self::On(book) if book.rules.on_store_error == OnStoreError::Stall)
    }

    /// Gives what is still to be settled a moment, and no more.
    pub async fn close(&self) {
        if let Self::On(book) = self {
            let mut beside = book.beside.take();
            let all = async { while beside.join_next().await.is_some() {} };
            if timeout(CLOSE, all).await.is_err() {
                debug!("claims that could not be settled run out by themselves");
            }
        }
    }
}

impl Book {
    fn wanted(&self, prepared: &Prepared<'_>, ticket: Ticket) -> Result<Option<Held>, Verdict> {
        let redrive = self.rules.redrive_header.as_deref();
        let record = prepared.record;
        let retry_topic = self.rules.retry_topic.as_deref();
        match idempotency::key(&self.rules.key, redrive, retry_topic, prepared) {
            Ok(key) => Ok(Some(Held {
                key,
                holder: self.holder(record, ticket),
                place: format!("{}[{}]@{}", record.topic, record.partition, record.offset),
            })),
            Err(missing) => {
                self.count("missing-key");
                match self.rules.on_missing_key {
                    OnMissingKey::Deliver => {
                        self.metrics.unprotected.inc();
                        Ok(None)
                    }
                    OnMissingKey::Reject => {
                        let message = missing.to_string();
                        // No handler has said so: it is no attempt, and no sign that the handler is well.
                        Err(Verdict::Undeliverable {
                            reason: DeadLetterReason::Rejected,
                            failure: failure(class::MISSING_KEY, None, &message),
                        })
                    }
                }
            }
        }
    }

    /// A record that is tried again by the same worker under the same assignment is the same
    /// delivery. Under a later one it is not: the earlier may still be settling.
    fn holder(&self, record: &Record, ticket: Ticket) -> Holder {
        self.attempts.set(self.attempts.get() + 1);
        Holder {
            delivery: format!(
                "{}/{}/{}/{}",
                self.process, ticket.epoch, record.partition, record.offset
            ),
            attempt: self.attempts.get(),
        }
    }

    async fn claim(&self, wanted: &Held) -> Result<(), Verdict> {
        match self.store.claim(&wanted.key, &wanted.holder).await {
            Ok(Claimed::Ours) => {
                self.count("claimed");
                Ok(())
            }
            Ok(Claimed::Done) => {
                self.count("duplicate");
                // Its key may be a piece of its value, which no log is to have.
                debug!(record = wanted.place, "handled before");
                Err(Verdict::Duplicate)
            }
            Ok(Claimed::Held { left }) => {
                self.count("held");
                debug!(record = wanted.place, "in progress elsewhere");
                Err(Verdict::Postponed {
                    after: left.clamp(ASK_AGAIN / 10, ASK_AGAIN),
                    failure: None,
                    of_all: false,
                })
            }
            Err(error) => {
                self.count("error");
                match self.rules.on_store_error {
                    OnStoreError::Stall => Err(Verdict::Postponed {
                        after: STORE_AGAIN,
                        failure: Some(store_failure(&error)),
                        of_all: !error.is_of_the_key(),
                    }),
                    OnStoreError::Deliver => {
                        self.metrics.unprotected.inc();
                        debug!(record = wanted.place, %error, "delivered without protection");
                        Ok(())
                    }
                }
            }
        }
    }

    async fn confirm(&self, held: &Held) -> Confirmed {
        match self.store.confirm(&held.key, &held.holder).await {
            Ok(ours) => {
                self.overtaken(held, ours);
                Confirmed::Settled
            }
            Err(error) => match self.rules.on_store_error {
                OnStoreError::Stall => Confirmed::NotYet(store_failure(&error)),
                OnStoreError::Deliver => {
                    self.unconfirmed(held, &error.to_string());
                    Confirmed::Settled
                }
            },
        }
    }

    /// Whoever gets the record next, because the partition is gone, is spared it if this comes in
    /// time; after the lease it has begun.
    async fn confirm_late(&self, held: Held) {
        let until = self.clock.elapsed() + self.rules.lease;
        loop {
            match self.store.confirm(&held.key, &held.holder).await {
                Ok(ours) => return self.overtaken(&held, ours),
                Err(_) if self.clock.elapsed() < until => sleep(STORE_AGAIN).await,
                Err(_) => return,
            }
        }
    }

    async fn release(&self, held: &Held) {
        if let Err(error) = self.store.release(&held.key, &held.holder).await {
            debug!(record = held.place, %error, "a claim was not given back; it runs out by itself");
        }
    }

    fn overtaken(&self, held: &Held, ours: bool) {
        if !ours {
            self.metrics.overtaken.inc();
            warn!(
                record = held.place,
                "handled, but the claim was no longer ours; it may have been handled elsewhere too"
            );
        }
    }

    fn unconfirmed(&self, held: &Held, why: &str) {
        self.metrics.unconfirmed.inc();
        warn!(
            record = held.place,
            why, "handled, but it could not be marked; if it comes again it is handled again"
        );
    }

    fn count(&self, result: &'static str) {
        self.metrics.claims.get_or_create(&Outcome { result }).inc();
    }

    fn beside(&self, settling: impl Future<Output = ()> + 'static) {
        let mut beside = self.beside.borrow_mut();
        while beside.try_join_next().is_some() {}
        beside.spawn_local(settling);
    }
}

fn store_failure(error: &Error) -> Failure {
    failure(IDEMPOTENCY_STORE, None, &error.to_string())
}

/// The pod's name is for people; the rest tells it from an earlier process of the same pod.
fn process(pod: &str) -> String {
    let mut bytes = [0; 8];
    let mut name = format!("{pod}/");
    // Without randomness nothing that speaks TLS would run either.
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has random bytes");
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

impl idempotency::Source for Prepared<'_> {
    fn topic(&self) -> &str {
        &self.record.topic
    }

    fn partition(&self) -> i32 {
        self.record.partition
    }

    fn offset(&self) -> i64 {
        self.record.offset.0
    }

    fn timestamp(&self) -> Option<i64> {
        self.record.timestamp
    }

    fn record_key(&self) -> Option<&[u8]> {
        self.record.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.record.header(name)?.value.as_deref()
    }
}
