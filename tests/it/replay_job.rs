//! A DeadLetterReplay from object to Job to status, by the controller against a real API server with
//! the Job controller of Kubernetes. The test says what a kubelet would.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use drover::api::{DeadLetterReplay, DeadLetterReplayStatus, KafkaConsumer, ReplayPhase};
use drover::fleet::{References, validate};
use drover::resources::{Owner, Settings, replay_job};
use drover::worker_config::replay::{ENV_REPLAY, ReplayConfig};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::consumers::{all, http_url, typed, with};
use crate::support::operator::{Operator, wait_for};

const DEAD: &str = "events.dlq";

fn fleet(operator: &Operator) -> Value {
    let dead_letter = json!({ "topic": DEAD, "retryTopic": "events.retry" });
    let delivery = json!({ "deadLetter": dead_letter });
    with(operator.spec("events"), "/delivery", delivery)
}

async fn replay(operator: &Operator, name: &str, change: Value) -> DeadLetterReplay {
    let mut spec = json!({ "consumerRef": { "name": "fleet" } });
    let fields = spec.as_object_mut().unwrap();
    fields.extend(change.as_object().unwrap().clone());
    let replay: DeadLetterReplay = serde_json::from_value(json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "DeadLetterReplay",
        "metadata": { "name": name }, "spec": spec,
    }))
    .unwrap();
    let replays = operator.api::<DeadLetterReplay>();
    replays
        .create(&PostParams::default(), &replay)
        .await
        .unwrap()
}

/// Waits until the replay says this.
async fn says(
    operator: &Operator,
    name: &str,
    phase: ReplayPhase,
    reason: &str,
) -> DeadLetterReplayStatus {
    wait_for(&format!("{name} to be {phase:?} {reason}"), async || {
        let found = operator.api::<DeadLetterReplay>().get(name).await.unwrap();
        let status = found.status.unwrap_or_default();
        let said = status.conditions.first().map(|said| said.reason.clone());
        match status.phase == Some(phase) && said.as_deref() == Some(reason) {
            true => Ok(status),
            false => Err(format!("{status:?}")),
        }
    })
    .await
}

/// Waits for the pod of a Job that has not ended.
async fn pod(operator: &Operator, job: &str) -> Pod {
    let of_it = ListParams::default().labels(&format!("drover.dev/replay={job}"));
    wait_for(&format!("a pod of Job {job}"), async || {
        let pods = operator.api::<Pod>().list(&of_it).await.unwrap().items;
        let ended = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
            ["Failed", "Succeeded"].contains(&phase.as_deref().unwrap_or_default())
        };
        let at_it = pods.iter().find(|pod| !ended(pod)).cloned();
        at_it.ok_or_else(|| format!("{} pods", pods.len()))
    })
    .await
}

/// Says of a pod what a kubelet would when its container has ended.
async fn ends(operator: &Operator, pod: &Pod, code: i32, left: Option<Value>) {
    let terminated = json!({
        "exitCode": code, "message": left.map(|left| left.to_string()),
        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z",
    });
    let status = json!({ "status": {
        "phase": if code == 0 { "Succeeded" } else { "Failed" },
        "containerStatuses": [{ "name": "worker", "image": "i", "imageID": "i", "ready": false,
            "restartCount": 0, "state": { "terminated": terminated } }],
    }});
    let pods = operator.api::<Pod>();
    let params = PatchParams::default();
    pods.patch_status(&pod.name_any(), &params, &Patch::Merge(status))
        .await
        .unwrap();
    // The Job controller keeps a pod until it has counted it; nobody else finalizes here.
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_waits_for_its_fleet_runs_as_a_job_and_says_what_became_of_it() {
    let operator = Operator::start(&["events", DEAD, "events.retry"]).await;
    replay(
        &operator,
        "again",
        json!({ "filter": { "reasons": ["Rejected"], "key": "$$(HOME)" } }),
    )
    .await;
    let waits = says(&operator, "again", ReplayPhase::Pending, "ConsumerNotFound").await;
    assert_eq!((waits.started_at, waits.replayed), (None, None));
    assert!(waits.conditions[0].message.contains("KafkaConsumer fleet"));
    operator.create("fleet", fleet(&operator)).await;
    let runs = says(&operator, "again", ReplayPhase::Running, "Running").await;
    assert!(runs.started_at.is_some() && runs.id.is_some());

    let job = operator.api::<Job>().get("again").await.unwrap();
    let owner = &job.owner_references()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.name.as_str()),
        ("DeadLetterReplay", "again")
    );
    let spec = job.spec.unwrap().template.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("fleet"));
    assert_eq!(spec.automount_service_account_token, Some(false));
    let env = spec.containers[0].env.as_ref().unwrap();
    assert_eq!(env[0].name, ENV_REPLAY);
    let text = env[0].value.as_deref().unwrap();
    assert!(
        !text.contains('$'),
        "Kubernetes would put a variable in: {text}"
    );
    let config: ReplayConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config.filter.reasons, ["Rejected"]);
    assert_eq!(config.filter.key.as_deref(), Some("$$(HOME)"));
    assert_eq!(config.dead_letter_topic, DEAD);
    assert_eq!(config.retry_topic.as_deref(), Some("events.retry"));
    assert_eq!(Some(&config.id), runs.id.as_ref());

    // The pod is none of the fleet's.
    let first = pod(&operator, "again").await;
    assert_eq!(first.labels().get("drover.dev/consumer"), None);
    ends(
        &operator,
        &first,
        1,
        Some(json!({ "ending": "Error", "error": "no broker", "replayed": 40 })),
    )
    .await;
    let retries = says(&operator, "again", ReplayPhase::Running, "Retrying").await;
    assert!(
        retries.conditions[0].message.contains("no broker"),
        "{retries:?}"
    );
    let second = pod(&operator, "again").await;
    assert_ne!(first.name_any(), second.name_any());
    let left = json!({ "ending": "Complete", "to": "events.retry", "replayed": 5, "failedAgain": 1,
        "leftOut": { "replayedBefore": 40 } });
    ends(&operator, &second, 0, Some(left)).await;
    let done = says(&operator, "again", ReplayPhase::Complete, "Replayed").await;
    assert_eq!((done.replayed, done.failed_again), (Some(45), Some(1)));
    assert_eq!(
        (done.attempts, done.to.as_deref()),
        (Some(2), Some("events.retry"))
    );
    assert!(done.finished_at >= done.started_at);
    assert_eq!(done.conditions[0].status, "True");
    // It has run twice, in other words.
    for (event, times) in [
        ("ConsumerNotFound", 1),
        ("Running", 2),
        ("Retrying", 1),
        ("Replayed", 1),
    ] {
        assert_eq!(operator.event("again", event).await.len(), times, "{event}");
    }

    // What has ended is not begun again, and goes with its object.
    let jobs = operator.api::<Job>();
    operator
        .api::<DeadLetterReplay>()
        .delete("again", &DeleteParams::background())
        .await
        .unwrap();
    wait_for("the Job to go", async || {
        match jobs.get_opt("again").await.unwrap() {
            None => Ok(()),
            Some(job) => Err(format!("{:?}", job.metadata.deletion_timestamp)),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replays_of_a_fleet_follow_each_other_and_a_stop_is_told() {
    let operator = Operator::start(&["events", DEAD, "events.retry"]).await;
    operator.create("fleet", fleet(&operator)).await;
    replay(&operator, "first", json!({})).await;
    says(&operator, "first", ReplayPhase::Running, "Running").await;
    replay(&operator, "second", json!({ "dryRun": true })).await;
    let waits = says(&operator, "second", ReplayPhase::Pending, "AnotherRuns").await;
    assert!(waits.conditions[0].message.contains("first"), "{waits:?}");
    let left = json!({ "ending": "Failing", "replayed": 30, "failedAgain": 25 });
    ends(&operator, &pod(&operator, "first").await, 3, Some(left)).await;
    let stopped = says(&operator, "first", ReplayPhase::Stopped, "TooManyFailAgain").await;
    assert_eq!((stopped.replayed, stopped.attempts), (Some(30), Some(1)));

    says(&operator, "second", ReplayPhase::Running, "Running").await;
    let would = json!({ "total": 7, "reasons": { "Rejected": 7 } });
    let left = json!({ "ending": "Complete", "replayed": 0, "wouldReplay": would });
    ends(&operator, &pod(&operator, "second").await, 0, Some(left)).await;
    let counted = says(&operator, "second", ReplayPhase::Complete, "Counted").await;
    assert_eq!(counted.would_replay.unwrap().reasons["Rejected"], 7);
    assert_eq!(counted.replayed, None);
}

/// Their transactional id is the topic's: they would end each other until both have failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays_of_two_fleets_with_one_dead_letter_topic_follow_each_other() {
    let operator = Operator::start(&["events", DEAD, "events.retry"]).await;
    for name in ["fleet", "other"] {
        operator.create(name, fleet(&operator)).await;
    }
    replay(&operator, "first", json!({})).await;
    says(&operator, "first", ReplayPhase::Running, "Running").await;
    let of_other = json!({ "consumerRef": { "name": "other" } });
    replay(&operator, "second", of_other).await;
    let waits = says(&operator, "second", ReplayPhase::Pending, "AnotherRuns").await;
    let message = &waits.conditions[0].message;
    assert!(
        message.contains("first of the same dead-letter topic"),
        "{message}"
    );
    // A command was quicker.
    let left = json!({ "ending": "Fenced", "error": "another one", "replayed": 3 });
    ends(&operator, &pod(&operator, "first").await, 5, Some(left)).await;
    let ended = says(&operator, "first", ReplayPhase::Failed, "Fenced").await;
    assert_eq!((ended.replayed, ended.attempts), (Some(3), Some(1)));
    says(&operator, "second", ReplayPhase::Running, "Running").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_job_and_what_cannot_be_read_stop_no_other_replay() {
    let operator = Operator::start(&["events", DEAD, "events.retry"]).await;
    operator.create("fleet", fleet(&operator)).await;
    let theirs: Job = serde_json::from_value(json!({
        "metadata": { "name": "taken" },
        "spec": { "suspend": true, "template": { "spec": { "restartPolicy": "Never",
            "containers": [{ "name": "c", "image": "i" }] } } },
    }))
    .unwrap();
    let jobs = operator.api::<Job>();
    jobs.create(&PostParams::default(), &theirs).await.unwrap();
    replay(&operator, "taken", json!({})).await;
    let waits = says(&operator, "taken", ReplayPhase::Pending, "NameTaken").await;
    assert!(
        waits.conditions[0].message.contains("left alone"),
        "{waits:?}"
    );
    // It has the form of a time.
    let raw: Api<kube::api::DynamicObject> = Api::namespaced_with(
        operator.client.clone(),
        &operator.namespace,
        &kube::core::ApiResource::erase::<DeadLetterReplay>(&()),
    );
    let never = json!({
        "apiVersion": "drover.dev/v1alpha1", "kind": "DeadLetterReplay",
        "metadata": { "name": "never" },
        "spec": { "consumerRef": { "name": "fleet" }, "filter": { "since": "2026-13-45T99:00:00Z" } },
    });
    let never = serde_json::from_value(never).unwrap();
    raw.create(&PostParams::default(), &never).await.unwrap();
    wait_for("the unreadable one to be told so", async || {
        let found = raw.get("never").await.unwrap();
        let said = found.data["status"]["conditions"][0]["reason"].clone();
        if said == "Unreadable" {
            Ok(())
        } else {
            Err(said.to_string())
        }
    })
    .await;
    replay(&operator, "good", json!({})).await;
    says(&operator, "good", ReplayPhase::Running, "Running").await;
    let left = jobs.get("taken").await.unwrap();
    assert_eq!(left.spec.unwrap().suspend, Some(true));
}

/// By them a mesh is told to leave a pod alone, and a policy to let it through.
#[test]
fn the_pod_has_labels_and_annotations_of_the_template_and_is_none_of_the_fleets_all_the_same() {
    let metadata = json!({
        "labels": { "egress": "kafka", "drover.dev/consumer": "fleet", "drover.dev/replay": "other",
            "app.kubernetes.io/managed-by": "Helm" },
        "annotations": { "sidecar.istio.io/inject": "false" },
    });
    let document = with(http_url(), "/spec/template/metadata", metadata);
    let fleet = validate(&typed(&document), &References::default()).unwrap();
    let job = replay_job(&fleet, &owner("again"), &config(), &settings());
    let metadata = job.spec.unwrap().template.metadata.unwrap();
    let annotations = metadata.annotations.unwrap();
    assert_eq!(annotations["sidecar.istio.io/inject"], "false");
    let labels = metadata.labels.unwrap();
    assert_eq!(labels["egress"], "kafka");
    assert_eq!(labels["drover.dev/replay"], "again");
    assert_eq!(labels["app.kubernetes.io/managed-by"], "drover");
    assert_eq!(labels.get("drover.dev/consumer"), None);
}

#[test]
fn its_resources_are_those_of_the_worker_where_they_are_written() {
    let resources = |document: &Value| {
        let fleet = validate(&typed(document), &References::default()).unwrap();
        let job = replay_job(&fleet, &owner("again"), &config(), &settings());
        let pod = job.spec.unwrap().template.spec.unwrap();
        json!(pod.containers[0].resources)
    };
    let written = |resources: Value| {
        let worker = json!([{ "name": "worker", "resources": resources }]);
        with(http_url(), "/spec/template/spec/containers", worker)
    };
    assert_eq!(
        resources(&http_url()),
        json!({ "requests": { "cpu": "50m", "memory": "64Mi" }, "limits": { "memory": "512Mi" } })
    );
    let devices = json!({ "limits": { "cpu": "20m", "memory": "64Mi", "nvidia.com/gpu": "1" } });
    assert_eq!(
        resources(&written(devices)),
        json!({ "requests": { "cpu": "20m", "memory": "64Mi" }, "limits": { "cpu": "20m", "memory": "256Mi" } })
    );
    assert_eq!(
        resources(&written(json!({ "requests": { "memory": "1Gi" } }))),
        json!({ "requests": { "cpu": "50m", "memory": "1Gi" }, "limits": { "memory": "1Gi" } })
    );
}

pub fn owner(name: &str) -> Owner {
    Owner {
        name: name.to_owned(),
        uid: "00000000-0000-0000-0000-000000000001".to_owned(),
    }
}

pub fn config() -> ReplayConfig {
    serde_json::from_value(json!({
        "replay": "a/b", "id": "i", "bootstrapServers": "k:1", "properties": {}, "security": {},
        "consumer": "c", "topics": [], "retryTopic": null, "deadLetterTopic": "d", "filter": {},
        "to": null, "toSource": false, "rate": null, "dryRun": false, "maxReplays": 3,
        "stopAt": 50, "settleMillis": 0, "bypass": null,
    }))
    .unwrap()
}

pub fn settings() -> Settings {
    Settings {
        worker_image: "drover.local/worker:1".to_owned(),
        image_pull_policy: None,
        user_by_platform: false,
    }
}

#[test]
fn the_user_of_a_replay_is_left_to_the_platform_where_that_says_it() {
    let users = |user_by_platform| {
        let settings = Settings {
            user_by_platform,
            ..settings()
        };
        let fleet = validate(&typed(&http_url()), &References::default()).unwrap();
        let job = replay_job(&fleet, &owner("again"), &config(), &settings);
        let pod = job.spec.unwrap().template.spec.unwrap();
        let context = pod.containers[0].security_context.as_ref().unwrap();
        assert_eq!(context.run_as_non_root, Some(true));
        context.run_as_user
    };
    assert_eq!((users(false), users(true)), (Some(65532), None));
}

/// What Drover makes is admitted where the level is `restricted`, whatever the fleet.
#[tokio::test]
async fn pods_of_replays_are_admitted_where_pod_security_is_restricted() {
    let cluster = crate::support::control_plane::control_plane();
    let client = cluster.client().await;
    let namespace = cluster.namespace(&client).await;
    let label =
        json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces
        .patch(&namespace, &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
    let jobs = Api::<Job>::namespaced(client, &namespace);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for (name, document) in all() {
        let consumer: KafkaConsumer = typed(&document);
        let mut fleet = validate(&consumer, &References::default()).unwrap();
        fleet.namespace.clone_from(&namespace);
        let owner = owner(&format!("of-{}", name.replace('_', "-")));
        let job = replay_job(&fleet, &owner, &config(), &settings());
        let made = jobs.create(&dry, &job).await;
        assert!(made.is_ok(), "{name}: {}", made.unwrap_err());
        let template = job.spec.unwrap().template;
        let pod = Pod {
            metadata: kube::api::ObjectMeta {
                name: Some(owner.name),
                ..kube::api::ObjectMeta::default()
            },
            spec: template.spec,
            ..Pod::default()
        };
        let admitted = pods.create(&dry, &pod).await;
        assert!(admitted.is_ok(), "{name}: {}", admitted.unwrap_err());
    }
}
