//! One process of a command, in a group of its own.

use std::cell::Cell;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, select};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::info;

use crate::worker_config::{ENV_CONFIG, ENV_JOURNAL};

/// Bytes of one line of standard error that are logged.
const LOG_LINE: usize = 4096;
/// How long a process that closed its input or output may take to end.
const END: Duration = Duration::from_millis(500);
/// How often a process that has just been started is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A running process. Dropping it kills its group.
pub struct Process {
    child: Child,
    group: Pid,
    /// Open until it is told to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// It wrote to its output, or closed it, while nothing was asked of it.
    spoke: bool,
    /// It has answered before.
    answered: bool,
    /// Bytes of the last line that its input has taken.
    given: Rc<Cell<u64>>,
}

/// Looks whether a process that has just been started has begun with its first line.
pub struct Beginning {
    input: OwnedFd,
    given: Rc<Cell<u64>>,
}

/// Why there is no answer.
pub enum Broken {
    /// It closed its input or output, or ended.
    Ended,
    /// It said what cannot be an answer.
    Answer(String),
}

/// How a process ended that was given a line and did not answer.
pub struct End {
    /// For people.
    pub how: String,
    /// It had read nothing of that line.
    pub unread: bool,
    /// It had answered before.
    pub answered: bool,
}

impl Process {
    /// Starts `command`; what it says on its standard error goes to the log.
    pub fn start(command: &[String], listeners: &mut JoinSet<()>) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("the command is empty")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            // The worker's own affair.
            .env_remove(ENV_CONFIG)
            .env_remove(ENV_JOURNAL)
            .spawn()
            .map_err(|error| format!("start the command {program:?}: {error}"))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(group), (Some(input), Some(output), Some(errors))) =
            (id.and_then(Pid::from_raw), pipes)
        else {
            return Err(format!("start the command {program:?}: it has no pipes"));
        };
        let pid = group.as_raw_pid();
        info!(pid, "a command of the handler is started");
        // It ends with the last process that holds the other end.
        listeners.spawn_local(listen(errors, pid));
        Ok(Self {
            child,
            group,
            input: Some(input),
            output: BufReader::new(output),
            spoke: false,
            answered: false,
            given: Rc::default(),
        })
    }

    /// Its process group.
    pub fn group(&self) -> Pid {
        self.group
    }

    /// Writes `text` and reads one line, of at most `most` bytes, without its end.
    pub async fn exchange(&mut self, text: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
        let Self {
            child,
            input,
            output,
            given,
            ..
        } = self;
        let input = input.as_mut().ok_or(Broken::Ended)?;
        given.set(0);
        let write = std::pin::pin!(async {
            let mut rest = text;
            while !rest.is_empty() {
                let taken = input.write(rest).await?;
                given.set(given.get() + taken as u64);
                rest = &rest[taken..];
            }
            input.flush().await
        });
        let read = std::pin::pin!(line(output, most));
        // Together, so that a command that ends in the middle is noticed.
        let exchanged = std::pin::pin!(async {
            match select(write, read).await {
                Either::Left((Ok(()), read)) => read.await,
                Either::Left((Err(_), _)) => Err(Broken::Ended),
                Either::Right((Ok(_), _)) => Err(Broken::Answer(
                    "the command answered before it had read the whole line".to_owned(),
                )),
                Either::Right((Err(broken), _)) => Err(broken),
            }
        });
        // What it has started may hold its output open long after its own end.
        match select(exchanged, std::pin::pin!(child.wait())).await {
            Either::Left((answer, _)) => answer,
            // What it wrote before that is still to be read.
            Either::Right((_, exchanged)) => {
                timeout(END, exchanged).await.unwrap_or(Err(Broken::Ended))
            }
        }
    }

    /// Of a process that has not answered yet: until it has, it may still be starting.
    pub fn beginning(&self) -> Option<Beginning> {
        let input = self.input.as_ref().filter(|_| !self.answered)?;
        let input = input.as_fd().try_clone_to_owned().ok()?;
        let given = Rc::clone(&self.given);
        Some(Beginning { input, given })
    }

    /// It is still what it was after the last answer: silent and running. Else what it did.
    pub fn between_deliveries(mut self) -> Result<Self, String> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(status.to_string()),
            _ if self.spoke || !self.output.buffer().is_empty() => {
                Err("it wrote to its standard output, or closed it, without being asked".to_owned())
            }
            _ => Ok(self),
        }
    }

    /// The same, which is kept for the next line.
    pub fn having_answered(mut self) -> Self {
        self.answered = true;
        self
    }

    /// To be called while nothing is asked of it.
    pub fn poll_idle(&mut self, cx: &mut Context<'_>) {
        if self.spoke {
            return;
        }
        let mut byte = [0; 1];
        let mut byte = ReadBuf::new(&mut byte);
        let read = std::pin::Pin::new(&mut self.output).poll_read(cx, &mut byte);
        self.spoke = matches!(read, Poll::Ready(_));
    }

    /// How a process that broke off has ended.
    pub async fn end(&mut self) -> End {
        let (how, well) = match timeout(END, self.child.wait()).await {
            Ok(Ok(status)) => (status.to_string(), status.success()),
            Ok(Err(error)) => (format!("wait for it: {error}"), false),
            Err(_) => {
                let how = "it closed its standard input or output, and is killed";
                (how.to_owned(), false)
            }
        };
        // What ends well after an answer has made an end of its work, and has not read on.
        let unread = (well && self.answered) || self.has_read_nothing();
        let answered = self.answered;
        End {
            how,
            unread,
            answered,
        }
    }

    /// All of the last line still lies in the pipe.
    fn has_read_nothing(&self) -> bool {
        let left = self.input.as_ref().map(ioctl_fionread);
        left.is_some_and(|left| left.is_ok_and(|left| left == self.given.get()))
    }

    /// Closes its input and waits for its end; true if it came in time.
    pub async fn close(mut self, patience: Duration) -> bool {
        self.input = None;
        timeout(patience, self.child.wait()).await.is_ok()
    }
}

impl Beginning {
    /// Waits until the process has read something of its line.
    pub async fn over(self) {
        loop {
            sleep(LOOK).await;
            if ioctl_fionread(&self.input).is_ok_and(|left| left < self.given.get()) {
                return;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What it started may outlive it.
        kill(self.group);
    }
}

/// Ends all processes of a group, at once.
pub fn kill(group: Pid) {
    // It may be gone already.
    let _ = kill_process_group(group, Signal::KILL);
}

/// One line without its end.
async fn line(output: &mut BufReader<ChildStdout>, most: usize) -> Result<Vec<u8>, Broken> {
    let mut line = Vec::new();
    loop {
        let chunk = output.fill_buf().await.map_err(|_| Broken::Ended)?;
        if chunk.is_empty() {
            return Err(Broken::Ended);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
        let length = end.map_or(chunk.len(), |end| end + 1);
        output.consume(length);
        if line.len() > most {
            return Err(Broken::Answer(format!(
                "the command answered with a line of more than {most} bytes"
            )));
        }
        if end.is_some() {
            return Ok(line);
        }
    }
}

/// Logs what a process says on its standard error, line by line.
async fn listen(errors: impl AsyncRead + Unpin, pid: i32) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        let Ok(chunk) = errors.fill_buf().await else {
            return;
        };
        let over = chunk.is_empty();
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let text = &chunk[..end.unwrap_or(chunk.len())];
        let room = LOG_LINE.saturating_sub(line.len());
        line.extend_from_slice(&text[..text.len().min(room)]);
        let length = end.map_or(chunk.len(), |end| end + 1);
        errors.consume(length);
        if (over || end.is_some()) && !line.is_empty() {
            info!(target: "handler", pid, "{}", String::from_utf8_lossy(&line));
            line.clear();
        }
        if over {
            return;
        }
    }
}

/// Whether `program` is there, as the system would look for it in `path`.
pub fn find(program: &str, path: &std::ffi::OsStr) -> Result<(), String> {
    let executable = |place: &Path| {
        let found = place.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return match executable(Path::new(program)) {
            true => Ok(()),
            false => Err(format!(
                "the command {program:?} is not there, or not executable"
            )),
        };
    }
    let mut places = std::env::split_paths(path).map(|folder| folder.join(program));
    match places.any(|place| executable(&place)) {
        true => Ok(()),
        false => Err(format!(
            "the command {program:?} is in no folder of PATH; write its whole path"
        )),
    }
}
