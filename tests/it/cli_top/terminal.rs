//! A program in a pseudo-terminal, and what its screen shows.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::worker::kafka::eventually;

/// A terminal with a program in it, which does not outlive it.
pub struct Terminal {
    child: Child,
    /// None when it is closed.
    master: Option<OwnedFd>,
    /// Held, so that its modes can be looked at when the program has gone.
    slave: OwnedFd,
    screen: Arc<Mutex<Screen>>,
    reader: Option<JoinHandle<()>>,
    is_closing: Arc<AtomicBool>,
}

impl Terminal {
    /// `drover` with these arguments, on so many columns and lines.
    pub fn start(arguments: &[&str], kubeconfig: &Path, size: (u16, u16)) -> Self {
        Self::start_with(arguments, kubeconfig, size, &[])
    }

    /// The same with variables of the environment.
    pub fn start_with(
        arguments: &[&str],
        kubeconfig: &Path,
        size: (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(
            name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        set_size(&master, size);
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_drover"))
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(Screen::default()));
        let shown = Arc::clone(&screen);
        let flags = fcntl_getfl(&master).unwrap();
        fcntl_setfl(&master, flags | OFlags::NONBLOCK).unwrap();
        let mut reads = File::from(master.try_clone().unwrap());
        let is_closing = Arc::new(AtomicBool::new(false));
        let closing = Arc::clone(&is_closing);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !closing.load(Ordering::SeqCst) {
                match reads.read(&mut bytes) {
                    Ok(length) => shown.lock().unwrap().take(&bytes[..length]),
                    Err(_) => std::thread::park_timeout(Duration::from_millis(10)),
                }
            }
        });
        Self {
            child,
            master: Some(master),
            slave,
            screen,
            reader: Some(reader),
            is_closing,
        }
    }

    /// Waits until the screen is as it should be, and gives it.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let last = Mutex::new(String::new());
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                let text = self.screen.lock().unwrap().text();
                let found = is(&text).then(|| text.clone());
                *last.lock().unwrap() = text;
                found
            })
        }));
        found.unwrap_or_else(|_| panic!("{what}:\n{}", last.lock().unwrap()))
    }

    pub fn press(&self, keys: &str) {
        let master = self.master.as_ref().unwrap();
        let mut writes = File::from(master.try_clone().unwrap());
        writes.write_all(keys.as_bytes()).unwrap();
    }

    /// As a terminal's window does it, signal included.
    pub fn resize(&self, size: (u16, u16)) {
        set_size(self.master.as_ref().unwrap(), size);
        self.signal("WINCH");
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Closes it, as a window or a connection is closed, while the program runs.
    pub fn close(&mut self) {
        self.is_closing.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.master = None;
    }

    /// Waits until the program does not run, has not ended, and has left the screen.
    pub fn wait_for_stop(&self) {
        let file = format!("/proc/{}/stat", self.child.id());
        eventually("it stops", || {
            let stat = std::fs::read_to_string(&file).unwrap();
            let state = stat.rsplit(") ").next().unwrap();
            (state.starts_with('T') && !self.is_alternate()).then_some(())
        });
    }

    /// Something was drawn in a colour.
    pub fn is_coloured(&self) -> bool {
        self.screen.lock().unwrap().coloured
    }

    /// Whether lines are gathered, keys echoed, and so on.
    pub fn modes(&self) -> LocalModes {
        tcgetattr(&self.slave).unwrap().local_modes
    }

    /// The program has a screen of its own.
    pub fn is_alternate(&self) -> bool {
        self.screen.lock().unwrap().alternate
    }

    /// Waits until the program ends, and all that it wrote is read.
    pub fn ended(&mut self) -> Option<i32> {
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        if self.master.is_some() {
            eventually("its last words", || (!self.is_alternate()).then_some(()));
        }
        status.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.is_closing.store(true, Ordering::SeqCst);
    }
}

fn set_size(terminal: &OwnedFd, (columns, lines): (u16, u16)) {
    let size = Winsize {
        ws_col: columns,
        ws_row: lines,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

/// As much of a terminal as the program uses: places, erasing, text. Of colours only that there was one.
#[derive(Default)]
struct Screen {
    cells: Vec<Vec<char>>,
    line: usize,
    column: usize,
    alternate: bool,
    coloured: bool,
    /// What came and is not whole yet.
    rest: Vec<u8>,
}

impl Screen {
    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text = String::from_utf8(self.rest[..whole].to_vec()).unwrap();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            if c == '\x1b' {
                let Some(length) = self.sequence(&text[at..]) else {
                    break; // its end is to come
                };
                at += length;
                continue;
            }
            self.put(c);
            at += c.len_utf8();
        }
        self.rest.drain(..at);
    }

    /// Obeys the sequence at the beginning of `text`; gives its length, if it is whole.
    fn sequence(&mut self, text: &str) -> Option<usize> {
        let Some(body) = text.strip_prefix("\x1b[") else {
            return (text.len() > 1).then_some(2);
        };
        let end = body.find(|c: char| c.is_ascii_alphabetic())?;
        let (parameters, last) = (&body[..end], body[end..].chars().next()?);
        let number = |index: usize| {
            let number = parameters
                .split(';')
                .nth(index)
                .and_then(|n| n.parse().ok());
            number.unwrap_or(1_usize)
        };
        match last {
            'H' => (self.line, self.column) = (number(0) - 1, number(1) - 1),
            'J' => self.cells.clear(),
            'K' => {
                let (line, column) = (self.line, self.column);
                if let Some(line) = self.cells.get_mut(line) {
                    line.truncate(column);
                }
            }
            'm' => {
                let is_colour = |n: &str| {
                    n.parse()
                        .is_ok_and(|n: u8| matches!(n, 30..=38 | 40..=48 | 90..=107))
                };
                self.coloured |= parameters.split(';').next().is_some_and(is_colour);
            }
            'h' | 'l' if parameters == "?1049" => {
                self.alternate = last == 'h';
                self.cells.clear();
            }
            _ => {}
        }
        Some(2 + end + 1)
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.line += 1,
            c => {
                while self.cells.len() <= self.line {
                    self.cells.push(Vec::new());
                }
                let line = &mut self.cells[self.line];
                while line.len() <= self.column {
                    line.push(' ');
                }
                line[self.column] = c;
                self.column += 1;
            }
        }
    }

    fn text(&self) -> String {
        let lines = self.cells.iter();
        let lines = lines.map(|line| line.iter().collect::<String>().trim_end().to_owned() + "\n");
        lines.collect()
    }
}
