//! Idempotency stores: where claims and marks are kept, by the rules of [`crate::idempotency`].
//!
//! Made for the worker's one thread: nothing blocks, nothing is locked, and a question that the
//! store does not answer ends with an error after a few seconds. Every question may be asked again,
//! since an answer that was lost changes nothing about what it asked for.

mod address;
mod link;
mod memory;
mod postgres;
mod redis;

use std::time::Duration;

use crate::clock::Monotonic;
use crate::idempotency::{Claimed, Holder};
use crate::worker_config::{Idempotency, StoreKind};
use link::Failed;
use memory::Memory;
use postgres::Postgres;
use redis::Redis;

/// The longest that a question takes before it fails: with the lease's reckoning in mind, since the
/// lease may have begun that long before the answer.
pub const LONGEST_QUESTION: Duration = Duration::from_secs(4);

/// The store did not answer, or not as it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{store}: {why}")]
pub struct Error {
    /// Kind and address.
    store: String,
    /// In the words of client or server, which do not hold the password.
    why: String,
    /// Another key would fare better.
    is_of_the_key: bool,
}

impl Error {
    fn new(store: &str, failed: Failed) -> Self {
        let (why, is_of_the_key) = match failed {
            Failed::Server(why) => (why, false),
            Failed::Question(why) => (why, true),
        };
        Self {
            store: store.to_owned(),
            why,
            is_of_the_key,
        }
    }

    /// The store refused this key alone, such as one whose row somebody holds: it is there for others.
    pub fn is_of_the_key(&self) -> bool {
        self.is_of_the_key
    }
}

/// A store.
pub struct Store {
    kind: Kind,
    lease: Duration,
    retention: Duration,
}

enum Kind {
    Memory(Memory),
    Redis(Redis),
    Postgres(Postgres),
}

impl Store {
    /// Opens the store. Connections are made beside, and again when they break. Must be made and
    /// used inside a `LocalSet`.
    pub fn open(config: &Idempotency, clock: Monotonic) -> Self {
        let kind = match &config.store {
            StoreKind::Memory { max_entries } => {
                let most = usize::try_from(*max_entries).unwrap_or(usize::MAX);
                Kind::Memory(Memory::new(most, clock))
            }
            StoreKind::Redis(to) => Kind::Redis(Redis::open(to.clone(), &config.scope, clock)),
            StoreKind::Postgres(to) => {
                Kind::Postgres(Postgres::open(to.clone(), &config.scope, clock))
            }
        };
        Self {
            kind,
            lease: config.lease,
            retention: config.retention,
        }
    }

    /// Claims a key for the lease.
    ///
    /// # Errors
    ///
    /// The store did not answer; the claim may be made or not.
    pub async fn claim(&self, key: &str, holder: &Holder) -> Result<Claimed, Error> {
        match &self.kind {
            Kind::Memory(memory) => Ok(memory.claim(key, holder, self.lease)),
            Kind::Redis(redis) => redis.claim(key, holder, self.lease).await,
            Kind::Postgres(postgres) => postgres.claim(key, holder, self.lease).await,
        }
    }

    /// The work is done: marks the key for the retention. False if the claim was no longer ours, so
    /// that somebody else may have done it as well.
    ///
    /// # Errors
    ///
    /// The store did not answer; the mark may be made or not.
    pub async fn confirm(&self, key: &str, holder: &Holder) -> Result<bool, Error> {
        match &self.kind {
            Kind::Memory(memory) => Ok(memory.confirm(key, holder, self.retention)),
            Kind::Redis(redis) => redis.confirm(key, holder, self.retention).await,
            Kind::Postgres(postgres) => postgres.confirm(key, holder, self.retention).await,
        }
    }

    /// The work is not done: gives the claim back if it is still ours.
    ///
    /// # Errors
    ///
    /// The store did not answer; the lease runs out by itself.
    pub async fn release(&self, key: &str, holder: &Holder) -> Result<(), Error> {
        match &self.kind {
            Kind::Memory(memory) => {
                memory.release(key, holder);
                Ok(())
            }
            Kind::Redis(redis) => redis.release(key, holder).await,
            Kind::Postgres(postgres) => postgres.release(key, holder).await,
        }
    }

    /// Why the store cannot be used at present; None while it can, or while nobody knows.
    pub fn trouble(&self) -> Option<String> {
        let error = match &self.kind {
            Kind::Memory(_) => None,
            Kind::Redis(redis) => redis.trouble(),
            Kind::Postgres(postgres) => postgres.trouble(),
        };
        error.map(|error| error.to_string())
    }
}
