//! SIGTERM and SIGINT: the first begins the drain, the second ends the process.
//!
//! To the first process of a container a signal that it does not listen for is none. So a pod that is deleted while its
//! container starts would work on until it is killed; its container's `preStop` hook waits until the signal will be heard.

use std::process::exit;
use std::thread;
use std::time::Duration;
use std::{fs, io};

use futures::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock::Monotonic;

/// The exit status after a second signal, as shells give it for SIGTERM.
const TERMINATED: i32 = 128 + 15;
/// Signals within this time of the first are the same wish: some senders signal a process and its
/// group.
const ONE_WISH: Duration = Duration::from_millis(500);

/// What the kernel says of the first process, in the view of whoever asks.
const FIRST_PROCESS: &str = "/proc/1/status";
/// How often that is looked at, and for how long: a process that takes longer to begin has taken no record.
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until the first process listens for SIGTERM, or cannot be asked, or some seconds have passed.
pub fn wait_until_heard() {
    let clock = Monotonic::start();
    while clock.elapsed() < PATIENCE
        && fs::read_to_string(FIRST_PROCESS).is_ok_and(|status| !hears_sigterm(&status))
    {
        thread::park_timeout(LOOK);
    }
}

/// Of what `/proc/PID/status` says: SIGTERM is among the signals that are caught. See proc_pid_status(5).
fn hears_sigterm(status: &str) -> bool {
    const SIGTERM: u64 = 1 << (15 - 1);
    let mut lines = status.lines();
    let caught = lines.find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|caught| u64::from_str_radix(caught.trim(), 16).ok());
    caught.is_none_or(|caught| caught & SIGTERM != 0)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_process_hears_of_its_end_is_read_from_what_the_kernel_says() {
        let status = |caught| {
            format!("Name:\tdrover-worker\nSigIgn:\t0000000000001000\nSigCgt:\t{caught}\n")
        };
        assert!(!hears_sigterm(&status("0000000000000000")));
        assert!(!hears_sigterm(&status("0000000100000440")));
        assert!(hears_sigterm(&status("0000000100004002")));
        assert!(
            hears_sigterm("Name:\tanother kernel\n"),
            "nobody waits for it"
        );
    }
}
