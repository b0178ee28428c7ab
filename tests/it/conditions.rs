//! `docs/conditions.md` leaves nothing out: every reason that the source can say has its row, and
//! every row is said somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use drover::api::names;
use drover::api::reasons::conditions::{self, Shared};
use drover::api::reasons::{Reason, decisions, events};
use drover::report::unread;
use regex::Regex;

/// A source file without its tests.
fn source(path: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].to_owned()
}

fn words(reasons: &[Reason]) -> BTreeSet<String> {
    reasons
        .iter()
        .map(|reason| reason.word.to_owned())
        .collect()
}

/// The words in quotes that could be reasons: `CamelCase`, two letters and more.
fn quoted(text: &str) -> BTreeSet<String> {
    let word = Regex::new(r#""([A-Z][A-Za-z]+)""#).unwrap();
    let comment = Regex::new(r"(?m)//.*$").unwrap();
    let text = comment.replace_all(text, "");
    word.captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect()
}

/// The words that the arms of a `match` give, by variant.
fn arms(text: &str) -> BTreeMap<String, String> {
    let arm = Regex::new(r#"(?s)Self::(\w+)[^=]*?=>\s*"([A-Za-z]+)""#).unwrap();
    let found = arm.captures_iter(text);
    found
        .map(|arm| (arm[1].to_owned(), arm[2].to_owned()))
        .collect()
}

/// What stands in the function from its head to the next line that ends one.
fn function<'a>(text: &'a str, head: &str) -> &'a str {
    let from = text.find(head).unwrap_or_else(|| panic!("no {head}"));
    let rest = &text[from..];
    let ends = [rest.find("\n}\n"), rest.find("\n    }\n")];
    // Of a function in an `impl` the nearer end is its own.
    let indented = text[..from].ends_with("    ");
    let end = if indented { ends[1] } else { ends[0] };
    &rest[..end.unwrap_or(rest.len())]
}

/// The function that judges each condition.
const JUDGES: [(&str, &str); 9] = [
    (names::condition::READY, "fn ready("),
    (names::condition::PROGRESSING, "fn progressing("),
    (names::condition::KAFKA_REACHABLE, "fn kafka_reachable("),
    (names::condition::SCALING_ACTIVE, "fn scaling_active("),
    (names::condition::SCALING_LIMITED, "fn scaling_limited("),
    (names::condition::STALLED, "fn stalled("),
    (
        names::condition::DEAD_LETTER_WRITABLE,
        "fn dead_letter_writable(",
    ),
    (names::condition::GROUP_SHARED, "fn group_shared("),
    (names::condition::PAUSED, "fn paused("),
];

/// Reasons that a condition takes from elsewhere, by status.
fn from_elsewhere(condition: &str) -> Vec<(&'static str, BTreeSet<String>)> {
    match condition {
        names::condition::KAFKA_REACHABLE => {
            let text = source("src/kafka/admin/error.rs");
            let labels = arms(function(&text, "pub fn label("));
            // `Later` and `Other` stand behind patterns with more than one variant, or fields.
            let labels = labels.into_values().collect::<BTreeSet<_>>();
            vec![("False", labels)]
        }
        names::condition::SCALING_LIMITED => {
            let text = source("src/scaling/reason.rs");
            let labels = arms(function(&text, "pub fn label("));
            let limits = Regex::new(r"Self::(\w+)").unwrap();
            let limits = limits.captures_iter(function(&text, "pub fn is_limit("));
            vec![(
                "True",
                limits.map(|limit| labels[&limit[1]].clone()).collect(),
            )]
        }
        names::condition::STALLED => {
            let mut all: BTreeSet<_> = unread::ALL.map(str::to_owned).into();
            all.insert("RecordStuck".to_owned());
            vec![("True", all)]
        }
        names::condition::READY => {
            let text = source("src/controller/deleting.rs");
            let reason = Regex::new(r#"const REASON: &str = "(\w+)""#).unwrap();
            let reason = reason.captures(&text).unwrap()[1].to_owned();
            vec![("False", [reason].into())]
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_condition_is_documented_with_what_it_can_say_and_nothing_else() {
    let text = source("src/controller/status/conditions.rs");
    let call = Regex::new(r#"\b(yes|no|unknown)\(\s*"([A-Za-z]+)""#).unwrap();
    let documented: Vec<_> = conditions::ALL
        .iter()
        .map(|condition| condition.type_)
        .collect();
    assert_eq!(documented, names::condition::ALL);
    for condition in conditions::ALL {
        let (_, judge) = JUDGES
            .iter()
            .find(|(type_, _)| *type_ == condition.type_)
            .unwrap();
        let mut said: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for found in call.captures_iter(function(&text, judge)) {
            let status = match &found[1] {
                "yes" => "True",
                "no" => "False",
                _ => "Unknown",
            };
            said.entry(status).or_default().insert(found[2].to_owned());
        }
        for (status, words) in from_elsewhere(condition.type_) {
            said.entry(status).or_default().extend(words);
        }
        let rows: BTreeMap<&str, BTreeSet<String>> = condition
            .reasons
            .iter()
            .map(|(status, reasons)| (*status, words(reasons)))
            .collect();
        assert_eq!(
            said, rows,
            "{}: the source on the left, src/api/reasons on the right",
            condition.type_
        );
        if condition.type_ == names::condition::SCALING_ACTIVE {
            let chosen = names::condition::CHOSEN.map(str::to_owned);
            assert!(said["False"].is_superset(&chosen.into()));
        }
    }
}

#[test]
fn every_problem_of_spec_children_pods_and_dead_letters_is_documented() {
    let mut spec: BTreeSet<_> = names::reason::ALL.map(str::to_owned).into();
    spec.insert("InvalidSpec".to_owned());
    assert_eq!(words(Shared::Spec.reasons()), spec);

    let text = source("src/controller/error.rs");
    let mut children = quoted(function(&text, "pub fn trouble("));
    // The kind of a child, for its remedy.
    assert!(children.remove("ServiceAccount"));
    children.insert("NamespaceTerminating".to_owned());
    assert!(text.contains("\"NamespaceTerminating\""));
    let text = source("src/controller/contest.rs");
    children.extend(quoted(function(&text, "fn trouble(")));
    assert_eq!(words(Shared::Children.reasons()), children);

    let dead_letters = drover::lag::dead_letter_topic::reason::ALL.map(str::to_owned);
    assert_eq!(words(Shared::DeadLetters.reasons()), dead_letters.into());

    let no_reasons = [
        // What is looked for, and waits that belong to every start.
        "PodScheduled",
        "Progressing",
        "Ready",
        "ContainersReady",
        "True",
        "False",
        "ContainerCreating",
        "PodInitializing",
        "Failed",
        "Succeeded",
    ];
    let mut pods = quoted(&source("src/controller/workload.rs"));
    pods.extend(quoted(&source("src/controller/workload/pod.rs")));
    for word in no_reasons {
        assert!(pods.remove(word), "{word} is not there any more");
    }
    let documented = words(Shared::Pods.reasons());
    let missing: Vec<_> = pods.difference(&documented).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

#[test]
fn every_reason_of_a_decision_is_documented() {
    let text = source("src/scaling/reason.rs");
    let labels = arms(function(&text, "pub fn label("));
    assert!(labels.len() > 20);
    assert_eq!(words(decisions::ALL), labels.into_values().collect());
}

#[test]
fn every_event_is_documented() {
    let said = quoted(&source("src/controller/announce.rs"));
    let mut said: BTreeSet<_> = said
        .into_iter()
        .filter(|word| !["True", "False"].contains(&&**word))
        .collect();
    said.insert("Unreadable".to_owned());
    // Written by the command line, since only there somebody is who says it.
    for (file, event) in [
        ("src/cli/skip.rs", "RecordSkipped"),
        ("src/cli/reset.rs", "OffsetsReset"),
    ] {
        let command = source(file);
        assert!(quoted(&command).contains(event), "{command}");
        said.insert(event.to_owned());
    }
    let documented: BTreeSet<_> = events::ALL
        .iter()
        .map(|event| event.word.to_owned())
        .collect();
    assert_eq!(said, documented, "the source on the left");
    // Nobody else announces anything.
    let announcers = ["announce.rs", "malformed.rs", "reconcile.rs"];
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/controller")).unwrap()
    {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && !announcers.contains(&name) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("Announcement"), "{name} announces something");
        }
    }
}

#[test]
fn every_row_says_what_is_so_and_bad_ones_what_to_do() {
    for condition in conditions::ALL {
        for (status, reasons) in condition.reasons {
            for reason in *reasons {
                assert!(reason.meaning.len() > 10, "{reason:?}");
                let bad =
                    condition.good.is_some_and(|good| good != *status) && *status != "Unknown";
                let passes = [
                    "Creating",
                    "Draining",
                    "RollingOut",
                    "PodsNotReady",
                    "Manual",
                    "External",
                    "RecommendOnly",
                ];
                let needs_nobody = passes.contains(&reason.word);
                assert!(
                    !bad || needs_nobody || !reason.remedy.is_empty(),
                    "{} {reason:?}",
                    condition.type_
                );
            }
        }
    }
}

#[test]
fn a_reason_without_a_row_is_found_out() {
    assert_eq!(
        quoted("no(\"NewReason\", \"words\") // \"Comment\""),
        ["NewReason".to_owned()].into()
    );
    let labels =
        arms("Self::Raise { .. } => \"DelayProjected\",\nSelf::A(_) | Self::B => \"Both\",");
    assert_eq!(labels["Raise"], "DelayProjected");
    assert!(labels.values().any(|word| word == "Both"));
    let two = "fn one(\n) {\n    x\n}\nfn two(\n) {\n    y\n}\n";
    assert!(!function(two, "fn one(").contains('y'));
}
