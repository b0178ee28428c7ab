//! `drover encryption verify`: a file of messages with their keys, each run.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;

use crate::cli::output;
use crate::encryption::vectors;

/// Arguments of `drover encryption verify`.
#[derive(Args, Clone, Debug)]
pub(super) struct VerifyArgs {
    /// Messages with their keys and what is to come of them, as JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Ends with 1 if a vector failed, with 2 if there is no such file or it has another form.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let name = args.file.display();
    let document = fs::read(&args.file).with_context(|| format!("read {name}"))?;
    let checked =
        vectors::run(&document).map_err(|why| anyhow!("{name} is no file of vectors: {why}"))?;
    let mut text = String::new();
    let mut failed = 0;
    for vector in &checked {
        if let Some(failure) = &vector.failure {
            failed += 1;
            text += &format!("{}: {failure}\n", vector.name);
        }
    }
    let passed = checked.len() - failed;
    output::print(&format!("{text}{passed} passed, {failed} failed\n"))?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}
