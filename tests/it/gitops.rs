//! docs/gitops.md: the reasons by which it tells other tools what to wait for are those that `Ready` has.

use std::collections::BTreeSet;

use drover::api::names::{condition, reason};
use drover::api::reasons::conditions::{self, Shared};
use regex::Regex;

const PAGE: &str = include_str!("../../docs/gitops.md");

/// The part of the page between these.
fn between(begin: &str, end: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(begin).unwrap();
    rest.split_once(end).unwrap().0
}

fn words(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    let found = pattern.captures_iter(text);
    found.map(|found| found[1].to_owned()).collect()
}

/// Of a list in CEL.
fn listed(begin: &str) -> BTreeSet<String> {
    let text = between(begin, ")\n");
    let list = text.split_once("c.reason in [").unwrap().1;
    words("'([A-Za-z]+)'", list)
}

#[test]
fn flux_gives_up_for_what_only_another_spec_ends() {
    let spec = Shared::Spec.reasons().iter();
    let lasting: BTreeSet<String> = spec
        // Only files are said to be of another kind.
        .filter(|known| known.word != reason::UNKNOWN_KIND)
        .filter(|known| !known.remedy.contains("by itself"))
        .map(|known| known.word.to_owned())
        .collect();
    assert_eq!(listed("    failed: >-\n"), lasting);
}

#[test]
fn what_the_page_waits_for_can_be_said_by_ready() {
    let ready = conditions::ALL.iter();
    let ready = ready.filter(|known| known.type_ == condition::READY);
    let ready = ready.flat_map(|known| known.reasons.iter());
    let bad: BTreeSet<String> = ready
        .filter(|(status, _)| *status == "False")
        .flat_map(|(_, reasons)| reasons.iter())
        .map(|known| known.word.to_owned())
        .collect();
    let current = listed("    current: status.conditions.exists(c, c.type == 'Ready' && ");
    let moves = words(r"(\w+) = true", between("local moves = {", "}"));
    assert!(
        current.len() == 2 && moves.len() == 5,
        "{current:?} {moves:?}"
    );
    assert!(bad.is_superset(&current), "{current:?}");
    assert!(bad.is_superset(&moves), "{moves:?}");
}
