//! `tests/twice`: a test that fails beside all the others has one more try, alone, and is named; nothing that
//! stays wrong passes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// What the script makes of a run that says `said` and ends with 101, if each test that is run again does what
/// the shell's words `again` do with its name in `$2`.
fn twice(said: &str, again: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, words: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{words}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let binary = script("binary", again);
    let said = said.replace("BINARY", &binary.display().to_string());
    let first = script("first", &format!("cat <<'END'\n{said}\nEND\nexit 101"));
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twice"))
        .arg(first)
        .output()
        .unwrap()
}

const RUN: &str = "     Running tests/it/main.rs (BINARY)
test one::is_well ... ok
test two::is_hasty ... FAILED
test result: FAILED. 1 passed; 1 failed";

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn what_passes_alone_is_named_and_passes() {
    let output = twice(RUN, "echo \"again: $1 $2\"");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code(&output), Some(0), "{said}");
    assert!(said.contains("again: --exact two::is_hasty"), "{said}");
    assert!(said.contains("PASSED ONLY ALONE: two::is_hasty"), "{said}");
    assert!(!said.contains("again: --exact one"), "{said}");
}

#[test]
fn what_fails_again_has_failed() {
    let output = twice(RUN, "exit 7");
    assert_eq!(code(&output), Some(101));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("PASSED"));
}

#[test]
fn many_that_fail_are_no_accident() {
    let more = "test two::is_hasty ... FAILED\n".repeat(4);
    let output = twice(&format!("     Running x (BINARY)\n{more}"), "exit 0");
    assert_eq!(code(&output), Some(101));
}

#[test]
fn a_run_that_fails_without_a_failed_test_has_failed() {
    let output = twice("error: could not compile `drover`", "exit 0");
    assert_eq!(code(&output), Some(101));
}
