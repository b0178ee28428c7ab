//! `tests/twice`: a test that fails beside all the others has one more try, alone, and is named; nothing that
//! stays wrong passes, and nothing passes so twice in a week. `tests/summary`: what a run did not show is its last
//! words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// What the script makes of a run that says `said` and ends with 101, if each test that is run again does what
/// the shell's words `again` do with its name in `$2`.
fn twice(said: &str, again: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    twice_in(folder.path(), said, again)
}

/// The same, with what is kept of it in this folder.
fn twice_in(folder: &Path, said: &str, again: &str) -> Output {
    let script = |name: &str, words: &str| {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{words}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let binary = script("binary", again);
    let said = said.replace("BINARY", &binary.display().to_string());
    let first = script("first", &format!("cat <<'END'\n{said}\nEND\nexit 101"));
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twice"))
        .arg(first)
        // This may run under them itself.
        .env("DROVER_TEST_NOTES", folder.join("notes"))
        .env("DROVER_TEST_HISTORY", folder.join("kept/history"))
        .output()
        .unwrap()
}

fn summary(notes: &str, all: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    fs::write(&path, notes).unwrap();
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/summary"))
        .arg(path)
        .env("DROVER_TEST_ALL", all)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
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

#[test]
fn what_needs_a_second_try_twice_in_a_week_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let run = || twice_in(folder.path(), RUN, "exit 0");
    assert_eq!(code(&run()), Some(0));
    let notes = || fs::read_to_string(folder.path().join("notes")).unwrap();
    assert!(
        notes().starts_with("PASSED ONLY ALONE: two::is_hasty"),
        "{}",
        notes()
    );
    let again = run();
    assert_eq!(code(&again), Some(101), "{}", said(&again));
    assert!(
        said(&again).contains("twice in a week is no accident"),
        "{}",
        said(&again)
    );
    assert_eq!(notes().lines().count(), 2, "{}", notes());
    // What was more than a week ago was another machine's day.
    let history = folder.path().join("kept/history");
    fs::write(&history, "1000000000 two::is_hasty\n").unwrap();
    assert_eq!(code(&run()), Some(0));
    // Another test's is another's.
    let now = fs::read_to_string(&history).unwrap();
    fs::write(&history, now.replace("is_hasty", "is_hasty_too")).unwrap();
    assert_eq!(code(&run()), Some(0));
}

#[test]
fn a_run_that_shows_all_says_so() {
    let output = summary("", "1");
    assert_eq!(code(&output), Some(0));
    assert!(
        said(&output).starts_with("No test was left out"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_was_left_out_is_named_and_fails_where_all_is_wanted() {
    let notes = "NOT RUN: 5 tests of the examples; why\n";
    for (all, ended) in [("", 0), ("0", 0), ("1", 1)] {
        let output = summary(notes, all);
        assert_eq!(code(&output), Some(ended), "{all}: {}", said(&output));
        assert!(said(&output).contains("NOT RUN: 5 tests of the examples; why"));
    }
}

#[test]
fn what_passed_only_alone_is_named_and_more_than_three_fail() {
    let notes = |count| "PASSED ONLY ALONE: two::is_hasty; see above\n".repeat(count);
    for (count, ended) in [(1, 0), (3, 0), (4, 1)] {
        let output = summary(&notes(count), "1");
        assert_eq!(code(&output), Some(ended), "{count}: {}", said(&output));
        assert!(said(&output).contains("PASSED ONLY ALONE: two::is_hasty"));
    }
}
