//! Ends a question early where no broker lets us in, and waiting will not change that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinError;

use crate::clock::Monotonic;
use crate::kafka::native::admin::Native;
use crate::kafka::native::answers::Failure;

/// So long every broker must have refused us: one that has just begun may not know its users yet.
const SURE_AFTER: Duration = Duration::from_secs(1);
/// Between two looks whether they do.
const LOOK: Duration = Duration::from_millis(100);
/// The first of the questions for brokers, which block and cannot be ended; longer than it takes to be sure.
const FIRST: Duration = Duration::from_millis(1500);
/// The next ones of a client that is refused already.
const NEXT: Duration = Duration::from_millis(250);

/// Whether a client's questions end early.
#[derive(Default)]
pub(super) struct Refusal {
    ends: bool,
    /// Who was let in once is waited for: what was said before is old, and nothing says when it is over.
    answered: AtomicBool,
}

impl Refusal {
    pub fn ends() -> Self {
        Self {
            ends: true,
            answered: AtomicBool::new(false),
        }
    }

    /// A broker has answered.
    pub fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    fn counts(&self) -> bool {
        self.ends && !self.answered.load(Ordering::Relaxed)
    }

    /// Comes back when there is nothing to wait for any more; never where that cannot be said.
    pub async fn ends_it(&self, native: &Native) {
        loop {
            if !self.counts() {
                return std::future::pending().await;
            }
            if is_sure(native) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The ids of the cluster's brokers.
    pub async fn of_brokers(
        &self,
        native: &Arc<Native>,
        timeout: Duration,
    ) -> Result<Result<Vec<i32>, Failure>, JoinError> {
        let began = Monotonic::start();
        let mut part = FIRST;
        loop {
            let before = began.elapsed();
            let left = timeout.saturating_sub(before);
            let is_last = !self.counts() || part >= left;
            let ask = native.brokers(if is_last { left } else { part });
            let asked = tokio::task::spawn_blocking(ask).await?;
            let failed_at_once = began.elapsed() < before + part;
            if asked.is_ok() || is_last || failed_at_once || (self.counts() && is_sure(native)) {
                return Ok(asked);
            }
            // A broker that is slow to answer gets more time with every question.
            part = match native.refused_for() {
                Some(_) => NEXT,
                None => part * 2,
            };
        }
    }
}

fn is_sure(native: &Native) -> bool {
    native
        .refused_for()
        .is_some_and(|lasts| lasts >= SURE_AFTER)
}
