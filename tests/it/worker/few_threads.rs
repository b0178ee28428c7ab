//! A server with fewer threads than the worker has connections: each thread serves the connection that it has taken
//! while that is busy, as Puma's and WEBrick's do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::kafka::{Kafka, eventually};
use super::workers::{TOPIC, Worker, config, http, texts};
use crate::worker::web::{Web, ok};

const THREADS: usize = 2;
const RECORDS: usize = 500;
const EACH: Duration = Duration::from_millis(15);
/// A connection on which nothing comes for so long is left.
const IDLE: Duration = Duration::from_millis(300);

type Seen = Arc<Mutex<Vec<(i64, i64)>>>;

/// Its address, and the offset and the attempt of each request. Its threads end with the process.
fn server() -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let seen = Seen::default();
    for _ in 0..THREADS {
        let (listener, seen) = (listener.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &seen);
            }
        });
    }
    (url, seen)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a thread at work, as the server's are"
)]
fn serve(stream: TcpStream, seen: &Seen) {
    stream.set_read_timeout(Some(IDLE)).unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut offset, mut attempt) = (0, 0, 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("drover-offset", value)) => offset = value.parse().unwrap(),
                Some(("drover-attempt", value)) => attempt = value.parse().unwrap(),
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        std::thread::sleep(EACH);
        seen.lock().unwrap().push((offset, attempt));
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

#[test]
fn each_record_gets_its_turn_before_its_time_is_over() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let keys: Vec<String> = (0..50).map(|number| format!("key-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    kafka.produce(TOPIC, 0, &keys, &texts("v", RECORDS));
    let unused = Web::start(|_| ok());
    let (url, seen) = server();
    let mut config = config(&kafka, &unused);
    config.handler = http(url);
    config.handler_timeout = Duration::from_secs(3);
    config.concurrency = 8;
    let worker = Worker::start("pod-1", config);

    eventually("all records", || {
        (seen.lock().unwrap().len() >= RECORDS).then_some(())
    });
    kafka.wait_for_commit(TOPIC, 0, RECORDS as i64);
    assert!(worker.stop().is_ok());
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    let again: Vec<_> = seen.iter().filter(|(_, attempt)| *attempt != 1).collect();
    assert!(again.is_empty(), "each at its first attempt, but {again:?}");
    assert_eq!(seen.len(), RECORDS);
}
