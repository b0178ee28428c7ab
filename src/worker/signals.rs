//! SIGTERM and SIGINT: the first begins the drain, the second ends the process.

use std::io;
use std::process::exit;
use std::thread;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The exit status after a second signal, as shells give it for SIGTERM.
const TERMINATED: i32 = 128 + 15;
/// Signals within this time of the first are the same wish: some senders signal a process and its
/// group.
const ONE_WISH: Duration = Duration::from_millis(500);

/// Listens from now on, in a thread of its own: a loop that is stuck must not keep the second
/// signal from ending the process.
pub fn cancel_on_signal(shutdown: CancellationToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        }
    };
    let listening = async move {
        signals.next().await;
        shutdown.cancel();
        sleep(ONE_WISH).await;
        while signals.next().now_or_never().is_some() {}
        signals.next().await;
        warn!("second signal: stopping at once; what is in flight will be delivered again");
        exit(TERMINATED);
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(listening))?;
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
