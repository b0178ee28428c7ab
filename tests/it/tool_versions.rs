//! `tests/cluster/tools`: etcd, CoreDNS and Helm are built with the modules that Kubernetes is built with, so that Go
//! compiles what they share once. One version that differs far down has nearly everything compiled again.

use std::collections::BTreeMap;

/// Module to version, replacements done, as a `go.mod` has them.
fn versions(recipe: &str) -> BTreeMap<String, String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/tests/cluster/tools/{recipe}/go.mod");
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut required, mut replaced) = (BTreeMap::new(), BTreeMap::new());
    let mut block = "";
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (directive, words) = match (&*words, block) {
            ([name @ ("require" | "replace" | "tool"), "("], _) => {
                block = name;
                continue;
            }
            ([")"], _) => {
                block = "";
                continue;
            }
            ([name, rest @ ..], "") => (*name, rest),
            (words, block) => (block, words),
        };
        match (directive, words) {
            ("require", [module, version]) => {
                required.insert((*module).to_owned(), (*version).to_owned());
            }
            ("replace", [module, "=>", _, version]) => {
                replaced.insert((*module).to_owned(), (*version).to_owned());
            }
            _ => {}
        }
    }
    let version = |(module, version)| match replaced.remove(&module) {
        Some(instead) => (module, instead),
        None => (module, version),
    };
    required.into_iter().map(version).collect()
}

#[test]
fn what_the_tools_share_with_kubernetes_has_its_versions() {
    let kubernetes = versions("kubernetes");
    assert!(kubernetes.len() > 100, "{kubernetes:?}");
    for recipe in ["coredns", "etcd", "helm"] {
        let shared: Vec<_> = versions(recipe)
            .into_iter()
            .filter_map(|(module, version)| Some((kubernetes.get(&module)?, module, version)))
            .collect();
        assert!(shared.len() > 40, "{recipe}: {shared:?}");
        for (theirs, module, version) in &shared {
            assert_eq!(
                version, *theirs,
                "tests/cluster/tools/{recipe}/go.mod: {module}"
            );
        }
    }
}
