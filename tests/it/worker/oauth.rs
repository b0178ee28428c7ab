//! Workers that log in with OAuth tokens, at a real broker and a server that gives them.

use std::collections::BTreeMap;
use std::time::Duration;

use drover::worker_config::OnExhausted;
use drover::worker_config::security::{Oauth, Security};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::kafka::{DEADLINE, eventually};
use super::outages::{nowhere, page, wait_for_page};
use super::secured::{Place, handler, in_the_clear, password_file, tls};
use super::web::tally;
use super::workers::{Worker, texts};
use crate::support::secured::secured;
use crate::support::token_server::{CLIENT, SECRET, TokenServer};

/// In seconds, shorter than the tests: each client needs several.
const HOLDS_FOR: i64 = 6;

fn token(server: &TokenServer, secret: &str) -> Security {
    Security {
        tls: Some(tls("ca.crt")),
        sasl: None,
        oauth: Some(Oauth {
            token_endpoint: server.url(),
            client_id: CLIENT.to_owned(),
            client_secret_file: password_file(secured(), secret),
            scope: Some("kafka all".to_owned()),
            audience: Some("brokers".to_owned()),
            extensions: BTreeMap::from([("logicalCluster".to_owned(), "lkc-1".to_owned())]),
            ca_file: Some(secured().file("ca.crt")),
            allow_http: false,
        }),
    }
}

fn send(place: &Place, producer: &BaseProducer, value: &str) {
    let record = BaseRecord::to(&place.topic).key(value).payload(value);
    producer.send(record).unwrap();
    producer.poll(Duration::ZERO);
}

#[test]
fn while_tokens_are_renewed_records_are_handled_and_none_is_lost() {
    let server = TokenServer::start_with_tls(HOLDS_FOR, secured());
    let (place, web, admin) = (Place::new("token"), handler(), nowhere());
    let config = place.config(&web, "TOKEN", token(&server, SECRET));
    let worker = Worker::in_pod_with_admin("token", config, Some(admin));
    eventually("the first records", || place.is_done().then_some(()));
    let form = &server.seen()[0].form;
    assert_eq!(
        form,
        "grant_type=client_credentials&scope=kafka+all&audience=brokers"
    );

    // The broker ends connections whose token has expired. Each client has had its third by then.
    let producer: BaseProducer = in_the_clear().create().unwrap();
    let (before, mut sent) = (server.granted(), Vec::new());
    eventually("more tokens", || {
        for value in texts(&format!("late-{}", sent.len()), 10) {
            send(&place, &producer, &value);
            sent.push(value);
        }
        (server.granted() >= before + 6).then_some(())
    });
    producer.flush(DEADLINE).unwrap();
    eventually("the late records", || {
        let handled = tally(&web.seen());
        let all = sent.iter().all(|value| handled.contains_key(value));
        all.then_some(())
    });
    wait_for_page(admin, "/readyz", 200, "ok");
    worker.stop().unwrap();
    assert!(server.seen().iter().all(|asked| asked.granted));
}

#[test]
fn without_new_tokens_a_worker_says_so_and_goes_on_when_there_are_some() {
    let server = TokenServer::start(HOLDS_FOR);
    let (place, web, admin) = (Place::new("no-more-tokens"), handler(), nowhere());
    let mut security = token(&server, SECRET);
    security.oauth.as_mut().unwrap().ca_file = None;
    let config = place.config(&web, "TOKEN", security);
    let worker = Worker::in_pod_with_admin("no-more-tokens", config, Some(admin));
    eventually("the first records", || place.is_done().then_some(()));
    wait_for_page(admin, "/readyz", 200, "ok");

    server.go_away();
    wait_for_page(admin, "/readyz", 503, "Kafka not reachable");
    let words = format!("token endpoint {}: ", server.url());
    wait_for_page(admin, "/readyz", 503, &words);
    wait_for_page(admin, "/livez", 200, "ok");
    let producer: BaseProducer = in_the_clear().create().unwrap();
    send(&place, &producer, "late");
    producer.flush(DEADLINE).unwrap();

    server.come_back();
    eventually("the late record", || {
        tally(&web.seen()).contains_key("late").then_some(())
    });
    wait_for_page(admin, "/readyz", 200, "ok");
    worker.stop().unwrap();
}

#[test]
fn a_wrong_client_secret_is_told_in_the_servers_words_and_never_shown() {
    let server = TokenServer::start_with_tls(60, secured());
    let (place, web, admin) = (Place::new("no-token"), handler(), nowhere());
    let mut config = place.config(&web, "TOKEN", token(&server, "guess-7"));
    config.dead_letter_topic = None;
    config.on_exhausted = OnExhausted::Stall;
    let worker = Worker::in_pod_with_admin("no-token", config, Some(admin));
    let words = format!(
        "token endpoint {}: it answers 401: invalid_client: no client of ours",
        server.url()
    );
    wait_for_page(admin, "/readyz", 503, &words);
    wait_for_page(admin, "/livez", 200, "ok");
    let (_, shown) = page(admin, "/readyz").unwrap();
    assert!(!shown.contains("guess-7"), "{shown}");
    assert!(web.seen().is_empty());
    drop(worker);
}

#[test]
fn a_token_endpoint_of_another_authority_is_not_given_the_secret() {
    let server = TokenServer::start_with_tls(60, secured());
    let (place, web, admin) = (Place::new("other-authority"), handler(), nowhere());
    let mut security = token(&server, SECRET);
    security.oauth.as_mut().unwrap().ca_file = Some(secured().file("other.crt"));
    let config = place.config(&web, "TOKEN", security);
    let worker = Worker::in_pod_with_admin("other-authority", config, Some(admin));
    wait_for_page(admin, "/readyz", 503, "name its authority in caSecret");
    assert!(server.seen().is_empty());
    drop(worker);
}
