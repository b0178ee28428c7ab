use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::head::Head;
use super::*;

const EXCHANGES: usize = 40;

/// A server that answers so many requests on one connection, each in these writes.
fn server(pieces: &'static [&'static [u8]]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = spawn(move || {
        let (mut answers, _) = listener.accept().unwrap();
        let mut requests = BufReader::new(answers.try_clone().unwrap());
        for _ in 0..EXCHANGES {
            read_request(&mut requests);
            for piece in pieces {
                answers.write_all(piece).unwrap();
            }
        }
    });
    (address, serving)
}

fn read_request(requests: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        requests.read_line(&mut line).unwrap();
    }
    requests.read_exact(&mut [0; 5]).unwrap();
}

fn hello() -> Outgoing {
    Outgoing {
        head: Head::new(),
        body: Bytes::from_static(b"hello"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[allow(clippy::disallowed_methods, reason = "the test's own measure")]
fn exchanges(pieces: &'static [&'static [u8]]) -> Duration {
    let (address, serving) = server(pieces);
    let target = Target::parse(&format!("http://{address}/")).unwrap();
    let runtime = runtime();
    let begin = Instant::now();
    runtime.block_on(async {
        let mut connection = None;
        for _ in 0..EXCHANGES {
            let exchanged = attempt(&target, connection.take(), hello(), 100).await;
            assert!(exchanged.answer.is_ok(), "{:?}", exchanged.answer);
            connection = exchanged.connection;
            assert!(connection.is_some());
        }
    });
    let took = begin.elapsed();
    serving.join().unwrap();
    took
}

/// The server's kernel holds the second piece back until the first is acknowledged, which takes 40 ms if
/// nobody asks for it: 1.6 s in all.
#[test]
fn an_answer_in_two_pieces_is_not_held_back() {
    let whole: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"];
    let pieces: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"o", b"k"];
    // Whichever of three: a busy machine makes either wait.
    let ratios: Vec<f64> = (0..3)
        .map(|_| exchanges(pieces).as_secs_f64() / exchanges(whole).as_secs_f64().max(0.002))
        .collect();
    assert!(ratios.iter().any(|ratio| *ratio < 20.0), "{ratios:?}");
}

/// Two attempts one after the other, at a server that on each connection writes these after one
/// request each, and then closes it; true for an answer.
fn two_attempts(connections: &'static [&'static [&'static str]]) -> [bool; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let serving = spawn(move || {
        for answers in connections {
            let (mut stream, _) = listener.accept().unwrap();
            let mut requests = BufReader::new(stream.try_clone().unwrap());
            for answer in *answers {
                read_request(&mut requests);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    let answered = runtime().block_on(async {
        let first = attempt(&target, None, hello(), 100).await;
        let second = attempt(&target, first.connection, hello(), 100).await;
        [first.answer.is_ok(), second.answer.is_ok()]
    });
    // All of it was asked for.
    serving.join().unwrap();
    answered
}

#[test]
fn a_used_connection_that_is_closed_without_a_word_costs_no_attempt_once() {
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-le";
    // The second request meets the closing, and is sent again.
    assert_eq!(two_attempts(&[&[OK, ""], &[OK]]), [true, true]);
    // Once, however that ends.
    assert_eq!(two_attempts(&[&[OK, ""], &[""]]), [true, false]);
    // Not if an answer had begun, nor if nothing says that it was not the request that did it.
    assert_eq!(two_attempts(&[&[OK, HALF]]), [true, false]);
    assert_eq!(two_attempts(&[&[""], &[OK]]), [false, true]);
}

/// A server answers once, takes a second request and is gone: the class of what that means.
fn gone_with_the_second(in_pod: bool) -> &'static str {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut target = Target::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    target.in_pod = in_pod;
    let serving = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut requests = BufReader::new(stream.try_clone().unwrap());
        read_request(&mut requests);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
        read_request(&mut requests);
    });
    let second = runtime().block_on(async {
        let first = attempt(&target, None, hello(), 100).await;
        attempt(&target, first.connection, hello(), 100).await
    });
    serving.join().unwrap();
    match second.answer {
        Err(Verdict::Retry(failure) | Verdict::SlowDown { failure, .. }) => failure.class,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handler_of_the_pod_that_is_gone_with_a_request_may_have_gone_for_it() {
    assert_eq!(gone_with_the_second(true), class::CONNECTION);
    // Elsewhere it is replaced by another every now and then.
    assert_eq!(gone_with_the_second(false), class::CONNECT);
}

#[test]
fn an_answer_before_the_body_is_read_counts_and_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let serving = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let request = Outgoing {
        head: Head::new(),
        // More than the sockets between them hold.
        body: Bytes::from(vec![b'x'; 32 << 20]),
    };
    let exchanged = runtime().block_on(attempt(&target, None, request, 100));
    serving.join().unwrap();
    assert_eq!(exchanged.answer.unwrap().status, 413);
    assert!(exchanged.connection.is_none());
}
