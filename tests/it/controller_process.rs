//! The program itself: it starts from flags, answers its probes, and goes in order.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use crate::support::control_plane::control_plane;
use crate::support::operator::wait_for;

/// Ends with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The status of a page, if anybody answers.
fn page(address: SocketAddr, path: &str) -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).map_err(text)?;
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .map_err(text)?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    answer
        .split(' ')
        .nth(1)
        .map(str::to_owned)
        .ok_or(answer.clone())
}

/// A pod's first address, which its kubelet asks, may be one of IPv6.
#[test]
fn both_programs_answer_at_every_address_unless_told_otherwise() {
    for program in [
        env!("CARGO_BIN_EXE_drover-controller"),
        env!("CARGO_BIN_EXE_drover-worker"),
    ] {
        let output = Command::new(program).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let address = help
            .split("--admin-address")
            .nth(1)
            .and_then(|rest| rest.split("[default: ").nth(1))
            .unwrap_or_default();
        assert!(address.starts_with("[::]:9090]"), "{program}: {help}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_it_at_once_with_the_lease_given_back() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let child = Command::new(env!("CARGO_BIN_EXE_drover-controller"))
        .env("KUBECONFIG", control_plane().kubeconfig())
        .env("POD_NAMESPACE", &namespace)
        .env("DROVER_NAMESPACES", &namespace)
        .env("DROVER_WORKER_IMAGE", "drover.local/worker:1")
        .env("DROVER_ADMIN_ADDRESS", address.to_string())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut process = Process(child);
    wait_for("/readyz to answer 200", async || {
        match page(address, "/readyz") {
            Ok(status) if status == "200" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let leases = Api::<Lease>::namespaced(client, &namespace);
    let holder = async || {
        let lease = leases.get("drover-controller").await.unwrap();
        lease.spec.unwrap().holder_identity.unwrap()
    };
    assert!(holder().await.starts_with("local-"));

    let pid = process.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = wait_for("its end", async || match process_end(&pid) {
        true => Ok(()),
        false => Err("it runs".to_owned()),
    });
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .unwrap();
    assert_eq!(process.0.wait().unwrap().code(), Some(0));
    assert_eq!(holder().await, "");
}

/// It is a zombie that waits for its parent, or not even that.
fn process_end(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}
