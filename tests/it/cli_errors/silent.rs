//! Of API servers that take the connection and say nothing, or stop in the middle.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use super::brokers::silent;
use super::clusters::{OF_CLUSTERS, TELL_OF_CLUSTERS};
use super::{drover, fails, kubeconfig, said};

/// Says how much it will say, and stops in the middle.
fn stops_in_the_middle() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 16 << 10]);
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n";
            let _ = stream.write_all(format!("{head}{{\"kind\":").as_bytes());
            held.push(stream);
        }
    });
    address
}

#[test]
fn an_api_server_that_says_nothing_is_not_waited_for_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let patience = ["--request-timeout", "1s"];
    let late = "the API server did not answer within 1 s";
    for address in [silent().0, stops_in_the_middle()] {
        let kubeconfig = kubeconfig(folder.path(), address);
        std::thread::scope(|scope| {
            for arguments in OF_CLUSTERS.into_iter().chain([&["status", "-w"][..]]) {
                let kubeconfig = &kubeconfig;
                scope.spawn(move || {
                    let mut command = drover(arguments);
                    command.args(patience).env("KUBECONFIG", kubeconfig);
                    let words = ["does not answer; check the kubeconfig and --context", late];
                    fails(&mut command, &words);
                });
            }
            for (arguments, code) in TELL_OF_CLUSTERS {
                let kubeconfig = &kubeconfig;
                scope.spawn(move || {
                    let mut command = drover(arguments);
                    command.args(patience).env("KUBECONFIG", kubeconfig);
                    let output = command.output().unwrap();
                    let (out, error) = said(&output);
                    let what = format!("{arguments:?}: {out}{error}");
                    assert_eq!(output.status.code(), Some(code), "{what}");
                    assert!(out.contains(late), "{what}");
                });
            }
        });
    }
}
