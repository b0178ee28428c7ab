//! `deploy/sbom`: what is in the binaries is in the list, and nothing that is only needed to build or to test them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_bill_of_materials_lists_what_is_linked() {
    let ran = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/sbom"))
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{errors}");
    let bill: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(
        bill["metadata"]["component"]["version"],
        env!("CARGO_PKG_VERSION")
    );

    let components = bill["components"].as_array().unwrap();
    let text = |component: &Value, field: &str| component[field].as_str().unwrap().to_owned();
    let refs: BTreeSet<String> = components.iter().map(|one| text(one, "bom-ref")).collect();
    assert_eq!(refs.len(), components.len(), "each once");
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    assert!(
        refs.contains(&format!("pkg:generic/librdkafka@{librdkafka}")),
        "{refs:?}"
    );

    let names: BTreeSet<String> = components.iter().map(|one| text(one, "name")).collect();
    for linked in [
        "kube", "rdkafka", "tokio", "openssl", "zlib", "zstd", "glibc", "inter",
    ] {
        assert!(names.contains(linked), "{linked} is missing");
    }
    for other in ["proptest", "insta", "cc", "cmake", "serde_derive"] {
        assert!(!names.contains(other), "{other} is in no binary");
    }
    for component in components {
        let crates = text(component, "purl").starts_with("pkg:cargo/");
        assert_eq!(component["hashes"].is_array(), crates, "{component}");
    }
    for dependency in bill["dependencies"].as_array().unwrap() {
        for needed in dependency["dependsOn"].as_array().unwrap() {
            assert!(
                refs.contains(needed.as_str().unwrap()),
                "{needed} is not listed"
            );
        }
    }
}
