//! `drover decide`: the planner over lines of JSON, so that any model of the world can drive it.
//!
//! One line says the policy, then each sample is answered by one line. Time is the samples' own:
//! no clock is read and nothing else is written.

mod first;
mod numbers;
mod protocol;
mod sample;

use std::io::{self, BufRead, Read};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};

use super::output;
use crate::fleet::read_schedule;
use crate::scaling::{self, Policy, State};
use first::Setup;
use protocol::{Answer, Error};

/// Bytes of a line; a sample of 100,000 partitions has fewer.
const LONGEST: u64 = 64 << 20;

/// Answers standard input, line by line, until it ends.
///
/// # Errors
/// A line that cannot be read, with its number.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let mut planner: Option<Planner> = None;
    let mut input = io::stdin().lock();
    for number in 1.. {
        let mut line = Vec::new();
        let length = (&mut input)
            .take(LONGEST + 1)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("line {number}"))?;
        if length == 0 {
            break;
        }
        if length as u64 > LONGEST {
            bail!("line {number} has more than {LONGEST} bytes; a sample is one line");
        }
        let line = String::from_utf8(line).with_context(|| format!("line {number}"))?;
        // What editors on Windows put before a text.
        let line = line.trim_start_matches('\u{feff}');
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |error| anyhow!("line {number}: {error}");
        let said = match &mut planner {
            None => Said::Policy(Setup::read(line).map_err(wrong)?),
            Some(planner) => planner.hear(line).map_err(wrong)?,
        };
        match said {
            Said::Answer(answer) => output::print(&answer)?,
            Said::Policy(setup) => {
                if !setup.passed_over.is_empty() {
                    let names = setup.passed_over.join(", ");
                    eprintln!(
                        "drover: line {number}: passed over, since nothing here reads it: {names}"
                    );
                }
                let before = planner.take();
                planner = Some(Planner::new(setup, before).map_err(wrong)?);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of a line.
enum Said {
    /// It was a sample, and this line answers it.
    Answer(String),
    /// It was a policy, as the first line is: that holds from now on, and has no answer.
    Policy(Setup),
}

struct Planner {
    policy: Policy,
    /// Of the topic; samples may show more.
    partitions: u32,
    state: State,
    /// The time of the sample before.
    at: Option<f64>,
}

impl Planner {
    /// One that goes on with what was learned `before`.
    fn new(setup: Setup, before: Option<Self>) -> Result<Self, Error> {
        let mut policy = setup.policy;
        if let Some(peaks) = &setup.schedule {
            policy.schedule = read_schedule(peaks).map_err(|wrong| {
                let wrong = wrong.join("; ");
                Error::Value(wrong.replace("spec.scaling.schedule", "policy.schedule"))
            })?;
        }
        let (state, at) = before.map_or_else(Default::default, |before| (before.state, before.at));
        Ok(Self {
            policy,
            partitions: setup.partitions,
            state,
            at,
        })
    }

    /// Takes a line after the first.
    fn hear(&mut self, line: &str) -> Result<Said, Error> {
        let read = sample::read(line, self.partitions, self.policy.concurrency, self.at);
        let read = match read {
            Ok(read) => read,
            Err(error) => return Setup::read(line).map(Said::Policy).map_err(|_| error),
        };
        self.at = Some(read.at);
        self.partitions = read.partitions;
        let state = std::mem::take(&mut self.state);
        let (state, decision) = scaling::step(&self.policy, state, &read.sample, read.sample.at);
        self.state = state;
        Ok(Said::Answer(Answer::new(read.at, &decision).line()))
    }
}
