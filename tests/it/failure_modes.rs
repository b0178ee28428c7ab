//! `docs/failure-modes.md`, `docs/operations.md` and `docs/security.md` name tests: each exists, and no
//! trap is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The names of all tests in a folder.
fn tests_in(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_in(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.extend(tests_of(&fs::read_to_string(path).unwrap()));
        }
    }
}

/// The names of the functions that stand below a `#[test]`, whatever else stands between.
fn tests_of(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
        let after = line.split_once("fn ").filter(|_| !line.starts_with("//"));
        if let Some((_, name)) = after {
            let name = name.split(['(', '<']).next().unwrap();
            if std::mem::take(&mut is_test) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// Words in backquotes that can only be names of tests.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        word.chars().all(plain) && word.matches('_').count() >= 2
    };
    quoted.filter(is_name).collect()
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests", "examples"] {
        tests_in(&root().join(folder), &mut tests);
    }
    for (file, least) in [
        ("failure-modes.md", 80),
        ("operations.md", 30),
        ("security.md", 15),
    ] {
        let text = document(file);
        let named = named(&text);
        assert!(named.len() > least, "{file}: {}", named.len());
        let dead: Vec<_> = named
            .iter()
            .filter(|name| !tests.contains(**name))
            .collect();
        assert_eq!(dead, Vec::<&&str>::new(), "{file}: no such tests");
    }
}

#[test]
fn every_claim_has_its_test_and_every_trap_its_answer() {
    let text = document("failure-modes.md");
    let (claims, traps) = text.split_once("## Known traps").unwrap();
    let rows = claims
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    for row in rows {
        assert!(!named(row).is_empty(), "without a test: {row}");
    }
    let rows = traps.lines().filter_map(|line| line.strip_prefix("| "));
    let mut numbers = Vec::new();
    for row in rows.skip(1) {
        let number = row.split(' ').next().unwrap();
        numbers.push(number.to_owned());
        let answered = !named(row).is_empty() || row.contains("cannot occur");
        assert!(answered, "neither a test nor a reason: {row}");
    }
    let mut expected: Vec<_> = (1..=53).map(|number: u32| number.to_string()).collect();
    expected.insert(21, "21a".to_owned());
    expected.insert(49, "48a".to_owned());
    assert_eq!(numbers, expected);
}

#[test]
fn a_name_that_is_no_test_is_found_out() {
    let source = "#[test]\nfn one_real_test() {}\nfn a_mere_function() {}\n";
    assert_eq!(tests_of(source), ["one_real_test"]);
    assert_eq!(
        named("`one_real_test`, `make test`, `a_b`, `tests/it`"),
        ["one_real_test"]
    );
}
