//! What every subcommand writes the same way.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use ratatui_crossterm::crossterm::terminal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::progress;

/// Writes to standard output. A reader that has gone away (`drover crd | head`) is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    print_if_read(text).map(|_| ())
}

/// The same, for what goes on afterwards: false if the reader has gone away.
pub(super) fn print_if_read(text: &str) -> anyhow::Result<bool> {
    // It would stand behind how far something else is.
    let _line = progress::aside();
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).context("write to standard output"),
    }
}

/// Comes back when the reader of standard output has gone away (`drover logs -f | head -1`), for what waits for a next line
/// to write; never where nobody can go, as of a file.
#[allow(
    deprecated,
    reason = "its unsafe successor wants a promise that standard output keeps: its number is the same for ever"
)]
pub(super) async fn unread() {
    if let Ok(out) = AsyncFd::with_interest(io::stdout(), Interest::ERROR)
        && out.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// The columns of the terminal that standard output is; none where it is none: programs get every line whole.
pub(super) fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (columns, _) = terminal::size().ok()?;
    (columns > 0).then_some(usize::from(columns))
}

/// An error and its causes in one line.
pub(super) fn error_line(error: &anyhow::Error) -> String {
    format!("drover: {error:#}").replace('\n', " ")
}
