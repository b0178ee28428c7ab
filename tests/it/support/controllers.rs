//! Controllers as processes of their own, which can be killed, frozen and cut off, and what the API
//! server's audit log says of each.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::audit::AuditLog;
use super::control_plane::ControlPlane;
use super::line::Line;
use super::operator::CONTROLLER;

/// A controller that ends with the test, however that ends.
pub struct ControllerProcess {
    pub identity: String,
    pub line: Line,
    address: SocketAddr,
    child: Child,
    /// With its kubeconfig.
    _folder: tempfile::TempDir,
}

impl Drop for ControllerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ControllerProcess {
    /// Starts one for `namespace`, with the rights that the manifests give it there.
    pub async fn start(
        cluster: &ControlPlane,
        namespace: &str,
        identity: &str,
        lease_seconds: u64,
    ) -> Self {
        Self::start_keeping(cluster, namespace, identity, lease_seconds, None).await
    }

    /// One that keeps in a folder which brokers it asks.
    pub async fn start_keeping(
        cluster: &ControlPlane,
        namespace: &str,
        identity: &str,
        lease_seconds: u64,
        state: Option<&Path>,
    ) -> Self {
        let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
        let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
        let place = &mut kubeconfig["clusters"][0]["cluster"]["server"];
        let server = place.as_str().unwrap().trim_start_matches("https://");
        let line = Line::to(server.parse().unwrap()).await;
        *place = format!("https://{}", line.address).into();
        let user = &mut kubeconfig["users"][0]["user"];
        user["as"] = CONTROLLER.into();
        // Rights go by the user; by the group the audit log tells one from the other.
        user["as-groups"] = vec![identity].into();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig.to_string()).unwrap();

        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(env!("CARGO_BIN_EXE_drover-controller"))
            .env("KUBECONFIG", file)
            .env("POD_NAMESPACE", namespace)
            .env("POD_NAME", identity)
            .env("DROVER_NAMESPACES", namespace)
            .env("DROVER_LEASE_SECONDS", lease_seconds.to_string())
            .env("DROVER_WORKER_IMAGE", "drover.local/worker:1")
            .env("DROVER_ADMIN_ADDRESS", address.to_string())
            .envs(state.map(|folder| ("DROVER_STATE_DIR", folder)))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            identity: identity.to_owned(),
            line,
            address,
            child,
            _folder: folder,
        }
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    /// A page of its admin port, if it answers 200.
    pub async fn page(&self, path: &str) -> Result<String, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(self.address).await.map_err(text)?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(text)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(text)?;
        if answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200") {
            Ok(answer)
        } else {
            Err(answer)
        }
    }

    /// Whether it says of itself that it leads.
    pub async fn leads(&self) -> Result<bool, String> {
        let metrics = self.page("/metrics").await?;
        let mut lines = metrics.lines();
        let leads = lines.find_map(|line| line.strip_prefix("drover_controller_leader "));
        Ok(leads == Some("1"))
    }
}

/// A write that reached the API server.
#[derive(Clone, Debug)]
pub struct Write {
    /// Which controller.
    pub by: String,
    pub what: String,
    /// To the Lease.
    pub is_lease: bool,
    pub succeeded: bool,
    /// On the API server's clock.
    pub received: Timestamp,
    pub answered: Timestamp,
}

/// Every write of the controllers `identities`, in the order in which they were answered.
pub fn history(audit: &AuditLog, identities: &[&str]) -> Vec<Write> {
    let entries = audit.entries();
    let mut writes: Vec<Write> = entries
        .iter()
        .filter_map(|event| {
            let groups = event["impersonatedUser"]["groups"].as_array()?;
            let by = groups
                .iter()
                .filter_map(Value::as_str)
                .find(|group| identities.contains(group))?;
            let text = |pointer: &str| {
                event
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let time = |pointer| text(pointer).parse().unwrap();
            Some(Write {
                by: by.to_owned(),
                what: format!(
                    "{} {}/{} {}",
                    text("/verb"),
                    text("/objectRef/resource"),
                    text("/objectRef/subresource"),
                    text("/objectRef/name"),
                ),
                is_lease: text("/objectRef/resource") == "leases",
                succeeded: event["responseStatus"]["code"]
                    .as_u64()
                    .is_some_and(|code| code < 300),
                received: time("/requestReceivedTimestamp"),
                answered: time("/stageTimestamp"),
            })
        })
        .collect();
    writes.sort_by_key(|write| write.answered);
    writes
}

/// Whatever was written but the Lease was written by whom the Lease had been given to, and before
/// anybody else asked for it.
///
/// # Errors
/// The first write that was not.
pub fn one_at_a_time(history: &[Write]) -> Result<(), String> {
    let leases = history
        .iter()
        .filter(|write| write.is_lease && write.succeeded);
    for act in history.iter().filter(|write| !write.is_lease) {
        let holder = leases
            .clone()
            .take_while(|lease| lease.answered <= act.received)
            .last();
        if holder.is_none_or(|holder| holder.by != act.by) {
            return Err(format!(
                "{}: {act:?}, while the Lease was held by {holder:?}",
                act.what
            ));
        }
        let next = leases
            .clone()
            .find(|lease| lease.received >= act.received && lease.by != act.by);
        if let Some(next) = next
            && next.received < act.answered
        {
            return Err(format!(
                "{act:?} was under way when the Lease was given away: {next:?}"
            ));
        }
    }
    Ok(())
}
