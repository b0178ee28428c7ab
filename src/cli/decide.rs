//! `drover decide`: the planner over lines of JSON, so that any model of the world can drive it.
//!
//! One line says the policy, then each sample is answered by one line. Time is the samples' own:
//! no clock is read and nothing else is written.

mod protocol;

use std::io::{self, BufRead, Read};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};

use super::output;
use crate::fleet::read_schedule;
use crate::scaling::{self, Policy, State};
use protocol::{Answer, Setup};

/// Bytes of a line; a sample of 100,000 partitions has fewer.
const LONGEST: u64 = 64 << 20;

/// Answers standard input, line by line, until it ends.
///
/// # Errors
/// A line that cannot be read, with its number.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let mut planner = None;
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
        let answer = match &mut planner {
            None => {
                let setup = Setup::read(line).map_err(|error| anyhow!("line {number}: {error}"))?;
                let new = Planner::new(setup);
                planner = Some(new.map_err(|error| anyhow!("line {number}: {error}"))?);
                continue;
            }
            Some(planner) => planner.answer(line),
        };
        output::print(&answer.map_err(|error| anyhow!("line {number}: {error}"))?)?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Planner {
    policy: Policy,
    partitions: u32,
    state: State,
    /// The time of the sample before.
    at: Option<f64>,
}

impl Planner {
    fn new(setup: Setup) -> Result<Self, String> {
        let mut policy = setup.policy;
        if let Some(peaks) = &setup.schedule {
            policy.schedule = read_schedule(peaks).map_err(|wrong| {
                let wrong = wrong.join("; ");
                wrong.replace("spec.scaling.schedule", "policy.schedule")
            })?;
        }
        Ok(Self {
            policy,
            partitions: setup.partitions,
            state: State::default(),
            at: None,
        })
    }

    /// The line that answers a line.
    fn answer(&mut self, line: &str) -> Result<String, protocol::Error> {
        let (at, sample) =
            protocol::sample(line, self.partitions, self.policy.concurrency, self.at)?;
        self.at = Some(at);
        let state = std::mem::take(&mut self.state);
        let (state, decision) = scaling::step(&self.policy, state, &sample, sample.at);
        self.state = state;
        Ok(Answer::new(at, &decision).line())
    }
}
