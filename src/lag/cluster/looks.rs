//! Looks at records themselves, beside the rounds: whether there is one where a commit stands before the end, or how old
//! it is. One at a time. Each has a thread of its own, and a client that may be long about its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tracing::debug;

use crate::kafka::admin::Error;

/// One that has not come back by then is waited for no longer. Nothing that goes on takes as long: it ends by itself
/// once the brokers are silent for a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many may hang, with what they hold, before no other is begun.
const MAY_HANG: usize = 4;

/// Whose turn it is.
pub(super) struct Looks {
    patience: Duration,
    turn: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            patience: PATIENCE,
            turn: Arc::new(Semaphore::new(1)),
            threads: Arc::new(Semaphore::new(MAY_HANG)),
        }
    }
}

impl Looks {
    /// A turn, if nobody has one.
    pub(super) fn turn(&self) -> Option<Turn> {
        Some(Turn {
            patience: self.patience,
            thread: Arc::clone(&self.threads).try_acquire_owned().ok()?,
            _own: Arc::clone(&self.turn).try_acquire_owned().ok()?,
        })
    }
}

/// The turn of one look, over with it.
pub(super) struct Turn {
    patience: Duration,
    thread: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Turn {
    /// Runs `look`, which blocks, and hands what it came to to `take` within this turn: nothing where it failed, or does
    /// not come back.
    pub(super) async fn of<T: Send + 'static>(
        self,
        look: impl FnOnce() -> Result<T, Error> + Send + 'static,
        take: impl FnOnce(Option<T>),
    ) {
        let thread = self.thread;
        let look = spawn_blocking(move || {
            let found = look();
            // Only now: a thread that hangs is one.
            drop(thread);
            found
        });
        let found = match tokio::time::timeout(self.patience, look).await {
            Ok(Ok(Ok(found))) => Some(found),
            Ok(Ok(Err(error))) => {
                debug!(%error, "look at records");
                None
            }
            Ok(Err(error)) => {
                debug!(%error, "look at records");
                None
            }
            Err(_) => {
                debug!(patience = ?self.patience, "look at records: it does not come back");
                None
            }
        };
        take(found);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Takes the turn for a look that does not come back before it is told to.
    async fn hang(looks: &Looks) -> Sender<()> {
        let turn = looks.turn().expect("nobody has it");
        assert!(looks.turn().is_none(), "one at a time");
        let (end, ended) = channel();
        let look = move || {
            let _ = ended.recv();
            Ok(())
        };
        turn.of(look, |found| assert_eq!(found, None)).await;
        end
    }

    #[tokio::test]
    async fn a_look_that_does_not_come_back_is_not_waited_for_by_all_others() {
        let looks = Looks {
            patience: Duration::from_millis(1),
            ..Looks::default()
        };
        let mut hanging = Vec::new();
        for _ in 0..MAY_HANG {
            hanging.push(hang(&looks).await);
        }
        assert!(looks.turn().is_none(), "so many hang");
        hanging.pop();
        while looks.turn().is_none() {
            tokio::task::yield_now().await;
        }
        let looks = Looks {
            patience: PATIENCE,
            ..looks
        };
        let mut seen = None;
        let turn = looks.turn().expect("it was given back");
        turn.of(|| Ok(7), |found| seen = found).await;
        assert_eq!(seen, Some(7));
    }
}
