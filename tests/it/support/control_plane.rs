//! One real API server (etcd and kube-apiserver, no nodes) for the whole test process.
//!
//! ```ignore
//! #[tokio::test]
//! async fn something_is_refused() {
//!     let cluster = control_plane();                      // starts at the first call, CRD installed
//!     let client = cluster.client().await;                // of this test's own runtime
//!     let namespace = cluster.namespace(&client).await;   // of this test's own
//!     …
//! }
//! ```
//!
//! `tests/cluster/cluster` brings the programs (it builds them the first time, minutes) and honours
//! KUBEBUILDER_ASSETS. No controllers run: nothing makes pods of a Deployment, counts its replicas
//! or collects what an owner leaves; tests that want it write the Deployment's status themselves.
//!
//! The control plane ends with the process, however that ends: a guard waits at the other end of a
//! pipe that only this process holds.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{conditions, wait::await_condition};
use kube::{Api, Client, Config};

/// A running control plane.
pub struct ControlPlane {
    folder: PathBuf,
    /// Its standard input is the pipe; never read, only held.
    _guard: Child,
}

/// The control plane of this process; the first caller waits until it is up.
///
/// # Panics
///
/// With what the script said, if it cannot be started.
pub fn control_plane() -> &'static ControlPlane {
    static STARTED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    started(STARTED.get_or_init(|| start("drover-it", &[])))
}

/// Another one, in which the controller manager runs: Deployments make pods, which nobody runs, and
/// what an owner leaves is collected.
///
/// # Panics
///
/// With what the script said, if it cannot be started.
pub fn control_plane_with_controllers() -> &'static ControlPlane {
    static STARTED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    started(STARTED.get_or_init(|| start("drover-it-controllers", &["--controllers"])))
}

/// One of the caller's own, without the CRD and without the controller manager; it ends when it is dropped.
///
/// # Panics
///
/// With what the script said, if it cannot be started.
pub fn empty_control_plane(name: &str) -> ControlPlane {
    match bring_up(name, &[]) {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

fn started(outcome: &'static Result<ControlPlane, String>) -> &'static ControlPlane {
    match outcome {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

impl ControlPlane {
    /// The folder with `kubeconfig`, `audit.log` (a JSON line for every write) and the programs'
    /// own logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// The script that made it, for its other verbs (`stop apiserver`, `start apiserver`).
    pub fn script() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/cluster")
    }

    /// An administrator's client. Each test makes its own: a client lives in one runtime.
    pub async fn client(&self) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        Client::try_from(config.unwrap()).unwrap()
    }

    /// A new namespace.
    pub async fn namespace(&self, client: &Client) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        name
    }
}

fn start(name: &str, options: &[&str]) -> Result<ControlPlane, String> {
    let started = bring_up(name, options)?;
    install(&started)?;
    Ok(started)
}

fn bring_up(name: &str, options: &[&str]) -> Result<ControlPlane, String> {
    let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    // First the guard: it ends what a start that is cut off in the middle has begun.
    let guard = guard(&folder)?;
    let output = Command::new(ControlPlane::script())
        .args(["control-plane", "up", "--dir"])
        .arg(&folder)
        .args(options)
        .output()
        .map_err(|error| format!("run {}: {error}", ControlPlane::script().display()))?;
    if !output.status.success() {
        return Err(format!(
            "the control plane did not start: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(ControlPlane {
        folder,
        _guard: guard,
    })
}

/// A process that takes the control plane down when this one is gone. In a group of its own, so
/// that Ctrl-C does not end it before its work is done.
fn guard(folder: &Path) -> Result<Child, String> {
    Command::new("sh")
        .args([
            "-c",
            r#"read -r _; exec "$0" control-plane down --dir "$1" >/dev/null 2>&1"#,
        ])
        .arg(ControlPlane::script())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("start the guard: {error}"))
}

/// Installs the CRDs, in a runtime of its own: callers may be inside of one already.
fn install(started: &ControlPlane) -> Result<(), String> {
    let installed = std::thread::scope(|scope| {
        let installing = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let crds = Api::<CustomResourceDefinition>::all(started.client().await);
                let params = PatchParams::apply("drover-tests").force();
                for crd in [drover::api::crd(), drover::api::replay_crd()] {
                    let name = crd.metadata.name.clone().unwrap_or_default();
                    let applied = crds.patch(&name, &params, &Patch::Apply(crd)).await;
                    applied.map_err(|error| error.to_string())?;
                    let is = conditions::is_crd_established();
                    let established = await_condition(crds.clone(), &name, is);
                    match tokio::time::timeout(Duration::from_secs(30), established).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => return Err(error.to_string()),
                        Err(_) => return Err("it is not established after 30 s".to_owned()),
                    }
                }
                Ok(())
            })
        });
        installing.join().unwrap()
    });
    installed.map_err(|error| format!("install the CRD: {error}"))
}
