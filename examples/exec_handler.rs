//! A handler that is a command: reads records as lines of JSON, answers each with a line.
//!
//! `--delay 5ms` is the time for each record; `--fail TEXT` retries records whose value contains it.
//! `--deadly TEXT` kills the worker for such a record, as one does that takes all of the container's memory.
//! With `--forward HOST:PORT` each record is also POSTed there, so that a witness sees it.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use drover::api::Span;
use serde_json::{Value, json};

#[derive(Parser)]
struct Args {
    /// Time for each record.
    #[arg(long, default_value = "0ms")]
    delay: String,
    /// Records whose value contains this fail.
    #[arg(long)]
    fail: Option<String>,
    /// Records whose value contains this have the worker killed. In a pod it needs `shareProcessNamespace`: nothing
    /// kills the first process of a namespace from within.
    #[arg(long)]
    deadly: Option<String>,
    /// Where each record is POSTed as well: HOST:PORT.
    #[arg(long)]
    forward: Option<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let delay: Span = serde_json::from_value(json!(args.delay)).context("--delay")?;
    let mut answers = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.context("read a line")?;
        let document: Value = serde_json::from_str(&line).context("read a record")?;
        let results: Vec<Value> = match document["records"].as_array() {
            Some(records) => records.iter().map(|r| handle(&args, delay.0, r)).collect(),
            None => vec![handle(&args, delay.0, &document)],
        };
        writeln!(answers, "{}", json!({ "results": results }))?;
        answers.flush()?;
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the work that it pretends to do")]
fn handle(args: &Args, delay: Duration, record: &Value) -> Value {
    std::thread::sleep(delay);
    let value = record["value"].as_str().unwrap_or_default();
    let is_deadly = args.deadly.as_ref();
    if is_deadly.is_some_and(|text| value.contains(text))
        && let Some(worker) = rustix::process::getppid()
    {
        let killed = rustix::process::kill_process(worker, rustix::process::Signal::KILL);
        eprintln!("kill the worker: {killed:?}");
        std::process::exit(1);
    }
    let fails = args.fail.as_ref().is_some_and(|text| value.contains(text));
    let forwarded = match &args.forward {
        Some(address) => forward(address, record, value),
        None => Ok(()),
    };
    match forwarded {
        Err(error) => {
            eprintln!("forward a record: {error:#}");
            json!({ "result": "retry", "error": "the witness did not take it" })
        }
        Ok(()) if fails => json!({ "result": "retry", "error": "as it was told" }),
        Ok(()) => json!("done"),
    }
}

/// One POST over a connection of its own, with the headers that a witness looks at.
fn forward(address: &str, record: &Value, value: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address).context("connect")?;
    let text = |field: &str| match &record[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let head = [
        ("drover-topic", text("topic")),
        ("drover-partition", text("partition")),
        ("drover-offset", text("offset")),
        ("drover-key", text("key")),
        ("drover-attempt", text("attempt")),
        ("content-length", value.len().to_string()),
    ];
    let head: String = head
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .concat();
    write!(
        stream,
        "POST /records HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{head}\r\n{value}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    anyhow::ensure!(status == "200", "answered {status:?}");
    Ok(())
}
