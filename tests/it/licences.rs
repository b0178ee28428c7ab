//! Every crate that is built has a licence that `deny.toml` allows. `make deny` looks at more, where cargo-deny is installed.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const DENY: &str = include_str!("../../deny.toml");

/// The texts in the list `allow`.
fn allowed() -> BTreeSet<&'static str> {
    let (_, list) = DENY.split_once("allow = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether an SPDX expression, without brackets within brackets, is met; a slash is an old OR.
fn meets(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    expression.split(" AND ").all(|all| {
        let mut any = all.split(" OR ");
        any.any(|one| allowed.contains(one.trim()))
    })
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let target = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output();
    let target = String::from_utf8(target.unwrap().stdout).unwrap();
    let described = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", target.trim()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&described.stderr);
    assert!(described.status.success(), "{errors}");
    let described: Value = serde_json::from_slice(&described.stdout).unwrap();
    let packages = described["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{}", packages.len());
    let allowed = allowed();
    let wrong = packages.iter().filter(|package| {
        let licence = package["license"].as_str();
        !licence.is_some_and(|licence| meets(licence, &allowed))
    });
    let wrong: Vec<String> = wrong
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "look at each, and add its licence to deny.toml or take another crate:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn one_of_several_is_enough_and_all_of_all_are_needed() {
    let allowed = BTreeSet::from(["MIT", "Zlib"]);
    assert!(meets("MIT OR GPL-3.0", &allowed));
    assert!(meets("Apache-2.0/MIT", &allowed));
    assert!(meets("(MIT OR Apache-2.0) AND Zlib", &allowed));
    assert!(!meets("MIT AND GPL-3.0", &allowed));
    assert!(!meets("", &allowed));
}
