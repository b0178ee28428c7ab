//! TLS to the stores: the server's certificate and name are checked.

use std::path::Path;

use drover::idempotency::Claimed;
use drover::worker_config::StoreKind;

use super::servers::{give_to_postgres, postgres, postgres_store, redis, redis_store};
use super::{Runtime, claim, holder, open};
use crate::support::certificates::Certificates;

fn with_ca(mut kind: StoreKind, ca: &Path) -> StoreKind {
    match &mut kind {
        StoreKind::Redis(to) => to.ca_file = Some(ca.to_owned()),
        StoreKind::Postgres(to) => to.ca_file = Some(ca.to_owned()),
        StoreKind::Memory { .. } => {}
    }
    kind
}

fn only_a_server_of_that_ca_is_spoken_to(kind: &StoreKind, certificates: &Certificates) {
    Runtime::new().block_on(async {
        let store = open(&with_ca(kind.clone(), &certificates.path("ca.crt")));
        assert_eq!(claim(&store, "key", &holder("a", 1)).await, Claimed::Ours);

        let store = open(&with_ca(kind.clone(), &certificates.path("other.crt")));
        let error = store.claim("key", &holder("a", 1)).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    });
}

#[test]
fn redis_by_tls() {
    let certificates = Certificates::make();
    let (crt, key, ca) = (
        certificates.text("server.crt"),
        certificates.text("server.key"),
        certificates.text("ca.crt"),
    );
    let server = redis(&[
        "--tls-cert-file",
        &crt,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ]);
    only_a_server_of_that_ca_is_spoken_to(&redis_store(&server), &certificates);
}

#[test]
fn postgres_by_tls() {
    let certificates = Certificates::make();
    give_to_postgres(&certificates.path("server.key"));
    let (crt, key) = (
        format!("ssl_cert_file={}", certificates.text("server.crt")),
        format!("ssl_key_file={}", certificates.text("server.key")),
    );
    let server = postgres(&["ssl=on", &crt, &key]);
    only_a_server_of_that_ca_is_spoken_to(&postgres_store(&server), &certificates);
}
