//! What every subcommand writes the same way.

use std::io::{self, Write};

use anyhow::Context;

/// Writes to standard output. A reader that has gone away (`drover crd | head`) is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("write to standard output"),
    }
}

/// An error and its causes in one line.
pub(super) fn error_line(error: &anyhow::Error) -> String {
    format!("drover: {error:#}").replace('\n', " ")
}
