//! Benchmark: a KafkaConsumer's document on standard input becomes the worker's configuration on
//! standard output, as the controller would write it. Exit code 3: this Drover has no such field.

use std::io::{Read as _, stdin};
use std::process::ExitCode;

use anyhow::Context as _;
use drover::api::KafkaConsumer;
use drover::fleet::{References, check_document, validate};
use drover::resources::worker_config;

const UNKNOWN: u8 = 3;

fn main() -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let document = serde_json::from_str(&text)?;
    let problems = check_document(&document);
    if !problems.is_empty() {
        for problem in problems {
            eprintln!("{}: {}", problem.field, problem.message);
        }
        return Ok(ExitCode::from(UNKNOWN));
    }
    let consumer: KafkaConsumer = serde_json::from_value(document)?;
    let fleet = validate(&consumer, &References::default())
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let config = worker_config(&fleet).context("a consumer of the user's own has no worker")?;
    println!("{}", serde_json::to_string_pretty(&config)?);
    Ok(ExitCode::SUCCESS)
}
