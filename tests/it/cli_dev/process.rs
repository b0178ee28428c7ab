//! `drover dev` while it runs: what it has told so far, and how it ends.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::worker::kafka::eventually;

/// A process that does not outlive its test.
pub struct Dev {
    child: Child,
    lines: Arc<Mutex<String>>,
    errors: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Dev {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(arguments, &[])
    }

    pub fn start_in(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = command(arguments);
        let mut child = command.envs(environment.iter().copied()).spawn().unwrap();
        let (lines, read_lines) = reader(child.stdout.take().unwrap());
        let (errors, read_errors) = reader(child.stderr.take().unwrap());
        Self {
            child,
            lines,
            errors,
            readers: vec![read_lines, read_errors],
        }
    }

    /// One whose standard output is read for a line, as by `head -1`.
    pub fn start_read_by_head(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        let (errors, read_errors) = reader(child.stderr.take().unwrap());
        Self {
            child,
            lines: Arc::default(),
            errors,
            readers: vec![read_errors],
        }
    }

    /// Waits for a piece of news of this kind that `fits`, and gives it.
    #[track_caller]
    pub fn wait_for(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(kind, || {
            self.assert_alive();
            self.all(kind, &fits).into_iter().next()
        })
    }

    /// All news of this kind so far that `fits`.
    pub fn all(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let news = whole
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        news.filter(|news| news["event"] == kind && fits(news))
            .collect()
    }

    /// Waits for a line with these words, and gives it.
    #[track_caller]
    pub fn wait_for_line(&mut self, words: &str) -> String {
        eventually(words, || {
            self.assert_alive();
            let lines = self.lines.lock().unwrap();
            let found = lines.lines().find(|line| line.contains(words));
            found.map(str::to_owned)
        })
    }

    #[track_caller]
    fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended with {status}: {}", self.everything());
        }
    }

    /// Ctrl-C: gives the exit code and the summary.
    pub fn interrupt(&mut self) -> (Option<i32>, Value) {
        self.told("-INT")
    }

    /// Its terminal is closed: gives the exit code and the summary.
    pub fn hang_up(&mut self) -> (Option<i32>, Value) {
        self.told("-HUP")
    }

    fn told(&mut self, signal: &str) -> (Option<i32>, Value) {
        self.signal(signal);
        let code = self.ended();
        let summary = self.all("summary", |_| true).into_iter().next();
        (code, summary.unwrap_or_default())
    }

    /// Ctrl-C: gives the exit code and what was told.
    pub fn interrupt_for_people(self) -> (Option<i32>, String, String) {
        self.signal("-INT");
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> (Option<i32>, String, String) {
        let code = self.ended();
        let text = |held: &Mutex<String>| held.lock().unwrap().clone();
        (code, text(&self.lines), text(&self.errors))
    }

    /// All that it has said, in any way.
    pub fn everything(&self) -> String {
        let lines = self.lines.lock().unwrap();
        let errors = self.errors.lock().unwrap();
        format!("{lines}{errors}")
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it ends: its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status.code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    // Whoever runs the tests may have them ignore a terminal that closes, as `nohup` does, and so would a child.
    let mut command = Command::new("env");
    command
        .arg("--default-signal=HUP")
        .arg(env!("CARGO_BIN_EXE_drover"))
        .arg("dev")
        .args(arguments)
        .env("USER", "tester")
        .env_remove("DROVER_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn reader(source: impl Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let held = Arc::new(Mutex::new(String::new()));
    let fills = Arc::clone(&held);
    let thread = std::thread::spawn(move || {
        for line in BufReader::new(source).lines() {
            let line = line.unwrap();
            fills.lock().unwrap().push_str(&format!("{line}\n"));
        }
    });
    (held, thread)
}

/// Runs another command of the program, which must succeed.
pub fn drover(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(arguments)
        .env_remove("DROVER_BOOTSTRAP")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
