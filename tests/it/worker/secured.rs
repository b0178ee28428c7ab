//! Workers at a real broker that encrypts and asks who one is; what is wrong is told apart.

use std::path::PathBuf;

use drover::worker_config::security::{Certificate, Mechanism, Sasl, Security, Tls};
use drover::worker_config::{OnExhausted, WorkerConfig};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset as Position, TopicPartitionList};

use super::kafka::{DEADLINE, Kafka, eventually};
use super::outages::{nowhere, wait_for_page};
use super::web::{Web, ok, status, tally};
use super::workers::{Worker, config, texts};
use crate::support::secured::{PASSWORD, Secured, USER, secured};

/// A topic with three records, one of which no retry helps, and one for dead letters.
pub(super) struct Place {
    pub topic: String,
    dead: String,
}

impl Place {
    pub fn new(name: &str) -> Self {
        let broker = &secured().broker;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let topic = runtime.block_on(broker.create_topic(name, 1));
        let dead = runtime.block_on(broker.create_topic(&format!("{name}-dead"), 1));
        let producer: BaseProducer = in_the_clear().create().unwrap();
        for value in texts("v", 2).iter().map(String::as_str).chain(["bad"]) {
            let record = BaseRecord::to(&topic).key(value).payload(value);
            producer.send(record).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
        Self { topic, dead }
    }

    pub fn config(&self, web: &Web, listener: &str, security: Security) -> WorkerConfig {
        WorkerConfig {
            bootstrap_servers: secured().servers(listener),
            group_id: self.topic.clone(),
            topics: vec![self.topic.clone()],
            dead_letter_topic: Some(self.dead.clone()),
            on_exhausted: OnExhausted::DeadLetter,
            security,
            // The mock only lends its settings.
            ..config(&Kafka::with_topic("unused", 1), web)
        }
    }

    pub fn is_done(&self) -> bool {
        let observer: BaseConsumer = in_the_clear()
            .set("group.id", &self.topic)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        let committed = observer.committed_offsets(list, DEADLINE).unwrap();
        let (_, dead) = observer.fetch_watermarks(&self.dead, 0, DEADLINE).unwrap();
        let element = committed.find_partition(&self.topic, 0).unwrap();
        element.offset() == Position::Offset(3) && dead == 1
    }
}

pub(super) fn in_the_clear() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &secured().broker.servers);
    config
}

pub(super) fn handler() -> Web {
    Web::start(|seen| match seen.text() {
        "bad" => status(400),
        _ => ok(),
    })
}

pub(super) fn tls(authority: &str) -> Tls {
    Tls {
        ca_file: Some(secured().file(authority)),
        certificate: None,
        verify_hostname: true,
    }
}

fn encrypted(tls: Tls) -> Security {
    Security {
        tls: Some(tls),
        ..Security::default()
    }
}

/// A Secret's file, with the line's end that editors add.
pub(super) fn password_file(of: &Secured, password: &str) -> PathBuf {
    let file = of.file(&format!("password-{password}"));
    std::fs::write(&file, format!("{password}\n")).unwrap();
    file
}

fn login(mechanism: Mechanism, password: &str) -> Security {
    Security {
        tls: Some(tls("ca.crt")),
        sasl: Some(Sasl {
            mechanism,
            username: USER.to_owned(),
            password_file: password_file(secured(), password),
        }),
        oauth: None,
    }
}

#[test]
fn records_are_handled_and_dead_lettered_over_every_kind_of_connection() {
    let mutual = Tls {
        certificate: Some(Certificate {
            certificate_file: secured().file("client.crt"),
            key_file: secured().file("client.key"),
        }),
        ..tls("ca.crt")
    };
    let unnamed = Tls {
        verify_hostname: false,
        ..tls("ca.crt")
    };
    let kinds = [
        ("tls", "TLS", encrypted(tls("ca.crt"))),
        ("mutual", "MUTUAL", encrypted(mutual)),
        ("unnamed", "ELSEWHERE", encrypted(unnamed)),
        ("plain", "LOGIN", login(Mechanism::Plain, PASSWORD)),
        (
            "scram-256",
            "LOGIN",
            login(Mechanism::ScramSha256, PASSWORD),
        ),
        (
            "scram-512",
            "LOGIN",
            login(Mechanism::ScramSha512, PASSWORD),
        ),
    ];
    // Side by side: most of it is waiting.
    let running: Vec<_> = kinds
        .into_iter()
        .map(|(name, listener, security)| {
            let (place, web) = (Place::new(name), handler());
            let worker = Worker::in_pod(name, place.config(&web, listener, security));
            (name, place, web, worker)
        })
        .collect();
    for (name, place, web, worker) in running {
        eventually(name, || place.is_done().then_some(()));
        worker.stop().unwrap();
        assert_eq!(tally(&web.seen()).len(), 3, "{name}");
    }
}

#[test]
fn what_keeps_a_worker_out_is_told_apart_and_is_no_reason_to_restart() {
    let with = |name: &str| Tls {
        certificate: Some(Certificate {
            certificate_file: secured().file(&format!("{name}.crt")),
            key_file: secured().file(&format!("{name}.key")),
        }),
        ..tls("ca.crt")
    };
    let wrong = [
        (
            "untrusted",
            "TLS",
            encrypted(tls("other.crt")),
            "of an authority that is not in spec.kafka.tls.caSecret",
        ),
        (
            "misnamed",
            "ELSEWHERE",
            encrypted(tls("ca.crt")),
            "is for elsewhere.example, not for 127.0.0.1",
        ),
        (
            "expired",
            "EXPIRED",
            encrypted(tls("ca.crt")),
            "has expired at ",
        ),
        (
            "certless",
            "MUTUAL",
            encrypted(tls("ca.crt")),
            "asks for a certificate of ours",
        ),
        (
            "stranger",
            "MUTUAL",
            encrypted(with("other")),
            "refuses our certificate",
        ),
        (
            "password",
            "LOGIN",
            login(Mechanism::ScramSha512, "guess"),
            "credentials",
        ),
        (
            "no-login",
            "LOGIN",
            encrypted(tls("ca.crt")),
            "Kafka not reachable",
        ),
    ];
    let running: Vec<_> = wrong
        .into_iter()
        .map(|(name, listener, security, words)| {
            let (place, web, admin) = (Place::new(&format!("no-{name}")), handler(), nowhere());
            let mut config = place.config(&web, listener, security);
            // With one, it is the dead-letter topic that is asked for first.
            config.dead_letter_topic = None;
            config.on_exhausted = OnExhausted::Stall;
            let worker = Worker::in_pod_with_admin(name, config, Some(admin));
            (name, words, web, admin, worker)
        })
        .collect();
    for (name, words, web, admin, worker) in running {
        eventually(name, || super::outages::page(admin, "/readyz"));
        println!("{name}: {:?}", super::outages::page(admin, "/readyz"));
        wait_for_page(admin, "/readyz", 503, words);
        wait_for_page(admin, "/livez", 200, "ok");
        let (_, page) = super::outages::page(admin, "/readyz").unwrap();
        assert!(
            !page.contains(PASSWORD) && !page.contains("guess"),
            "{page}"
        );
        assert!(web.seen().is_empty(), "{name}");
        drop(worker);
    }
}

#[test]
fn a_password_that_cannot_be_read_is_named_by_its_file() {
    let place = Place::new("unreadable");
    let web = handler();
    let mut security = login(Mechanism::Plain, PASSWORD);
    security.sasl.as_mut().unwrap().password_file = secured().file("nothing-here");
    let worker = Worker::in_pod("pod", place.config(&web, "LOGIN", security));
    eventually("the end", || worker.is_over().then_some(()));
    let error = worker.stop().unwrap_err().to_string();
    assert!(error.contains("read the password for Kafka in "), "{error}");
    assert!(error.contains("nothing-here"), "{error}");
}
