//! `drover docs`: pages of `docs/` that are written from the program itself. Not in the help: it is
//! for `make generate`.

mod commands;
mod conditions;
mod resource;

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::output;
use crate::telemetry::reference;

/// Arguments of `drover docs`.
#[derive(Args, Debug)]
pub struct DocsArgs {
    /// The page
    #[arg(value_enum)]
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// docs/commands.md
    Commands,
    /// docs/conditions.md
    Conditions,
    /// docs/metrics.md
    Metrics,
    /// docs/reference.md
    Reference,
    /// docs/reference-replay.md
    ReferenceReplay,
}

/// Prints the page.
pub(super) fn run(args: &DocsArgs) -> anyhow::Result<ExitCode> {
    let text = match args.page {
        Page::Commands => commands::page(),
        Page::Conditions => conditions::page(),
        Page::Metrics => reference::page(),
        Page::Reference => resource::page()?,
        Page::ReferenceReplay => resource::replay_page()?,
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
