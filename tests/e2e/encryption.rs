//! Encrypted records in real pods: keys come as files, an unknown key waits, a changed Secret heals it.

use std::process::Command;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::scenario::{PATIENCE, Scenario, from};
use crate::{kafka, world};

const SALT: &str = "the salt of this end-to-end test";
const NOW: &str = "the key that the application has";
const NEXT: &str = "the key that it will have";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn records_are_decrypted_in_pods_and_one_of_a_new_key_waits_for_the_secret() {
    let _cluster = world::shared().await;
    let scenario = Scenario::begin("enc", 3).await;
    scenario.handler("1ms").await;
    let dead = format!("{}.dlq", scenario.topic);
    kafka::create_topic(&dead, 1)
        .await
        .expect("create the dead-letter topic");
    let secrets = scenario.api::<Secret>();
    let secret = json!({
        "metadata": {"name": "rails-encryption"},
        // What will be the next key is not yet.
        "stringData": {"salt": SALT, "now": NOW, "next": "not yet"},
    });
    secrets
        .create(&PostParams::default(), &from(secret))
        .await
        .expect("create the Secret");
    let mut spec = scenario.spec();
    spec["delivery"] = json!({"concurrency": 4, "deadLetter": {"topic": dead}});
    let key = |key: &str| json!({"name": "rails-encryption", "key": key});
    spec["encryption"] = json!({"activeRecord": {
        "primaryKeySecrets": [key("now"), key("next")],
        "keyDerivationSaltSecret": key("salt"),
    }});
    scenario.apply(spec).await;
    produce(&scenario.topic, NOW, &["--count", "50", "--keys", "10"]);
    scenario.handled(50, PATIENCE).await;
    scenario.committed(PATIENCE).await;

    // The application has its new key first, and one of its records is no message at all.
    let line = r#"{"key":"key-0","seq":6}"#;
    produce(&scenario.topic, NEXT, &["--key", "key-0", line]);
    kafka::produce(&scenario.topic, 1, 7, 7).expect("produce");
    let stalled = scenario.condition("Stalled", "True", PATIENCE).await;
    assert!(stalled.message.contains("UnknownKeyId"), "{stalled:#?}");
    let mended = json!({"stringData": {"next": NEXT}});
    secrets
        .patch(
            "rails-encryption",
            &PatchParams::default(),
            &Patch::Merge(mended),
        )
        .await
        .expect("change the Secret");

    scenario.handled(51, PATIENCE).await;
    scenario.committed(PATIENCE).await;
    scenario.condition("Stalled", "False", PATIENCE).await;
    let letter = kafka::read(&dead, 1)
        .await
        .expect("read the dead letter")
        .remove(0);
    assert_eq!(letter.value.as_deref(), Some(r#"{"key":"key-0","seq":7}"#));
    for (name, value) in [
        ("drover-dlq-reason", "DecryptionFailed"),
        ("drover-dlq-error-class", "NotAMessage"),
    ] {
        let header = letter.headers.iter().find(|(found, _)| found == name);
        let header = header.map(|(_, value)| value.as_str());
        assert_eq!(header, Some(value), "{letter:#?}");
    }
    let stats = scenario.witness.stats().await.expect("stats");
    assert_eq!(
        (stats.handled, stats.handled_twice, stats.out_of_order),
        (51, 0, 0),
        "{stats:#?}"
    );
    scenario.end().await;
}

/// With `drover produce --encrypt`, each message naming its key.
fn produce(topic: &str, key: &str, what: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_drover"))
        .args([
            "produce",
            "--bootstrap",
            &world::bootstrap(),
            "--topic",
            topic,
        ])
        .args(["--encrypt", "--store-key-references"])
        .args(what)
        .env("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY", key)
        .env("ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT", SALT)
        .output()
        .expect("run drover");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}
