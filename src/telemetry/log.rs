//! Logs: tracing to standard error, as text or JSON.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Begins logging. `filter` is in the syntax of `tracing_subscriber::EnvFilter`, such as
/// `info,drover=debug`. What cannot be read falls back to `info`; a second call is an error.
pub fn init(format: Format, filter: &str) -> Result<(), TryInitError> {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt()
        .with_env_filter(filter)
        // A line that cannot be written, as after a terminal was closed, would be told on standard
        // error, and end the thread with a panic there.
        .log_internal_errors(false)
        .with_writer(stderr);
    match format {
        // Colours are for terminals; in a file they are noise.
        Format::Text => lines.with_ansi(stderr().is_terminal()).finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    }
}
