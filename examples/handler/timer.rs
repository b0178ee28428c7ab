//! Sleeps as long as is said, to a fraction of a millisecond.
//!
//! The runtime's own timers count whole milliseconds and round up twice, so that 5 ms become more
//! than 6. A handler that says it takes 5 ms should take them: one thread waits for whatever is due
//! next, which the system does to about a twentieth of a millisecond.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use drover::clock::Monotonic;
use tokio::sync::oneshot;

/// Sleeps for any number of tasks. Its thread lasts as long as the process.
pub struct Timer {
    clock: Monotonic,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    sleepers: Mutex<BinaryHeap<Reverse<Sleeper>>>,
    /// Somebody is due sooner than all others.
    sooner: Condvar,
}

struct Sleeper {
    due: Duration,
    wake: oneshot::Sender<()>,
}

impl Timer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start() -> std::io::Result<Self> {
        let (clock, shared) = (Monotonic::start(), Arc::new(Shared::default()));
        let waiting = Arc::clone(&shared);
        thread::Builder::new()
            .name("timer".to_owned())
            .spawn(move || waiting.wake_who_is_due(clock))?;
        Ok(Self { clock, shared })
    }

    /// Waits for `delay`.
    pub async fn sleep(&self, delay: Duration) {
        if delay.is_zero() {
            return;
        }
        let woken = self.shared.add(self.clock.elapsed() + delay);
        // The thread keeps the sender until it has sent.
        let _ = woken.await;
    }
}

impl Shared {
    fn sleepers(&self) -> MutexGuard<'_, BinaryHeap<Reverse<Sleeper>>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, due: Duration) -> oneshot::Receiver<()> {
        let (wake, woken) = oneshot::channel();
        let mut sleepers = self.sleepers();
        let sooner = sleepers.peek().is_none_or(|Reverse(next)| due < next.due);
        sleepers.push(Reverse(Sleeper { due, wake }));
        drop(sleepers);
        if sooner {
            self.sooner.notify_one();
        }
        woken
    }

    fn wake_who_is_due(&self, clock: Monotonic) {
        let mut sleepers = self.sleepers();
        loop {
            let now = clock.elapsed();
            let next = sleepers.peek().map(|Reverse(next)| next.due);
            sleepers = match next {
                Some(due) if due <= now => {
                    if let Some(Reverse(sleeper)) = sleepers.pop() {
                        // Who gave up does not listen any more.
                        let _ = sleeper.wake.send(());
                    }
                    continue;
                }
                Some(due) => {
                    let waited = self.sooner.wait_timeout(sleepers, due - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.sooner.wait(sleepers);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn sleepers_wake_in_the_order_of_their_times_and_none_too_soon() {
        let (timer, clock) = (Timer::start().unwrap(), Monotonic::start());
        let sleep = async |millis| {
            let delay = Duration::from_millis(millis);
            timer.sleep(delay).await;
            assert!(clock.elapsed() >= delay);
            clock.elapsed()
        };
        // The last to come is due first, so that the thread has to wait anew.
        let (long, middle, short) = tokio::join!(sleep(600), sleep(300), sleep(5));
        assert!(
            short < middle && middle < long,
            "{short:?} {middle:?} {long:?}"
        );
    }
}
