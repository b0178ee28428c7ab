//! Idempotency stores against real servers, which the tests start and stop.

mod failures;
mod rules;
pub mod servers;
mod tls;

use std::time::Duration;

use drover::clock::Monotonic;
use drover::idempotency::{Claimed, Holder};
use drover::store::Store;
use drover::worker_config::{Idempotency, IdempotencyKey, OnMissingKey, OnStoreError, StoreKind};
use tokio::task::LocalSet;

/// What no condition of these tests takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const LEASE: Duration = Duration::from_secs(600);
pub const RETENTION: Duration = Duration::from_secs(3600);

/// What a worker is told of a store.
pub fn told(store: StoreKind) -> Idempotency {
    Idempotency {
        key: IdempotencyKey::Header("message-id".to_owned()),
        redrive_header: None,
        retry_topic: None,
        store,
        scope: "shop.orders".to_owned(),
        retention: RETENTION,
        lease: LEASE,
        on_store_error: OnStoreError::Stall,
        on_missing_key: OnMissingKey::Deliver,
    }
}

pub fn open(store: &StoreKind) -> Store {
    Store::open(&told(store.clone()), Monotonic::start())
}

pub fn holder(delivery: &str, attempt: u64) -> Holder {
    Holder {
        delivery: delivery.to_owned(),
        attempt,
    }
}

/// A runtime as a worker's.
pub struct Runtime {
    runtime: tokio::runtime::Runtime,
    local: LocalSet,
}

impl Runtime {
    pub fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            local: LocalSet::new(),
        }
    }

    pub fn block_on<T>(&self, test: impl Future<Output = T>) -> T {
        self.local.block_on(&self.runtime, test)
    }
}

/// Asks until the store answers.
pub async fn claim(store: &Store, key: &str, holder: &Holder) -> Claimed {
    let asking = async {
        loop {
            match store.claim(key, holder).await {
                Ok(claimed) => return claimed,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let answer = tokio::time::timeout(DEADLINE, asking).await;
    answer.unwrap_or_else(|_| panic!("the store never answered: {:?}", store.trouble()))
}
