//! The controller at a real broker that encrypts and asks who one is, with what Secrets say.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::lag_admin::produce;
use crate::support::consumers::with;
use crate::support::operator::{Operator, wait_for};
use crate::support::secured::{PASSWORD, USER, secured};
use crate::support::token_server::{CLIENT, SECRET, TokenServer};

const CREDENTIALS: &str = "credentials";

async fn write_secret(operator: &Operator, password: &str) {
    write_secret_named(operator, CREDENTIALS, password).await;
}

async fn write_secret_named(operator: &Operator, name: &str, password: &str) {
    let ca = std::fs::read(secured().file("ca.crt")).unwrap();
    let secret = Secret {
        metadata: kube::api::ObjectMeta {
            name: Some(name.to_owned()),
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
    secrets.patch(name, &params, &written).await.unwrap();
}

fn spec(operator: &Operator, topic: &str) -> Value {
    spec_with(operator, topic, CREDENTIALS)
}

fn spec_with(operator: &Operator, topic: &str, credentials: &str) -> Value {
    let kafka = json!({
        "bootstrapServers": secured().servers("LOGIN"),
        "tls": { "caSecret": { "name": credentials, "key": "ca.crt" } },
        "sasl": {
            "mechanism": "ScramSha512",
            "username": USER,
            "passwordSecret": { "name": credentials, "key": "password" },
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
    assert!(written.contains("/etc/drover-secrets/kafka-password"));
    assert!(!written.contains(PASSWORD));
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

/// Of the same Secret, without a word of it in its arguments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_logs_in_as_the_fleet_does() {
    let topic = secured().broker.create_topic("by-hand", 2).await;
    let operator = Operator::start(&[]).await;
    write_secret(&operator, PASSWORD).await;
    operator.create("fleet", spec(&operator, &topic)).await;
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
    let lag = std::process::Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["lag", "fleet", "-n", &operator.namespace])
        .env("KUBECONFIG", operator.cluster().kubeconfig())
        .env_remove("DROVER_BOOTSTRAP")
        .output()
        .unwrap();
    let (said, error) = (
        String::from_utf8_lossy(&lag.stdout),
        String::from_utf8_lossy(&lag.stderr),
    );
    assert!(lag.status.success(), "{}: {said}{error}", lag.status);
    assert!(said.contains("0 records wait"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brokers_certificate_that_has_expired_is_told_in_status_and_by_the_command_line() {
    let topic = secured().broker.create_topic("expired", 1).await;
    let operator = Operator::start(&[]).await;
    write_secret(&operator, PASSWORD).await;
    let kafka = json!({
        "bootstrapServers": secured().servers("EXPIRED"),
        "tls": { "caSecret": { "name": CREDENTIALS, "key": "ca.crt" } },
    });
    let spec = with(operator.spec(&topic), "/kafka", kafka);
    operator.create("fleet", spec).await;
    let words = "has expired at 20";
    wait_for("the date in status", async || {
        let told = operator
            .condition("fleet", "KafkaReachable", "False", "TlsFailed")
            .await;
        match told.message.contains(words) {
            true => Ok(()),
            false => Err(told.message),
        }
    })
    .await;

    let lag = std::process::Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["lag", "fleet", "-n", &operator.namespace])
        .args(["--timeout", "10s"])
        .env("KUBECONFIG", operator.cluster().kubeconfig())
        .env_remove("DROVER_BOOTSTRAP")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&lag.stderr);
    assert!(!lag.status.success());
    assert!(error.contains(words), "{error}");
}

/// A password that works is changed, at Kafka and in the Secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_rolls_the_pods_once_and_the_controller_connects_anew() {
    let (user, old, new) = ("rotated", "their-old-secret", "their-new-secret");
    secured().set_password("SCRAM-SHA-512", user, old).unwrap();
    let topic = secured().broker.create_topic("rotated", 4).await;
    let operator = Operator::start(&[]).await;
    operator.play_kubelet();
    write_secret(&operator, old).await;
    let spec = with(spec(&operator, &topic), "/scaling/minReplicas", json!(1));
    let spec = with(spec, "/kafka/sasl/username", json!(user));
    operator.create("fleet", spec).await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let before = operator.api::<Deployment>().get("fleet").await.unwrap();

    secured().set_password("SCRAM-SHA-512", user, new).unwrap();
    write_secret(&operator, new).await;
    let template = |deployment: &Deployment| deployment.spec.template.metadata.clone();
    operator
        .object("fleet", "new pods", |now: &Deployment| {
            template(now) != template(&before)
        })
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    produce(&secured().broker.servers, &topic, &[0], 3);
    wait_for(
        "news that are read with the new one",
        async || match operator.status("fleet").await.lag {
            Some(3) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
    let after = operator.api::<Deployment>().get("fleet").await.unwrap();
    let generation = |of: &Deployment| of.metadata.generation.unwrap();
    assert_eq!(generation(&after), generation(&before) + 1, "rolled once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_concerns_only_the_fleets_that_have_it() {
    let operator = Operator::start(&[]).await;
    operator.play_kubelet();
    write_secret_named(&operator, "wrong", "guess").await;
    write_secret(&operator, PASSWORD).await;
    let topic = secured().broker.create_topic("neighbours", 4).await;
    for (name, credentials) in [
        ("bad-1", "wrong"),
        ("good-1", CREDENTIALS),
        ("bad-2", "wrong"),
        ("good-2", CREDENTIALS),
    ] {
        let spec = spec_with(&operator, &topic, credentials);
        let spec = with(spec, "/scaling/minReplicas", json!(1));
        operator.create(name, spec).await;
    }
    for name in ["bad-1", "bad-2"] {
        operator
            .condition(name, "KafkaReachable", "False", "AuthenticationFailed")
            .await;
    }
    // While the others are refused again and again.
    for name in ["good-1", "good-2"] {
        operator
            .condition(name, "KafkaReachable", "True", "OffsetsRead")
            .await;
        operator.condition(name, "Ready", "True", "AllReady").await;
        let two = json!({ "scaling": { "minReplicas": 2 } });
        operator.change(name, two).await;
        operator
            .object(name, "two pods", |deployment: &Deployment| {
                deployment.spec.replicas == Some(2)
            })
            .await;
    }
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

/// A spec whose tokens come from `server`.
fn with_tokens(operator: &Operator, topic: &str, server: &TokenServer) -> Value {
    let sasl = json!({
        "mechanism": "OAuthBearer",
        "oauth": {
            "tokenEndpoint": server.url(),
            "clientId": CLIENT,
            "clientSecret": { "name": CREDENTIALS, "key": "password" },
            "scope": "kafka",
        },
    });
    let servers = json!(secured().servers("TOKEN"));
    let spec = with(spec(operator, topic), "/kafka/sasl", sasl);
    let spec = with(spec, "/kafka/bootstrapServers", servers);
    with(spec, "/scaling/minReplicas", json!(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_is_read_with_oauth_tokens_once_the_client_secret_is_right() {
    let topic = secured().broker.create_topic("token-lag", 4).await;
    let server = TokenServer::start(60);
    let mut operator = Operator::prepare(&[]).await;
    operator.token_hosts = vec!["127.0.0.1".to_owned()];
    operator.run().await;
    operator.play_kubelet();
    write_secret(&operator, "guess").await;
    let spec = with_tokens(&operator, &topic, &server);
    operator.create("fleet", spec).await;
    let refused = operator
        .condition("fleet", "KafkaReachable", "False", "AuthenticationFailed")
        .await;
    assert!(
        refused.message.contains("it answers 401: invalid_client")
            && !refused.message.contains("guess"),
        "{}",
        refused.message
    );

    write_secret(&operator, SECRET).await;
    operator
        .condition("fleet", "KafkaReachable", "True", "OffsetsRead")
        .await;
    operator
        .condition("fleet", "Ready", "True", "AllReady")
        .await;
    let deployment = operator.api::<Deployment>().get("fleet").await.unwrap();
    let written = serde_json::to_string(&deployment).unwrap();
    assert!(written.contains("kafka-oauth-client-secret"), "{written}");
    assert!(written.contains("/etc/drover-secrets/kafka-oauth-client-secret"));
    assert!(!written.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_fetched_neither_from_the_controllers_own_pod_nor_beyond_the_hosts_it_may_ask() {
    let topic = secured().broker.create_topic("token-hosts", 4).await;
    for (hosts, words) in [
        (vec![], "names 127.0.0.1, which is the controller's own pod"),
        (
            vec!["login.example.com".to_owned()],
            "fetches tokens only from login.example.com",
        ),
    ] {
        let server = TokenServer::start(60);
        let mut operator = Operator::prepare(&[]).await;
        operator.token_hosts = hosts;
        operator.run().await;
        write_secret(&operator, SECRET).await;
        let spec = with_tokens(&operator, &topic, &server);
        operator.create("fleet", spec).await;
        let refused = operator
            .condition("fleet", "Ready", "False", "KafkaCredentials")
            .await;
        assert!(refused.message.contains(words), "{}", refused.message);
        assert!(server.seen().is_empty());
    }
}
