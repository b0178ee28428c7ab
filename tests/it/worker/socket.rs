//! A handler on a Unix socket.

use drover::worker_config::Handler;

use super::kafka::Kafka;
use super::outages::{nowhere, wait_for_page};
use super::web::{Web, ok, tally};
use super::workers::{TOPIC, Worker, config, texts};

#[test]
fn a_handler_on_a_socket_is_waited_for_and_gets_every_record() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("v", 60));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    let Handler::Http(handler) = &mut config.handler else {
        panic!("an HTTP handler");
    };
    handler.url = "http://localhost/records".to_owned();
    handler.socket = Some(path.to_str().unwrap().to_owned());
    handler.in_pod = true;
    config.attempts = 1;
    let admin = nowhere();
    let worker = Worker::start_with_admin("pod-1", config, Some(admin));
    wait_for_page(admin, "/readyz", 503, "http.sock");
    let on_socket = Web::start_at_socket(&path, |_| ok());
    kafka.wait_for_commit(TOPIC, 0, 60);
    wait_for_page(admin, "/readyz", 200, "ok");
    assert!(worker.stop().is_ok());
    assert!(web.seen().is_empty());
    let seen = on_socket.seen();
    assert!(
        seen.iter()
            .all(|request| request.header("host") == Some("localhost"))
    );
    let tally = tally(&seen);
    assert_eq!(tally.len(), 60);
    assert!(tally.values().all(|times| *times == 1));
}
