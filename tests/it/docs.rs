//! The documents and READMEs: links lead somewhere, YAML is valid, commands are commands, and the site's
//! contents list every page. Needs no mdBook; `make docs` looks at the pages that it makes.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::{Command, CommandFactory as _};
use drover::api::DeadLetterReplay;
use drover::cli::Cli;
use drover::fleet::check_document;
use drover::yaml;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Markdown for readers: of the root, of docs/ and of examples/.
fn documents() -> Vec<(PathBuf, String)> {
    let mut found: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
        .map(PathBuf::from)
        .to_vec();
    let mut folders = vec![PathBuf::from("docs"), PathBuf::from("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        (path, text)
    };
    found.into_iter().map(read).collect()
}

/// Without blocks of code: `[x](y)` there is no link.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return false;
        }
        !fenced && !line.starts_with("    ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Targets of links, also of pictures.
fn links(text: &str) -> Vec<String> {
    let parts = text.split("](").skip(1);
    parts
        .map(|part| part.split(')').next().unwrap().to_owned())
        .collect()
}

/// What headings are reached by, in their order. In code a line that begins with # is none.
fn anchors(text: &str) -> Vec<String> {
    let text = prose(text);
    let headings = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| -> String {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c })
            .collect::<String>()
            .to_lowercase()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_of_it() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in documents() {
        for link in links(&prose(&text)) {
            if link.contains("://") || link.is_empty() {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let target = match file {
                "" => root().join(&path),
                file => root().join(&path).parent().unwrap().join(file),
            };
            if !target.exists() {
                wrong.push(format!("{}: {link}", path.display()));
            } else if !anchor.is_empty()
                && !anchors(&fs::read_to_string(&target).unwrap()).contains(&anchor.to_owned())
            {
                wrong.push(format!("{}: {link}: no such heading", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 100, "only {seen} links were found");
}

#[test]
fn every_page_is_in_the_contents_of_the_site() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<PathBuf> = links(&summary)
        .iter()
        .filter(|link| !link.is_empty())
        .map(|link| root().join("docs").join(link).canonicalize().unwrap())
        .collect();
    for (path, _) in documents() {
        let there = root().join(&path).canonicalize().unwrap();
        let other = ["README.md", "docs/SUMMARY.md"].map(PathBuf::from);
        assert!(
            other.contains(&path) || listed.contains(&there),
            "{} is not in docs/SUMMARY.md",
            path.display()
        );
    }
}

/// A link would lead to the first of them, whichever is meant.
#[test]
fn no_page_has_two_headings_of_one_name() {
    for (path, text) in documents() {
        let mut seen = BTreeSet::new();
        // The changes of each version have the same headings.
        let unique =
            path.ends_with("CHANGELOG.md") || anchors(&text).into_iter().all(|it| seen.insert(it));
        assert!(unique, "{}: {seen:?} and one of them again", path.display());
    }
}

/// Anything else mdBook refuses, or leaves out.
#[test]
fn the_contents_of_the_site_are_written_as_mdbook_reads_them() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let mut pages = BTreeSet::new();
    let mut depth = None;
    for line in summary.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("# ") {
            depth = None;
            continue;
        }
        let item = line.trim_start();
        let indent = line.len() - item.len();
        let link = item.strip_prefix("- ").or(pages.is_empty().then_some(item));
        let link = link.and_then(|link| link.strip_prefix('[')?.strip_suffix(')'));
        let (title, page) = link
            .and_then(|link| link.split_once("]("))
            .unwrap_or_else(|| panic!("{line}"));
        assert!(!title.is_empty() && indent % 2 == 0, "{line}");
        assert!(indent / 2 <= depth.map_or(0, |depth| depth + 1), "{line}");
        assert!(page.is_empty() || pages.insert(page), "twice: {line}");
        depth = Some(indent / 2);
    }
    assert!(pages.len() > 50, "only {} pages", pages.len());
}

/// Lines of prose without the code within them.
fn plain(text: &str) -> Vec<String> {
    let words = |line: &str| line.split('`').step_by(2).collect::<String>();
    prose(text).lines().map(words).collect()
}

/// mdBook takes what looks like a tag for one: it is not seen on the page, and warned of where it does not end.
#[test]
fn what_looks_like_a_tag_is_code() {
    for (path, text) in documents() {
        for line in plain(&text) {
            let tag = line.match_indices('<').any(|(at, _)| {
                let next = line[at + 1..].chars().next();
                next.is_some_and(|next| next.is_ascii_alphabetic() || next == '/')
            });
            assert!(!tag, "{}: {line}", path.display());
        }
    }
}

/// The only form that the tests here and the site's own look into.
#[test]
fn links_are_written_beside_their_words() {
    for (path, text) in documents() {
        for line in plain(&text) {
            let elsewhere = line.contains("][") || (line.starts_with('[') && line.contains("]: "));
            let odd = links(&line).iter().any(|link| link.contains([' ', '<']));
            assert!(!elsewhere && !odd, "{}: {line}", path.display());
        }
    }
}

/// Whole resources in blocks of code, fenced or indented.
fn resources(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        if !bare.starts_with("apiVersion: drover.dev/") {
            continue;
        }
        let indent = line.len() - bare.len();
        let block = lines[at..].iter().take_while(|line| {
            let ends = line.trim_start().starts_with("```") || line.trim() == "---";
            let own = line.is_empty() || line.chars().take(indent).all(|c| c == ' ');
            own && !ends
        });
        let block: Vec<&str> = block.map(|line| line.get(indent..).unwrap_or("")).collect();
        found.push(block.join("\n"));
    }
    found
}

#[test]
fn every_resource_in_the_documents_is_valid() {
    let (mut seen, mut replays) = (0, 0);
    for (path, text) in documents() {
        for resource in resources(&text) {
            let document = yaml::documents(&resource).remove(0).value;
            let document = document.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if document["kind"] == "DeadLetterReplay" {
                let read: DeadLetterReplay = serde_json::from_value(document.clone())
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let known = serde_json::to_value(read).unwrap();
                let unknown = left_out(&document["spec"], &known["spec"]);
                assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
                replays += 1;
            }
            if document["kind"] != "KafkaConsumer" {
                continue;
            }
            let problems = check_document(&document);
            assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} resources were found");
    assert!(replays >= 1, "no DeadLetterReplay was found");
}

/// Fields that are written and were not read.
fn left_out(written: &Value, read: &Value) -> Vec<String> {
    let fields = written.as_object().into_iter().flatten();
    let mut missing = Vec::new();
    for (name, value) in fields {
        match read.get(name) {
            Some(read) => missing.extend(left_out(value, read)),
            None => missing.push(name.clone()),
        }
    }
    missing
}

/// Lines of code that call `drover`, and code within lines that does.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let code = if fenced {
            Some(line)
        } else {
            line.strip_prefix("    ")
        };
        match code {
            Some(code) => {
                let code = code.trim_start().trim_start_matches("$ ");
                // Behind a pipe, in a loop or a condition it is called, too.
                let calls = code.match_indices("drover ").filter(|(at, _)| {
                    *at == 0
                        || ["do ", "| ", "&& "]
                            .iter()
                            .any(|before| code[..*at].ends_with(before))
                });
                found.extend(calls.map(|(at, _)| code[at..].to_owned()));
            }
            None => found.extend(
                line.split('`')
                    .skip(1)
                    .step_by(2)
                    .filter(|code| code.starts_with("drover "))
                    .map(str::to_owned),
            ),
        }
    }
    found
}

/// What the shell would give the program, up to what ends the command; quotes are taken off.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '|' | '<' | '>' | ';' | '&' | '#') => break,
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The subcommand and all flags of a command exist; what it says of them otherwise.
fn unknown(cli: &Command, words: &[String]) -> Option<String> {
    let mut command = cli;
    for word in &words[1..] {
        if let Some(name) = word.strip_prefix("--") {
            let name = name.split('=').next().unwrap();
            let known = command.get_arguments().any(|argument| {
                let all = argument.get_long_and_visible_aliases();
                let hidden = argument.get_all_aliases();
                all.iter().flatten().any(|long| *long == name)
                    || hidden.iter().flatten().any(|long| *long == name)
            });
            if !known && !["help", "version"].contains(&name) {
                return Some(format!("{} has no --{name}", command.get_name()));
            }
        } else if let Some(inner) = command.find_subcommand(word) {
            command = inner;
        } else if command.has_subcommands() {
            let capitals = word.chars().all(|c| c.is_ascii_uppercase());
            let placeholder = capitals || word.starts_with('-') || word.contains('…');
            return (!placeholder).then(|| format!("{} has no {word}", command.get_name()));
        }
    }
    None
}

#[test]
fn every_command_in_the_documents_exists_with_its_flags() {
    let cli = Cli::command();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in documents() {
        for command in commands(&text) {
            seen += 1;
            if let Some(why) = unknown(&cli, &words(&command)) {
                wrong.push(format!("{}: {command}: {why}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 60, "only {seen} commands were found");
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let cli = Cli::command();
    let why = |command: &str| unknown(&cli, &words(command));
    assert_eq!(why("drover status user-events -n shop"), None);
    assert!(why("drover statsu user-events").is_some());
    assert!(why("drover produce --topci x 'a value'").is_some());
    assert!(why("drover dlq sohw orders").is_some());
    assert_eq!(
        why("drover dlq list orders --reason 'a b' | head --lots"),
        None
    );
}

/// The start of a page names what it is; a page without a heading has no title in the site.
#[test]
fn no_merge_is_left_half_done() {
    for (path, text) in documents() {
        let marker = text.lines().find(|line| {
            ["<<<<<<<", ">>>>>>>"]
                .iter()
                .any(|mark| line.starts_with(mark))
        });
        assert_eq!(marker, None, "{}", path.display());
    }
}

#[test]
fn every_document_begins_with_a_heading() {
    for (path, text) in documents() {
        let mut lines = text.lines();
        let first = lines.find(|line| !line.is_empty() && !line.starts_with("<!--"));
        assert!(
            first.is_some_and(|line| line.starts_with("# ")),
            "{}",
            path.display()
        );
    }
}
