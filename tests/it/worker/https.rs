//! A handler behind `https://`, and one that asks who calls.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use drover::worker_config::security::Certificate;
use drover::worker_config::{Handler, HandlerTls, HttpHandler, OnExhausted, WorkerConfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::kafka::Kafka;
use super::outages::{nowhere, wait_for_page};
use super::web::{Reply, Web, ok, status, tally};
use super::workers::{TOPIC, Worker, config, texts};
use crate::support::certificates::Certificates;

const DEAD: &str = "orders.dlq";

/// A server with the certificate `name`, that asks for one of `ca` if told so.
fn server(certificates: &Certificates, name: &str, asks: bool) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let path = |kind: &str| certificates.path(&format!("{name}.{kind}"));
    let chain = CertificateDer::pem_file_iter(path("crt")).unwrap();
    let chain: Vec<_> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(path("key")).unwrap();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if asks {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(certificates.path("ca.crt"));
        roots.add(ca.unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    builder.with_single_cert(chain, key).unwrap()
}

fn http(config: &mut WorkerConfig) -> &mut HttpHandler {
    match &mut config.handler {
        Handler::Http(http) => http,
        Handler::Exec(_) => panic!("an HTTP handler"),
    }
}

/// For a handler at `web` whose certificate is to be one of `ca`.
fn over_tls(kafka: &Kafka, web: &Web, ca: Option<PathBuf>) -> WorkerConfig {
    let mut config = config(kafka, web);
    let http = http(&mut config);
    http.url = web.url().replace("http://", "https://");
    http.tls = ca.map(|ca| HandlerTls {
        ca_file: Some(ca),
        certificate: None,
    });
    config
}

fn shown(certificates: &Certificates, name: &str) -> Option<Certificate> {
    Some(Certificate {
        certificate_file: certificates.path(&format!("{name}.crt")),
        key_file: certificates.path(&format!("{name}.key")),
    })
}

#[test]
fn every_record_is_handled_once_over_tls_small_ones_and_large_ones() {
    let kafka = Kafka::with_topic(TOPIC, 2);
    let certificates = Certificates::make();
    let mut values = texts("v", 100);
    // More than TLS has in one record, and more than a socket takes at once.
    values.extend((0..4).map(|n| format!("large-{n}-{}", "x".repeat(900_000))));
    for partition in 0..2 {
        kafka.produce(TOPIC, partition, &["a", "b", "c"], &values);
    }
    let web = Web::start_with_tls(server(&certificates, "server", false), |_| ok());
    let config = over_tls(&kafka, &web, Some(certificates.path("ca.crt")));
    let worker = Worker::start("pod-1", config);
    for partition in 0..2 {
        kafka.wait_for_commit(TOPIC, partition, 104);
    }
    assert!(worker.stop().is_ok());
    let tally = tally(&web.seen());
    assert_eq!(tally.len(), 104);
    assert!(tally.values().all(|times| *times == 2), "{tally:?}");
}

/// What a worker says that cannot talk to its handler; no record is given up for it.
fn trouble(kafka: &Kafka, config: WorkerConfig, words: &str) {
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 3));
    let admin = nowhere();
    let config = WorkerConfig {
        attempts: 1,
        ..config
    };
    let worker = Worker::start_with_admin("pod-1", config, Some(admin));
    wait_for_page(admin, "/readyz", 503, words);
    assert!(worker.stop().is_ok());
    // At most that nothing is done.
    let committed = kafka.committed(TOPIC, 0).map_or(0, |(offset, _)| offset);
    assert_eq!(committed, 0, "{words}");
}

#[test]
fn a_handler_that_cannot_prove_who_it_is_gets_nothing_and_the_remedy_is_said() {
    let certificates = Certificates::make();
    let ca = || Some(certificates.path("ca.crt"));
    let other = || Some(certificates.path("other.crt"));
    for (name, ca, words) in [
        ("server", other(), "tls.caSecret"),
        ("server", None, "tls.caSecret"),
        ("elsewhere", ca(), "have its certificate mended"),
        ("expired", ca(), "have its certificate mended"),
    ] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        let web = Web::start_with_tls(server(&certificates, name, false), |_| ok());
        trouble(&kafka, over_tls(&kafka, &web, ca), words);
        assert!(web.seen().is_empty(), "{name}");
    }
}

#[test]
fn a_handler_without_tls_behind_https_is_said_to_be_one() {
    let certificates = Certificates::make();
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start(|_| ok());
    let config = over_tls(&kafka, &web, Some(certificates.path("ca.crt")));
    trouble(&kafka, config, "write http://");
}

#[test]
fn a_handler_that_asks_for_a_certificate_is_shown_ours() {
    let certificates = Certificates::make();
    let kafka = Kafka::with_topic(TOPIC, 1);
    let web = Web::start_with_tls(server(&certificates, "server", true), |_| ok());
    let without = over_tls(&kafka, &web, Some(certificates.path("ca.crt")));
    trouble(&kafka, without.clone(), "tls.certSecret");
    assert!(web.seen().is_empty());

    let mut with = without;
    let tls = http(&mut with).tls.as_mut().unwrap();
    tls.certificate = shown(&certificates, "client");
    let worker = Worker::start("pod-1", with);
    kafka.wait_for_commit(TOPIC, 0, 3);
    assert!(worker.stop().is_ok());
    assert_eq!(web.seen().len(), 3);
}

#[test]
fn a_handler_that_asks_for_a_token_gets_it_with_every_request() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("v", 20));
    let web = Web::start(|request| match request.header("authorization") {
        Some("Bearer s3cret") => ok(),
        _ => status(401),
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"Bearer s3cret\n").unwrap();
    let mut config = config(&kafka, &web);
    http(&mut config).authorization_file = Some(file.path().to_owned());
    let worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 20);
    assert!(worker.stop().is_ok());
    assert_eq!(web.seen().len(), 20);
}

#[test]
fn a_handler_that_repeats_the_token_does_not_put_it_into_dead_letters() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 1));
    let web = Web::start(|request| Reply {
        body: format!("nobody is {:?}", request.header("authorization")),
        ..status(401)
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"Bearer s3cret\n").unwrap();
    let mut config = config(&kafka, &web);
    http(&mut config).authorization_file = Some(file.path().to_owned());
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
    let worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 0, 1);
    assert!(worker.stop().is_ok());
    let dead = kafka.read(DEAD, 1).remove(0);
    let error = dead.header("drover-dlq-error");
    let hidden = "401 Unauthorized: nobody is Some(\"Bearer …\")";
    assert_eq!(error, Some(hidden));
}
