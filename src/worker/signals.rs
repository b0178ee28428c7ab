//! SIGTERM and SIGINT: the first begins the drain, the second ends the process.

use std::io;
use std::process::exit;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The exit status after a second signal, as shells give it for SIGTERM.
const TERMINATED: i32 = 128 + 15;

/// Listens from now on, in a thread of its own: a loop that is stuck must not keep the second
/// signal from ending the process.
pub fn cancel_on_signal(shutdown: CancellationToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                either(&mut signals).await;
                shutdown.cancel();
                either(&mut signals).await;
                warn!("second signal: stopping at once; what is in flight will be delivered again");
                exit(TERMINATED);
            });
        })?;
    Ok(())
}

async fn either(
    (terminate, interrupt): &mut (tokio::signal::unix::Signal, tokio::signal::unix::Signal),
) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
