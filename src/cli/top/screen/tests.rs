use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::tcgetattr;

use super::*;

/// With this variable the test is the process that it looks at without.
const INSIDE: &str = "DROVER_TEST_PANICS_ON_ITS_SCREEN";
const NAME: &str = "cli::top::screen::tests::a_panic_is_read_on_the_terminal_as_it_was";

#[test]
fn a_panic_is_read_on_the_terminal_as_it_was() {
    if std::env::var_os(INSIDE).is_some() {
        let _screen = Screen::enter().unwrap();
        let other = std::thread::spawn(|| panic!("far from the screen"));
        other.join().unwrap();
    }
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = open(name.as_c_str(), flags, Mode::empty()).unwrap();
    let before = tcgetattr(&slave).unwrap().local_modes;
    let end = || Stdio::from(slave.try_clone().unwrap());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .status()
        .unwrap();
    assert!(!status.success(), "it has panicked");
    assert_eq!(tcgetattr(&slave).unwrap().local_modes, before);
    drop(slave);
    let mut written = Vec::new();
    // Ends with an error, since nobody holds the other end.
    let _ = File::from(master).read_to_end(&mut written);
    let written = String::from_utf8_lossy(&written);
    let at = |words: &str| written.find(words).unwrap_or_else(|| panic!("{written:?}"));
    assert!(at("\x1b[?1049h") < at("\x1b[?1049l"), "{written:?}");
    assert!(at("\x1b[?1049l") < at("far from the screen"), "{written:?}");
}
