//! Handlers that never come to an end are cut off, and hold up nobody else.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use drover::report::Report;
use drover::topic::Offset;
use drover::worker_config::Ordering;

use super::kafka::{Kafka, eventually};
use super::web::{Web, ok};
use super::workers::{TOPIC, Worker, config, http, texts};

/// How a handler does not come to an end.
#[derive(Clone, Copy, Debug)]
enum Overrun {
    /// It takes the request and says nothing.
    Silent,
    /// It answers 200 at once, and its body comes byte by byte.
    Trickling,
    /// It answers 200 at once, and sends body for as long as anybody reads.
    Endless,
}

/// A handler that overruns with records of partition 0 and answers all others. Its threads end with
/// their connections, which end with the worker.
fn start(overrun: Overrun) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/records", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream, overrun));
        }
    });
    url
}

fn serve(stream: TcpStream, overrun: Overrun) -> Option<()> {
    let mut answers = stream.try_clone().ok()?;
    let mut requests = BufReader::new(stream);
    loop {
        let (mut length, mut is_first) = (0, false);
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            is_first |= line == "drover-partition: 0";
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        std::io::Read::read_exact(&mut requests, &mut body).ok()?;
        if !is_first {
            answers.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
            continue;
        }
        let begin = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n";
        match overrun {
            Overrun::Silent => {
                // Until the worker hangs up.
                requests.read_line(&mut String::new()).ok()?;
                return None;
            }
            Overrun::Trickling => {
                answers.write_all(begin).ok()?;
                loop {
                    answers.write_all(b"x").ok()?;
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            }
            Overrun::Endless => {
                answers.write_all(begin).ok()?;
                loop {
                    answers.write_all(&[b'x'; 8192]).ok()?;
                }
            }
        }
    }
}

/// Partition 1 is handled while partition 0 overruns; gives the report of partition 0.
fn beside(overrun: Overrun, ordering: Ordering) -> Kafka {
    let kafka = Kafka::with_topic(TOPIC, 2);
    kafka.produce(TOPIC, 0, &["a", "b"], &texts("overruns", 6));
    kafka.produce(TOPIC, 1, &["c", "d"], &texts("goes-on", 40));
    let web = Web::start(|_| ok());
    let mut config = config(&kafka, &web);
    config.handler = http(start(overrun));
    config.handler_timeout = Duration::from_millis(500);
    config.attempts = 2;
    config.ordering = ordering;
    // Fewer than there are records that overrun.
    config.concurrency = 2;
    let worker = Worker::start("pod-1", config);
    kafka.wait_for_commit(TOPIC, 1, 40);
    eventually("a report of the time-out", || {
        let (offset, metadata) = kafka.committed(TOPIC, 0)?;
        let stuck = Report::decode(&metadata, Offset(offset)).ok()?.stuck?;
        (offset == 0 && stuck.error == "Timeout" && stuck.attempts >= 2).then_some(())
    });
    assert!(worker.stop().is_ok());
    kafka
}

#[test]
fn a_handler_that_never_answers_is_cut_off_and_others_go_on() {
    for ordering in [Ordering::Key, Ordering::Partition] {
        beside(Overrun::Silent, ordering);
    }
}

#[test]
fn a_body_that_trickles_is_cut_off_and_others_go_on() {
    beside(Overrun::Trickling, Ordering::Key);
}

#[test]
fn a_body_without_end_is_cut_off_and_others_go_on() {
    beside(Overrun::Endless, Ordering::Key);
}
