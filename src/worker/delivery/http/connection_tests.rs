use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
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
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                requests.read_line(&mut line).unwrap();
            }
            requests.read_exact(&mut [0; 5]).unwrap();
            for piece in pieces {
                answers.write_all(piece).unwrap();
            }
        }
    });
    (address, serving)
}

#[allow(clippy::disallowed_methods, reason = "the test's own measure")]
fn exchanges(pieces: &'static [&'static [u8]]) -> Duration {
    let (address, serving) = server(pieces);
    let target = Target::parse(&format!("http://{address}/")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let begin = Instant::now();
    runtime.block_on(async {
        let mut connection = None;
        for _ in 0..EXCHANGES {
            let request = Outgoing {
                head: Head::new(),
                body: Bytes::from_static(b"hello"),
            };
            let exchanged = attempt(&target, connection.take(), request, 100).await;
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
