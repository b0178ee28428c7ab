//! docs/start-cluster.md, followed as far as it goes without pods: an API server and a broker are real, and no controller and
//! no node are there. The brokers, topics and namespace are those of the test.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use drover::api::KafkaConsumer;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;
use tempfile::TempDir;

use crate::lag_broker::broker;
use crate::support::control_plane::control_plane;

const PAGE: &str = include_str!("../../docs/start-cluster.md");
const FILE: &str = "user-events.yaml";

/// The blocks of the page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begins = format!("```{language}\n");
    let parts = PAGE.split(begins.as_str()).skip(1);
    parts
        .map(|part| part.split("\n```").next().unwrap())
        .collect()
}

/// Somebody who does what the page says.
struct Reader {
    client: Client,
    namespace: String,
    topic: String,
    folder: TempDir,
}

impl Reader {
    /// What the page says, in the test's own names.
    fn own(&self, text: &str) -> String {
        text.replace("kafka.example.com:9092", &broker().servers)
            .replace("user_events", &self.topic)
            .replace("namespace: shop", &format!("namespace: {}", self.namespace))
            .replace("-n shop", &format!("-n {}", self.namespace))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    /// A line as a shell runs it, with `drover` and the cluster at hand.
    fn run(&self, line: &str) -> Output {
        let drover = PathBuf::from(env!("CARGO_BIN_EXE_drover"));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", drover.parent().unwrap().display());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("KUBECONFIG", control_plane().kubeconfig())
            .env("DROVER_BOOTSTRAP", &broker().servers)
            .stdin(Stdio::null());
        shell.output().unwrap()
    }

    fn api(&self) -> Api<KafkaConsumer> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What `kubectl apply` does.
    async fn apply(&self) {
        let text = std::fs::read_to_string(self.file()).unwrap();
        let document = drover::yaml::documents(&text).remove(0).value.unwrap();
        let (api, params) = (self.api(), PatchParams::apply("kubectl"));
        let patch: Patch<Value> = Patch::Apply(document);
        api.patch("user-events", &params, &patch).await.unwrap();
    }
}

#[tokio::test]
async fn the_cluster_start_works_as_it_is_written() {
    let client = control_plane().client().await;
    let reader = Reader {
        namespace: control_plane().namespace(&client).await,
        client,
        topic: format!("start_cluster_{}", std::process::id()),
        folder: tempfile::tempdir().unwrap(),
    };
    let [yaml] = blocks("yaml").try_into().unwrap();
    std::fs::write(reader.file(), reader.own(yaml)).unwrap();

    let lines = blocks("console").into_iter().flat_map(str::lines);
    let commands: Vec<&str> = lines.filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 17, "{commands:?}");
    for command in commands {
        match command {
            // So it is in the environment of each.
            "export DROVER_BOOTSTRAP=kafka.example.com:9092" => continue,
            "kubectl apply -f user-events.yaml" => {
                reader.apply().await;
                continue;
            }
            "kubectl delete kc user-events -n shop" => {
                let (api, params) = (reader.api(), DeleteParams::default());
                let deleted = api.delete("user-events", &params).await;
                deleted.unwrap();
                continue;
            }
            _ => assert!(command.starts_with("drover "), "{command}"),
        }
        let (code, says) = told(command);
        let says = reader.own(says);
        let output = reader.run(&reader.own(command));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        let what = format!("{command}: {out}{error}");
        assert_eq!(output.status.code(), Some(code), "{what}");
        assert!(
            out.contains(&says) || error.contains(&says),
            "{says}: {what}"
        );
    }
    assert!(reader.api().get_opt("user-events").await.unwrap().is_none());
}

/// How a command ends here, and what it says. Without a controller the fleet has no status and no pods.
fn told(command: &str) -> (i32, &'static str) {
    let words: Vec<&str> = command.split(' ').collect();
    match words[1..] {
        ["produce", "--topic", "user_events", ..] => {
            (0, "1 record produced to user_events (12 partitions)")
        }
        ["produce", "--topic", "user_events.dlq", ..] => {
            (0, "0 records produced to user_events.dlq (3 partitions)")
        }
        ["validate", ..] => (0, "user-events"),
        ["render", ..] => (0, "kind: Deployment"),
        ["status", ..] => (0, "no status yet"),
        ["lag", ..] => (0, "records wait"),
        ["logs", ..] => (2, "user-events has no pods; see drover status user-events"),
        ["doctor", ..] => (1, "First of all, "),
        ["explain", ..] => (0, "no status yet"),
        ["dlq", "list", ..] | ["dlq", "show", ..] => (0, "No dead letters in user_events.dlq."),
        ["dlq", "replay", ..] => (0, "user_events.dlq"),
        ["pause", ..] => (0, "user-events paused: "),
        ["resume", ..] => (0, "user-events resumed: "),
        _ => panic!("the page has a command that this test does not know: {command}"),
    }
}
