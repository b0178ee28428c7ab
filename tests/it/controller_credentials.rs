//! The controller at a real broker that encrypts and asks who one is, with what Secrets say.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::consumers::with;
use crate::support::operator::Operator;
use crate::support::secured::{PASSWORD, USER, secured};

const CREDENTIALS: &str = "credentials";

async fn write_secret(operator: &Operator, password: &str) {
    let ca = std::fs::read(secured().file("ca.crt")).unwrap();
    let secret = Secret {
        metadata: kube::api::ObjectMeta {
            name: Some(CREDENTIALS.to_owned()),
            ..Default::default()
        },
        data: Some(BTreeMap::from([
            ("ca.crt".to_owned(), ByteString(ca)),
            ("password".to_owned(), ByteString(password.into())),
        ])),
        ..Default::default()
    };
    let secrets = operator.api::<Secret>();
    let params = PatchParams::apply("test").force();
    let written = Patch::Apply(&secret);
    secrets.patch(CREDENTIALS, &params, &written).await.unwrap();
}

fn spec(operator: &Operator, topic: &str) -> Value {
    let kafka = json!({
        "bootstrapServers": secured().servers("LOGIN"),
        "tls": { "caSecret": { "name": CREDENTIALS, "key": "ca.crt" } },
        "sasl": {
            "mechanism": "ScramSha512",
            "username": USER,
            "passwordSecret": { "name": CREDENTIALS, "key": "password" },
        },
    });
    with(operator.spec(topic), "/kafka", kafka)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_is_read_with_the_credentials_of_a_secret_and_pods_find_them_as_files() {
    let topic = secured().broker.create_topic("credentials", 4).await;
    let operator = Operator::start(&[]).await;
    operator.play_kubelet();
    write_secret(&operator, PASSWORD).await;
    let spec = with(spec(&operator, &topic), "/scaling/minReplicas", json!(1));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;

    let deployment = operator.api::<Deployment>().get("fleet").await.unwrap();
    let written = serde_json::to_string(&deployment).unwrap();
    for file in ["kafka-ca.crt", "kafka-password"] {
        assert!(written.contains(file), "{written}");
    }
    let configured = operator.api::<ConfigMap>().get("fleet").await.unwrap();
    let configured = serde_json::to_string(&configured).unwrap();
    assert!(configured.contains("/etc/drover-secrets/kafka-password"));
    assert!(!written.contains(PASSWORD) && !configured.contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told_and_a_mended_secret_is_noticed_and_rolls_the_pods() {
    let topic = secured().broker.create_topic("mended", 4).await;
    let operator = Operator::start(&[]).await;
    operator.play_kubelet();
    write_secret(&operator, "guess").await;
    let spec = with(spec(&operator, &topic), "/scaling/minReplicas", json!(1));
    operator.create("fleet", spec).await;
    let refused = operator
        .condition("fleet", "KafkaReachable", "False", "AuthenticationFailed")
        .await;
    assert!(
        refused.message.contains("spec.kafka.sasl") && !refused.message.contains("guess"),
        "{}",
        refused.message
    );
    let before = template_hash(&operator).await;

    write_secret(&operator, PASSWORD).await;
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    assert_ne!(
        template_hash(&operator).await,
        before,
        "the pods are rolled"
    );
}

/// What a pod's template says; none before there is one.
async fn template_hash(operator: &Operator) -> Option<Value> {
    let deployment = operator
        .api::<Deployment>()
        .get_opt("fleet")
        .await
        .unwrap()?;
    let template = deployment.spec.template.metadata?;
    Some(serde_json::to_value(template).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_has_not_signed_is_told_as_such() {
    let topic = secured().broker.create_topic("unsigned", 4).await;
    let operator = Operator::start(&[]).await;
    let other = std::fs::read(secured().file("other.crt")).unwrap();
    let secret = Secret {
        metadata: kube::api::ObjectMeta {
            name: Some("other".to_owned()),
            ..Default::default()
        },
        data: Some(BTreeMap::from([("ca.crt".to_owned(), ByteString(other))])),
        ..Default::default()
    };
    let secrets = operator.api::<Secret>();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    let kafka = json!({
        "bootstrapServers": secured().servers("TLS"),
        "tls": { "caSecret": { "name": "other", "key": "ca.crt" } },
    });
    operator
        .create("fleet", with(operator.spec(&topic), "/kafka", kafka))
        .await;
    let refused = operator
        .condition("fleet", "KafkaReachable", "False", "TlsFailed")
        .await;
    assert!(
        refused.message.contains("spec.kafka.tls"),
        "{}",
        refused.message
    );
}
