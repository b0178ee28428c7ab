//! Keys that somebody should look at: each at most once, however often it is set.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Keys that somebody should look at. Bounded by their number: a key that waits is not added twice.
#[derive(Debug)]
pub struct Wakes<K> {
    waiting: Mutex<BTreeSet<K>>,
    added: Notify,
}

impl<K> Default for Wakes<K> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(BTreeSet::new()),
            added: Notify::new(),
        }
    }
}

impl<K: Ord + Send + 'static> Wakes<K> {
    /// `key` should be looked at.
    pub fn add(&self, key: K) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(key);
        drop(waiting);
        self.added.notify_one();
    }

    /// The next one. For one reader at a time.
    pub async fn next(&self) -> K {
        loop {
            let first = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.pop_first()
            };
            match first {
                Some(key) => return key,
                None => self.added.notified().await,
            }
        }
    }
}
