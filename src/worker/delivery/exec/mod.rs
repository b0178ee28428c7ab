//! The handler as a command: one JSON line on its standard input, one on its standard output.
//!
//! A slot keeps a process of its own, so the pool is as large as there are slots. A process has one
//! delivery at a time: the next line is written when the last one is answered. It runs in a process
//! group of its own, which is killed as a whole as soon as a delivery overruns or is cancelled, so that
//! nothing of it works on a record whose partition is given back.

mod process;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use self::process::{Broken, End, Process};
use super::answer::{class, failure};
use super::document::{self, Item};
use super::results;
use super::spans::Hop;
use super::transport::Attempted;
use crate::clock::Monotonic;
use crate::engine::Verdict;
use crate::worker::journal::{Journal, Place};
use crate::worker::record::Record;

pub use self::process::find;

/// The wait before a process is started again, which doubles with each that ends unasked.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Bytes of an answer, and those that come with each record of a batch.
const ANSWER: usize = 64 * 1024;
const ANSWER_PER_RECORD: usize = 1024;
/// How long a process may take to end once its input is closed.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long a process may take, once started, until it reads. An interpreter with all of an application's code needs
/// half a minute where many start at once.
const LONGEST_START: Duration = Duration::from_secs(300);
/// How often a start is looked at that takes longer than the handler may.
const LOOK: Duration = Duration::from_millis(50);

/// How a handler that is a command is run.
#[derive(Debug)]
pub struct Exec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The worker's clock.
    pub clock: Monotonic,
    /// Where it is written what processes have, if the worker may be killed together with them.
    pub journal: Option<Rc<Journal>>,
    /// Those who read what processes say on their standard error.
    pub listeners: RefCell<JoinSet<()>>,
}

/// What a slot keeps.
pub struct Line {
    process: Option<Process>,
    group: Rc<Group>,
    place: Option<Rc<Place>>,
    /// Processes that ended unasked since one last answered.
    failures: u32,
    not_before: Duration,
}

/// The process group that has a slot's delivery, for those who must end it.
#[derive(Debug, Default)]
pub struct Group {
    running: Cell<Option<rustix::process::Pid>>,
    killed: Cell<bool>,
    start: Cell<Start>,
}

/// What is known of the start of the process that has the delivery.
#[derive(Debug, Clone, Copy, Default)]
enum Start {
    /// It is over: the process has answered before.
    #[default]
    Past,
    /// It has read nothing since then.
    Since(Instant),
    /// The process has begun to read then.
    Over(Instant),
}

impl Group {
    /// Ends the processes of a delivery that is under way, at once.
    pub fn kill(&self) {
        // Also of a delivery that is between two processes.
        self.killed.set(true);
        if let Some(group) = self.running.take() {
            process::kill(group);
        }
    }

    /// How much longer a delivery may take whose handler's time of `timeout` seems to be over: that begins when a
    /// process that has just been started reads. None if it is over.
    pub fn more_time(&self, timeout: Duration) -> Option<Duration> {
        match self.start.get() {
            Start::Past => None,
            Start::Since(started) => (started.elapsed() < LONGEST_START).then_some(LOOK),
            Start::Over(read) => timeout
                .checked_sub(read.elapsed())
                .filter(|left| !left.is_zero()),
        }
    }

    /// For how long the process that has the delivery runs without having read anything: no record is to blame.
    pub fn has_read_nothing_for(&self) -> Option<Duration> {
        match self.start.get() {
            Start::Since(started) => Some(started.elapsed()),
            _ => None,
        }
    }
}

/// A process was ended that had read nothing in all the time that it ran.
pub fn never_read(time: Duration) -> Verdict {
    let message = format!(
        "the command was ended: {time:.0?} after its start it had read nothing; it must read lines from its standard input (with idempotency within handler.timeout, else within {LONGEST_START:?})"
    );
    slow_down(None, &message)
}

impl Exec {
    /// What a new slot begins with.
    pub fn line(&self, group: Rc<Group>) -> Line {
        Line {
            process: None,
            group,
            place: self.journal.as_ref().and_then(|journal| journal.place()),
            failures: 0,
            not_before: Duration::ZERO,
        }
    }

    /// One attempt on one record.
    pub async fn attempt(&self, line: &mut Line, item: &Item<'_>, hop: Option<&Hop>) -> Attempted {
        let mut text = Vec::new();
        document::write_one(item, hop, &mut text);
        let items = std::slice::from_ref(item);
        let (mut verdicts, reached) = self.ask(line, text, items).await;
        Attempted {
            verdict: verdicts.pop().unwrap_or(Verdict::Cancelled),
            reached,
        }
    }

    /// One attempt on several records, which get a verdict each.
    pub async fn attempt_batch(
        &self,
        line: &mut Line,
        items: &[Item<'_>],
        hop: Option<&Hop>,
    ) -> (Vec<Verdict>, Option<bool>) {
        let mut text = Vec::new();
        document::write_all(items, hop, &mut text);
        self.ask(line, text, items).await
    }

    async fn ask(
        &self,
        line: &mut Line,
        mut text: Vec<u8>,
        items: &[Item<'_>],
    ) -> (Vec<Verdict>, Option<bool>) {
        let count = items.len();
        text.push(b'\n');
        let all = |verdict: Verdict| vec![verdict; count];
        let most = ANSWER + ANSWER_PER_RECORD * count;
        line.group.killed.set(false);
        let mut process = match self.running(line) {
            Ok(process) => process,
            // No record is to blame for a handler that does not run.
            Err((slow_down, reached)) => return (all(slow_down), reached),
        };
        let place = line.place.as_ref();
        let _entry = place.map(|place| place.enter(records(items).into_iter()));
        let mut answered = exchange(line, &mut process, &text, most).await;
        let mut end = None;
        if let Err(Broken::Ended) = answered {
            let ended = process.end().await;
            if ended.unread && ended.answered && !line.group.killed.get() {
                info!(
                    how = ended.how,
                    "a command of the handler ended after an answer"
                );
                process = match self.start(line) {
                    Ok(process) => process,
                    Err(slow_down) => return (all(slow_down), Some(false)),
                };
                answered = exchange(line, &mut process, &text, most).await;
            } else {
                end = Some(ended);
            }
        }
        let why = match answered {
            Ok(answer) => match results::of(&answer, &records(items)) {
                Ok(verdicts) => {
                    line.failures = 0;
                    line.process = Some(process.having_answered());
                    return (verdicts, Some(true));
                }
                Err(why) => format!(
                    "the command answered with {why}; it must write one line of JSON for each that it reads to its standard output, and nothing else"
                ),
            },
            Err(Broken::Answer(why)) => why,
            Err(Broken::Ended) => {
                let End { how, unread, .. } = match end {
                    Some(end) => end,
                    None => process.end().await,
                };
                if line.group.killed.get() {
                    return (all(Verdict::Cancelled), None);
                }
                self.ended(line, &how);
                if unread {
                    let message = format!("the command ended before it read anything: {how}");
                    return (all(slow_down(None, &message)), Some(false));
                }
                let message = format!("the command ended in the middle of a delivery: {how}");
                let failure = failure(class::PROCESS, None, &message);
                return (all(Verdict::Retry(failure)), None);
            }
        };
        // What it says next would be taken for the answer to something else.
        drop(process);
        let failure = failure(class::UNKNOWN_RESULT, None, &why);
        (all(Verdict::Misconfigured(failure)), Some(true))
    }

    /// The slot's process, started if there is none. One that ended says nothing of whether another
    /// can be started.
    fn running(&self, line: &mut Line) -> Result<Process, (Verdict, Option<bool>)> {
        if let Some(process) = line.process.take() {
            match process.between_deliveries() {
                Ok(process) => return Ok(process),
                Err(how) => self.ended(line, &how),
            }
        }
        let wait = line.not_before.saturating_sub(self.clock.elapsed());
        if !wait.is_zero() {
            let message = "the command ended and is started again in a moment";
            // A shorter one would be no time to the engine, and be made a longer one.
            let wait = wait.max(SHORTEST_WAIT);
            return Err((slow_down(Some(wait), message), None));
        }
        self.start(line)
            .map_err(|slow_down| (slow_down, Some(false)))
    }

    /// A new process for the slot.
    fn start(&self, line: &mut Line) -> Result<Process, Verdict> {
        let mut listeners = self.listeners.borrow_mut();
        while listeners.try_join_next().is_some() {}
        Process::start(&self.command, &mut listeners).map_err(|why| {
            self.put_off(line);
            slow_down(None, &why)
        })
    }

    fn ended(&self, line: &mut Line, how: &str) {
        warn!(how, "a command of the handler ended unasked");
        self.put_off(line);
    }

    fn put_off(&self, line: &mut Line) {
        let doubled = SHORTEST_WAIT.saturating_mul(1 << line.failures.min(16));
        line.failures = line.failures.saturating_add(1);
        line.not_before = self.clock.elapsed() + doubled.min(LONGEST_WAIT);
    }
}

fn records<'a>(items: &'a [Item<'_>]) -> Vec<&'a Record> {
    items.iter().map(|item| item.prepared.record).collect()
}

/// Gives the process its line. Whoever drops this before its end drops the process, and that ends it.
async fn exchange(
    line: &Line,
    process: &mut Process,
    text: &[u8],
    most: usize,
) -> Result<Vec<u8>, Broken> {
    line.group.running.set(Some(process.group()));
    let start = &line.group.start;
    let beginning = process.beginning();
    start.set(match &beginning {
        Some(_) => Start::Since(Instant::now()),
        None => Start::Past,
    });
    let mut watched = pin!(async {
        if let Some(beginning) = beginning {
            beginning.over().await;
            start.set(Start::Over(Instant::now()));
        }
        pending::<()>().await;
    });
    let mut exchange = pin!(process.exchange(text, most));
    let answered = poll_fn(|cx| {
        let _ = watched.as_mut().poll(cx);
        exchange.as_mut().poll(cx)
    });
    let answered = answered.await;
    start.set(Start::Past);
    line.group.running.set(None);
    answered
}

/// No process of the handler runs, and none was tried with the record.
fn slow_down(after: Option<Duration>, message: &str) -> Verdict {
    Verdict::SlowDown {
        after,
        failure: failure(class::START, None, message),
    }
}

impl Line {
    /// To be called while the slot is idle: notices what a process says or does unasked.
    pub fn poll_idle(&mut self, cx: &mut Context<'_>) {
        if let Some(process) = &mut self.process {
            process.poll_idle(cx);
        }
    }

    /// Closes the process' input and gives it a moment to end by itself.
    pub async fn close(&mut self) {
        if let Some(process) = self.process.take()
            && !process.close(GOODBYE).await
        {
            info!("a command did not end with its input and is killed");
        }
    }
}
