//! `kubectl drover`: the command line as a plug-in of a real kubectl, which runs what is called `kubectl-drover`.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::control_plane::{ControlPlane, control_plane};

/// Where kubectl is.
fn kubectl() -> PathBuf {
    let found = Command::new(ControlPlane::script())
        .args(["program", "kubectl"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success(), "{error}");
    String::from_utf8(found.stdout).unwrap().trim().into()
}

/// kubectl with these arguments, where `folder` is the first of `PATH`.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let path = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    Command::new(kubectl())
        .args(arguments)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("KUBECONFIG", control_plane().kubeconfig())
        .env_remove("DROVER_BOOTSTRAP")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn kubectl_runs_the_program_under_its_other_name() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-drover");
    symlink(env!("CARGO_BIN_EXE_drover"), &plugin).unwrap();

    let version = said(&run(folder.path(), &["drover", "version", "--client"]));
    assert_eq!(version, format!("client  {}\n", env!("CARGO_PKG_VERSION")));
    // Of the cluster that kubectl speaks to.
    let status = said(&run(folder.path(), &["drover", "status", "-n", &namespace]));
    assert_eq!(
        status,
        format!("No KafkaConsumers in namespace {namespace}; -A shows all namespaces.\n")
    );
    let missing = run(
        folder.path(),
        &["drover", "status", "orders", "-n", &namespace],
    );
    assert_eq!(missing.status.code(), Some(2));
    let error = String::from_utf8(missing.stderr).unwrap();
    assert!(error.contains("no KafkaConsumer orders"), "{error}");
    let listed = run(folder.path(), &["plugin", "list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(plugin.to_str().unwrap()), "{listed}");
}
