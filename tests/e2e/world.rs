//! The shared cluster: how to reach it, and how to take parts of it away.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Tests that share the cluster hold it for reading; one that takes a part away, for writing.
static CLUSTER: RwLock<()> = RwLock::const_new(());

/// Holds the cluster together with other tests.
pub async fn shared() -> RwLockReadGuard<'static, ()> {
    CLUSTER.read().await
}

/// Holds the cluster alone.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    CLUSTER.write().await
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run these tests by `make test`, which brings the cluster up")
    })
}

/// Brokers as the tests reach them.
pub fn bootstrap() -> String {
    variable("DROVER_BOOTSTRAP")
}

/// Brokers as pods reach them.
pub fn pod_bootstrap() -> String {
    variable("DROVER_POD_BOOTSTRAP")
}

/// This machine, as pods reach it.
pub fn host_address() -> String {
    variable("DROVER_HOST_ADDRESS")
}

/// The cluster's own folder, with its logs.
pub fn folder() -> PathBuf {
    variable("DROVER_CLUSTER_DIR").into()
}

/// A client for the API server named by KUBECONFIG.
pub async fn client() -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    kube::Client::try_default()
        .await
        .expect("KUBECONFIG names the test cluster")
}

/// `tests/cluster/cluster VERB PART`, such as `stop kafka`.
pub fn cluster(verb: &str, part: &str) -> anyhow::Result<()> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/cluster");
    let output = Command::new(program)
        .args([verb, part, "--dir"])
        .arg(folder())
        .output()
        .context(program)?;
    anyhow::ensure!(
        output.status.success(),
        "cluster {verb} {part}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// A program of the cluster's tools, such as `helm`.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/cluster");
    let found = Command::new(tools).args(["program", name]).output()?;
    anyhow::ensure!(
        found.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&found.stderr)
    );
    Ok(String::from_utf8(found.stdout)?.trim().into())
}

/// Takes a part away; it comes back when this is dropped, even if the test fails.
pub struct Outage(&'static str);

impl Outage {
    pub fn begin(part: &'static str) -> Self {
        cluster("stop", part).expect("stop a part of the cluster");
        Self(part)
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        if let Err(error) = cluster("start", self.0) {
            eprintln!("{error:#}");
        }
    }
}

/// A process of a pod, found by its environment; only on a cluster whose node is this machine.
pub fn process_of_pod(pod: &str) -> anyhow::Result<u32> {
    let wanted = format!("POD_NAME={pod}");
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else {
            continue;
        };
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
        {
            return Ok(pid);
        }
    }
    anyhow::bail!("no process of pod {pod} on this machine")
}

/// Resident memory of a process in KiB.
pub fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse().ok())
        .context("VmRSS")
}
