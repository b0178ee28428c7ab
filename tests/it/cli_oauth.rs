//! The command line with OAuth tokens, at a real broker: each kind of client that it opens gets its own.

use std::process::{Command, Stdio};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::support::secured::secured;
use crate::support::token_server::{CLIENT, SECRET, TokenServer};

fn drover(server: &TokenServer, secret: &str, timeout: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drover"));
    command
        .args(arguments)
        .args(["--bootstrap", &secured().servers("TOKEN")])
        .args(["--timeout", timeout, "-o", "json"])
        .env_remove("DROVER_BOOTSTRAP")
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null());
    for property in [
        "security.protocol=sasl_ssl".to_owned(),
        format!("ssl.ca.location={}", secured().certificates.text("ca.crt")),
        "sasl.mechanisms=OAUTHBEARER".to_owned(),
        "sasl.oauthbearer.method=oidc".to_owned(),
        format!("sasl.oauthbearer.token.endpoint.url={}", server.url()),
        format!("sasl.oauthbearer.client.id={CLIENT}"),
        format!("sasl.oauthbearer.client.secret={secret}"),
    ] {
        command.args(["--property", &property]);
    }
    command
}

fn told(server: &TokenServer, arguments: &[&str]) -> Value {
    // The machine may be very busy.
    let mut command = drover(server, SECRET, "90s", arguments);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn records_are_produced_and_dead_letters_read_replayed_and_purged_with_tokens() {
    let server = TokenServer::start(60);
    let topic = secured().broker.create_topic("cli-token", 1).await;
    let made = format!("{topic}-made");
    let create = ["produce", "--topic", &made, "--create", "--partitions", "1"];
    told(&server, &[&create[..], &["hello"]].concat());
    let why = "one for the producer, one to see that there is no such topic, one to create";
    assert_eq!(server.granted(), 3, "{why}");

    let dlq = secured().broker.create_topic("cli-token-dlq", 1).await;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &secured().broker.servers)
        .create()
        .unwrap();
    let headers = [
        ("drover-dlq-topic", topic.as_str()),
        ("drover-dlq-partition", "0"),
        ("drover-dlq-offset", "0"),
        ("drover-dlq-reason", "Rejected"),
    ];
    let headers = headers
        .into_iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            let value = Some(value);
            headers.insert(Header { key, value })
        });
    let letter = BaseRecord::to(&dlq).key("k").payload("v").headers(headers);
    producer.send(letter).unwrap();
    producer.flush(std::time::Duration::from_secs(60)).unwrap();

    let listed = told(&server, &["dlq", "list", "--topic", &dlq]);
    assert_eq!(listed["total"], json!(1), "{listed}");
    let replayed = told(&server, &["dlq", "replay", "--topic", &dlq]);
    assert_eq!(replayed["replayed"], json!(1), "{replayed}");
    let purge = ["dlq", "purge", "--topic", &dlq, "--all", "--yes"];
    told(&server, &purge);
    let listed = told(&server, &["dlq", "list", "--topic", &dlq]);
    assert_eq!(listed["total"], json!(0), "{listed}");
}

#[test]
fn a_wrong_client_secret_is_told_in_one_line() {
    let server = TokenServer::start(60);
    let arguments = ["produce", "--topic", "any", "hello"];
    let output = drover(&server, "guess-7", "10s", &arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{error}");
    assert!(error.contains("it answers 401: invalid_client"), "{error}");
    assert!(!error.contains("guess-7"), "{error}");
}
