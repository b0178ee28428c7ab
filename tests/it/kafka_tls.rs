//! Why there is no encrypted connection to a broker: told apart, and with what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use drover::kafka::admin::{Admin, Error};
use drover::kafka::security::Security;
use drover::worker_config::security::{Certificate, Security as Written, Tls};

use crate::support::operator::wait_for;
use crate::support::secured::secured;

/// For Kafka to answer a question that it will not answer.
const TIMEOUT: Duration = Duration::from_secs(4);

fn with_authority(name: &str) -> Tls {
    Tls {
        ca_file: Some(secured().file(name)),
        certificate: None,
        verify_hostname: true,
    }
}

fn with_certificate(name: &str) -> Tls {
    Tls {
        certificate: Some(Certificate {
            certificate_file: secured().file(&format!("{name}.crt")),
            key_file: secured().file(&format!("{name}.key")),
        }),
        ..with_authority("ca.crt")
    }
}

fn admin(servers: &str, tls: Tls) -> Admin {
    let written = Written {
        tls: Some(tls),
        ..Written::default()
    };
    let security = Security::load(&written, |file| std::fs::read(file)).unwrap();
    Admin::secured(servers, &BTreeMap::new(), &security).unwrap()
}

/// What a client is told in the end; on a busy machine it may take a second question.
async fn told(name: &str, admin: &Admin, words: &str) -> String {
    let topics = BTreeSet::from(["any".to_owned()]);
    let ask = async || match admin.partitions(&topics, TIMEOUT).await {
        Err(error @ Error::Tls(_)) if error.to_string().contains(words) => Ok(error.to_string()),
        other => Err(format!("{other:?}")),
    };
    wait_for(&format!("{name}: {words}"), ask).await
}

/// Something that answers, and is no broker.
fn web_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else {
                return;
            };
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
            }
        }
    });
    address
}

#[tokio::test]
async fn an_expired_certificate_an_unknown_authority_another_name_and_the_rest_are_told_apart() {
    let listener = |name: &str| secured().servers(name);
    let trusted = || with_authority("ca.crt");
    let web = web_server().to_string();
    let cases = [
        (
            "expired",
            listener("EXPIRED"),
            trusted(),
            "has expired at 20",
        ),
        (
            "untrusted",
            listener("TLS"),
            with_authority("other.crt"),
            "of an authority that is not in spec.kafka.tls.caSecret",
        ),
        (
            "not public",
            listener("TLS"),
            Tls {
                ca_file: None,
                ..trusted()
            },
            "of no public authority; name its authority in spec.kafka.tls.caSecret",
        ),
        (
            "misnamed",
            listener("ELSEWHERE"),
            trusted(),
            "is for elsewhere.example, not for 127.0.0.1",
        ),
        (
            "without a certificate",
            listener("MUTUAL"),
            trusted(),
            "name one in spec.kafka.tls.certSecret",
        ),
        (
            "with somebody else's",
            listener("MUTUAL"),
            with_certificate("other"),
            "refuses our certificate",
        ),
        (
            "with one that has expired",
            listener("MUTUAL"),
            with_certificate("expired"),
            "refuses our certificate",
        ),
        (
            "in the clear",
            secured().broker.servers.clone(),
            trusted(),
            "speaks no TLS on this port",
        ),
        ("no Kafka", web, trusted(), "speaks no TLS, nor Kafka"),
    ];
    let asking = cases.map(|(name, servers, tls, words)| async move {
        let said = told(name, &admin(&servers, tls), words).await;
        assert!(said.starts_with("no TLS connection to Kafka: "), "{said}");
        assert!(said.contains(&servers), "{name}: {said}");
        // Not both: what is known, and what it might be.
        assert!(!said.contains("certificate verify failed"), "{said}");
    });
    futures::future::join_all(asking).await;
}

/// With names that are not looked at, what comes before them is told all the same, and they are not.
#[tokio::test]
async fn where_names_do_not_matter_the_date_still_does() {
    let unnamed = || Tls {
        verify_hostname: false,
        ..with_authority("ca.crt")
    };
    let expired = admin(&secured().servers("EXPIRED"), unnamed());
    told("expired", &expired, "has expired at 20").await;
    let topic = secured().broker.create_topic("tls-unnamed", 1).await;
    let elsewhere = admin(&secured().servers("ELSEWHERE"), unnamed());
    let found = elsewhere
        .partitions(&BTreeSet::from([topic.clone()]), Duration::from_secs(60))
        .await;
    assert_eq!(found.unwrap()[&topic], Ok(vec![0]));
}

/// A broker whose way we do not know: OpenSSL's words, and what to look at.
#[tokio::test]
async fn where_no_handshake_can_be_made_openssls_words_stand() {
    let written = Written {
        tls: Some(with_authority("ca.crt")),
        ..Written::default()
    };
    let security = Security::load(&written, |file| std::fs::read(file)).unwrap();
    let theirs = BTreeMap::from([("socket.keepalive.enable".to_owned(), "true".to_owned())]);
    let admin = Admin::secured(&secured().servers("EXPIRED"), &theirs, &security).unwrap();
    let said = told("expired", &admin, "check spec.kafka.tls").await;
    assert!(said.contains("certificate verify failed"), "{said}");
}
