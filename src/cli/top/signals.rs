//! Signals, so that none of them ends the program while the terminal is its own.

use std::io;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{self, SignalKind, signal};

/// Exit codes as shells give them to what a signal ended: 128 and its number.
pub(super) const HUNG_UP: u8 = 128 + 1;
pub(super) const INTERRUPTED: u8 = 128 + 2;
const ASKED_TO_QUIT: u8 = 128 + 3;
const TERMINATED: u8 = 128 + 15;

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Go, with this exit code.
    End(u8),
    /// Leave the terminal to others for a while.
    Suspend,
}

/// All that can be listened to and would end or stop the program.
pub(super) struct Signals {
    hangup: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    terminate: unix::Signal,
    suspend: unix::Signal,
}

impl Signals {
    /// # Errors
    /// If the system does not allow it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            suspend: signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?,
        })
    }

    /// Waits for the next. Nothing is lost if it is given up.
    pub async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::End(HUNG_UP),
            _ = self.interrupt.recv() => Told::End(INTERRUPTED),
            _ = self.quit.recv() => Told::End(ASKED_TO_QUIT),
            _ = self.terminate.recv() => Told::End(TERMINATED),
            _ = self.suspend.recv() => Told::Suspend,
        }
    }
}

/// Stops here until a shell lets the program go on (`fg`).
///
/// # Errors
/// If the system does not allow it.
pub(super) fn stop() -> io::Result<()> {
    Ok(kill_process(getpid(), Signal::STOP)?)
}
