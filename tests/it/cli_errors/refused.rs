//! A broker that is there, and lets nobody in.

use std::time::Duration;

use drover::clock::Monotonic;

use super::{SECRET, drover, fails};
use crate::support::secured::{USER, secured};

/// Far longer than it takes to be refused.
const TIMEOUT: Duration = Duration::from_secs(180);

const OF_KAFKA: [&[&str]; 3] = [
    &["lag", "--group", "g", "--topic", "t"],
    &["dlq", "list", "--topic", "t"],
    &["record", "--topic", "t"],
];

/// Each command fails with these words, and not because the time-out is over.
fn end_early(servers: &str, properties: &[String], words: &[&str]) {
    for arguments in OF_KAFKA {
        let timeout = format!("{}s", TIMEOUT.as_secs());
        let mut command = drover(arguments);
        command.args(["--bootstrap", servers, "--timeout", &timeout]);
        for property in properties {
            command.args(["--property", property]);
        }
        let began = Monotonic::start();
        fails(&mut command, words);
        assert!(began.elapsed() < TIMEOUT / 2, "{command:?}");
    }
}

fn login(protocol: &str) -> Vec<String> {
    let mut properties = vec![
        format!("security.protocol={protocol}"),
        "sasl.mechanism=PLAIN".to_owned(),
        format!("sasl.username={USER}"),
        format!("sasl.password={SECRET}-password"),
    ];
    if protocol.ends_with("SSL") {
        let authority = secured().file("ca.crt");
        properties.push(format!("ssl.ca.location={}", authority.display()));
    }
    properties
}

#[test]
fn a_wrong_password_and_an_expired_certificate_are_told_long_before_the_timeout() {
    end_early(
        &secured().servers("LOGIN"),
        &login("SASL_SSL"),
        &["does not accept our credentials"],
    );
    let authority = secured().file("ca.crt");
    let encrypted = [
        "security.protocol=SSL".to_owned(),
        format!("ssl.ca.location={}", authority.display()),
    ];
    end_early(
        &secured().servers("EXPIRED"),
        &encrypted,
        &["no TLS connection to Kafka"],
    );
}

#[test]
fn a_port_that_wants_no_credentials_is_not_taken_for_one_that_refuses_them() {
    end_early(
        &secured().broker.servers,
        &login("SASL_PLAINTEXT"),
        &[
            "the port wants none",
            "name a port with SASL in spec.kafka.bootstrapServers, or leave spec.kafka.sasl out",
        ],
    );
    end_early(
        &secured().servers("TLS"),
        &login("SASL_SSL"),
        &["the port wants none"],
    );
}
