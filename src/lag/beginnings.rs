//! The first offsets of groups, written beside whoever asked for them.
//!
//! A Kafka that does not answer takes a minute until that is known. Who waits for it here keeps nobody
//! else waiting, and of one cluster only some are under way at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio_util::task::AbortOnDropHandle;

use super::Start;
use crate::kafka::admin::Error;

/// What has become of each that was asked for and not taken yet.
pub(super) struct Beginnings<K>(Arc<Mutex<HashMap<K, Beginning>>>);

enum Beginning {
    /// Ends with this.
    UnderWay(#[allow(dead_code, reason = "held, never read")] AbortOnDropHandle<()>),
    Over(Result<Start, Error>),
}

impl<K> Default for Beginnings<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Beginnings<K> {
    /// The outcome, once; none while it is under way. Has `work` done where nothing was asked for.
    /// `over` is called when there is an outcome to take.
    pub(super) fn outcome(
        &self,
        key: &K,
        work: impl Future<Output = Result<Start, Error>> + Send + 'static,
        over: impl FnOnce() + Send + 'static,
    ) -> Option<Result<Start, Error>> {
        let mut known = lock(&self.0);
        match known.remove(key) {
            Some(Beginning::Over(outcome)) => Some(outcome),
            Some(under_way) => {
                known.insert(key.clone(), under_way);
                None
            }
            None => {
                // Weak, so that dropping the last of `self` ends the tasks.
                let task = tokio::spawn(begin(Arc::downgrade(&self.0), key.clone(), work, over));
                let task = Beginning::UnderWay(AbortOnDropHandle::new(task));
                known.insert(key.clone(), task);
                None
            }
        }
    }

    /// Ends what is under way, and forgets the outcome.
    pub(super) fn forget(&self, key: &K) {
        lock(&self.0).remove(key);
    }
}

async fn begin<K: Eq + Hash>(
    known: Weak<Mutex<HashMap<K, Beginning>>>,
    key: K,
    work: impl Future<Output = Result<Start, Error>>,
    over: impl FnOnce(),
) {
    let outcome = work.await;
    if let Some(known) = known.upgrade() {
        let before = lock(&known).insert(key, Beginning::Over(outcome));
        over();
        // This task's own handle: aborting it now is no harm, it is at its end.
        drop(before);
    }
}

fn lock<K>(known: &Mutex<HashMap<K, Beginning>>) -> MutexGuard<'_, HashMap<K, Beginning>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
