//! The examples with a folder each: what their READMEs say is done, command by command, with images of
//! their own Dockerfiles (`cluster image folders`), and what they show is waited for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::postgres::Postgres;
use crate::scenario::PATIENCE;
use crate::{wait, world};

/// A command of a README, and the lines that it shows beneath.
#[derive(Debug, Default, PartialEq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_command_in_python_handles_records() {
    follow("python").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_server_in_node_handles_cloud_events() {
    follow("node").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn a_handler_without_keys_gets_encrypted_records() {
    follow("encrypted").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn rails_produces_handles_and_consumes() {
    follow("rails").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster with Drover: make test"]
async fn messages_that_come_twice_are_handled_once_with_postgresql() {
    let password = "an-example-and-no-password-to-use"; // fleet.yaml's
    let postgres = Postgres::start(&world::host_address(), password).await;
    let example = Example::begin("idempotent").await;
    example.has_postgres(postgres.port).await;
    example.follow().await;
}

async fn follow(name: &str) {
    Example::begin(name).await.follow().await;
}

struct Example {
    name: String,
    namespace: String,
    client: kube::Client,
    _cluster: tokio::sync::RwLockReadGuard<'static, ()>,
}

impl Example {
    async fn begin(name: &str) -> Self {
        static IMAGES: OnceCell<()> = OnceCell::const_new();
        let cluster = world::shared().await;
        IMAGES.get_or_init(|| async { load_images() }).await;
        Self {
            name: name.to_owned(),
            namespace: format!("example-{name}"),
            client: world::client().await,
            _cluster: cluster,
        }
    }

    async fn follow(&self) {
        let readme = root().join("examples").join(&self.name).join("README.md");
        let steps = steps(&fs::read_to_string(&readme).expect("the README"));
        assert!(steps.iter().any(|step| !step.shown.is_empty()));
        for step in &steps {
            if step.command.starts_with("docker build ") {
                // Made already, of the same Dockerfile.
                let image = format!("drover.local/{}:dev examples/{}", self.namespace, self.name);
                assert!(step.command.ends_with(&image), "{step:?}");
            } else if step.shown.is_empty() {
                let output = run(&step.command).await;
                assert!(output.status.success(), "{step:?}: {output:?}");
            } else {
                self.shows(step).await;
            }
        }
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let _ = namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await;
    }

    /// Waits until the command shows what the README says, each line as often as it is there.
    async fn shows(&self, step: &Step) {
        let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let times = |output: &Output, line: &str| {
            let found = text(output);
            found.lines().filter(|found| found.contains(line)).count()
        };
        let wanted = |line: &str| step.shown.iter().filter(|shown| *shown == line).count();
        let seen = wait::until(
            &step.command,
            PATIENCE,
            || async { Ok(run(&step.command).await) },
            |output| {
                step.shown
                    .iter()
                    .all(|line| times(output, line) >= wanted(line))
            },
        )
        .await;
        for line in &step.shown {
            assert_eq!(times(&seen, line), wanted(line), "{line}: {}", text(&seen));
        }
    }

    /// The Service `postgres` leads to this machine.
    async fn has_postgres(&self, port: u16) {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "postgres"},
            "spec": {"ports": [{"port": 5432, "targetPort": port}]},
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "postgres", "labels": {"kubernetes.io/service-name": "postgres"}},
            "addressType": "IPv4",
            "ports": [{"port": port}],
            "endpoints": [{"addresses": [world::host_address()]}],
        });
        let apply = PatchParams::apply("e2e").force();
        Api::<Namespace>::all(self.client.clone())
            .patch(&self.namespace, &apply, &Patch::Apply(namespace))
            .await
            .expect("apply the namespace");
        Api::<Service>::namespaced(self.client.clone(), &self.namespace)
            .patch("postgres", &apply, &Patch::Apply(service))
            .await
            .expect("apply the service");
        Api::<EndpointSlice>::namespaced(self.client.clone(), &self.namespace)
            .patch("postgres", &apply, &Patch::Apply(slice))
            .await
            .expect("apply the slice");
    }
}

/// The commands of a document: lines with `$ ` in blocks of the language `console`.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut within = false;
    for line in document.lines() {
        if line.starts_with("```") {
            within = line == "```console";
        } else if !within {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                shown: Vec::new(),
            });
        } else {
            let step = steps.last_mut().expect("a command before what it shows");
            step.shown.push(line.to_owned());
        }
    }
    steps
}

/// As a reader would, in the repository's folder, with `drover` to be found.
async fn run(command: &str) -> Output {
    let command = command.to_owned();
    let bin = Path::new(env!("CARGO_BIN_EXE_drover")).parent();
    let mut path = bin.expect("its folder").as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    tokio::task::spawn_blocking(move || {
        Command::new("bash")
            .args(["-euc", &command])
            .current_dir(root())
            .env("PATH", path)
            .output()
            .expect("run a shell")
    })
    .await
    .expect("the thread ends well")
}

fn load_images() {
    let archive = std::env::var("DROVER_EXAMPLE_IMAGES").expect("set by tests/e2e/run");
    let program = root().join("tests/cluster/cluster");
    let output = Command::new(program)
        .args(["image", "load", &archive, "--dir"])
        .arg(world::folder())
        .output()
        .expect("run the cluster's tool");
    assert!(output.status.success(), "{output:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn commands_and_what_they_show_are_read_from_a_document() {
    let document = "text\n```console\n$ one\n$ two\nshown\n```\n    $ three\n";
    let step = |command: &str, shown: &[&str]| Step {
        command: command.to_owned(),
        shown: shown.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(steps(document), [step("one", &[]), step("two", &["shown"])]);
}
