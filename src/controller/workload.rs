//! What the cluster made of a fleet: its Deployment and its pods, read into plain values.
//!
//! Pure. Knows Kubernetes' words for trouble; `status` says them to people.

mod pod;

pub use pod::{has_ended, pod_trouble};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;

use pod::{beginning, is_ready, runs, runs_since};

/// A fleet's Deployment and pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// Replicas that the Deployment is told to have.
    pub size: u32,
    /// Pods that exist, as the Deployment counts them.
    pub replicas: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods all of whose containers run, and that are not ready: they begin, or wait for their handler
    /// or for Kafka.
    pub waiting: u32,
    /// Since when the first of those runs.
    pub waiting_since: Option<Timestamp>,
    /// Pods of an older template still exist.
    pub rolling: bool,
    /// When pods began that are to stay and never had a container started again.
    pub beginnings: Vec<Beginning>,
    /// Pods that were told to go and are still there: they drain.
    pub leaving: u32,
    /// What keeps pods from running, the most important first.
    pub troubles: Vec<Trouble>,
}

impl Workload {
    /// Pods that exist, be they on their way out.
    pub fn pods(&self) -> u32 {
        self.replicas + self.leaving
    }
}

/// When a pod began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// When it was made.
    pub made: Timestamp,
    /// When the last of its containers was started; none while one was not.
    pub runs: Option<Timestamp>,
    /// Since when it is ready; none while it is not.
    pub ready: Option<Timestamp>,
}

/// Something that keeps pods from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Kubernetes' word, such as `CrashLoopBackOff`, `Unschedulable` or `QuotaExceeded`.
    pub reason: String,
    /// Kubernetes' explanation, with the pod and container where it concerns one.
    pub message: String,
    /// The container that it concerns, if it is one.
    pub container: Option<String>,
}

/// Reads a Deployment and the pods that carry its labels.
pub fn read<'a>(deployment: &Deployment, pods: impl IntoIterator<Item = &'a Pod>) -> Workload {
    let status = deployment.status.clone().unwrap_or_default();
    let size = count(deployment.spec.replicas);
    let replicas = count(status.replicas);
    let mut workload = Workload {
        size,
        replicas,
        ready: count(status.ready_replicas),
        // Not "the newest generation was not observed yet": a change of size is one as well.
        rolling: count(status.updated_replicas) < replicas,
        ..Default::default()
    };
    let conditions = status.conditions.unwrap_or_default();
    for condition in &conditions {
        let is_true = condition.status.as_deref() == Some("True");
        if condition.type_.as_deref() == Some("ReplicaFailure") && is_true {
            let message = condition.message.clone().unwrap_or_default();
            workload.troubles.push(Trouble {
                reason: failure_reason(&message, condition.reason.clone()),
                message,
                container: None,
            });
        }
    }
    if deployment.spec.paused == Some(true) {
        let name = deployment.metadata.name.as_deref().unwrap_or_default();
        workload.troubles.push(Trouble {
            reason: "DeploymentPaused".to_owned(),
            message: format!("Deployment {name} is paused, so what changes reaches no pod"),
            container: None,
        });
    }
    for pod in pods.into_iter().filter(|pod| !has_ended(pod)) {
        workload.beginnings.extend(beginning(pod));
        if pod.metadata.deletion_timestamp.is_some() {
            workload.leaving += 1;
        } else if let Some(trouble) = pod_trouble(pod) {
            let mut known = workload.troubles.iter();
            if !known.any(|known| known.reason == trouble.reason) {
                workload.troubles.push(trouble);
            }
        } else if runs(pod) && !is_ready(pod) {
            workload.waiting += 1;
            let since = workload.waiting_since.into_iter().chain(runs_since(pod));
            workload.waiting_since = since.min();
        }
    }
    // The last to be told: what pods say is nearer to the cause.
    let stuck = conditions.into_iter().find(|condition| {
        condition.type_.as_deref() == Some("Progressing")
            && condition.status.as_deref() == Some("False")
    });
    if let Some(condition) = stuck {
        workload.troubles.push(Trouble {
            reason: condition
                .reason
                .unwrap_or_else(|| "NotProgressing".to_owned()),
            message: condition.message.unwrap_or_default(),
            container: None,
        });
    }
    workload
}

fn count(number: Option<i32>) -> u32 {
    u32::try_from(number.unwrap_or_default()).unwrap_or_default()
}

/// `FailedCreate` says nothing; the message does.
fn failure_reason(message: &str, reason: Option<String>) -> String {
    if message.contains("exceeded quota") {
        "QuotaExceeded".to_owned()
    } else if message.contains("failed quota: ") {
        "ResourcesMissing".to_owned()
    } else if [" usage per ", " limit to request ratio per "]
        .iter()
        .any(|words| message.contains(words))
    {
        "LimitRangeViolation".to_owned()
    } else if message.contains("violates PodSecurity") {
        "PodSecurityViolation".to_owned()
    } else {
        reason.unwrap_or_else(|| "ReplicaFailure".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::{Value, json};

    fn deployment(status: Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": { "generation": 2 },
            "spec": { "replicas": 3, "selector": {}, "template": {} },
            "status": status,
        }))
        .unwrap()
    }

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "status": status })).unwrap()
    }

    #[test]
    fn old_pods_beside_new_ones_are_a_roll_out() {
        let status = json!({ "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1 });
        assert!(read(&deployment(status), []).rolling);
        let status = json!({ "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 3 });
        let settled = read(&deployment(status), []);
        assert!(!settled.rolling);
        assert_eq!((settled.size, settled.replicas, settled.ready), (3, 3, 3));
    }

    #[test]
    fn troubles_are_told_in_kubernetes_words() {
        let cases = [
            (
                json!({ "containerStatuses": [{ "name": "worker", "image": "", "imageID": "", "ready": false, "restartCount": 4,
                    "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s" } },
                    "lastState": { "terminated": { "exitCode": 3, "reason": "Error" } } }] }),
                "CrashLoopBackOff",
                Some("worker"),
                "pod p, container worker: back-off 40s; last run: Error, exit code 3",
            ),
            (
                json!({ "initContainerStatuses": [{ "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 2,
                    "state": { "terminated": { "exitCode": 1, "reason": "Error" } } }] }),
                "CrashLoopBackOff",
                Some("app"),
                "pod p, container app: it ends again and again; last run: Error, exit code 1",
            ),
            (
                json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes" }] }),
                "Unschedulable",
                None,
                "pod p: 0/3 nodes",
            ),
            (
                json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates" }] }),
                "SchedulingGated",
                None,
                "pod p: Scheduling is blocked due to non-empty scheduling gates",
            ),
        ];
        for (status, reason, container, message) in cases {
            let pod = pod(status);
            let workload = read(&deployment(json!({})), [&pod]);
            let expected = Trouble {
                reason: reason.into(),
                message: message.into(),
                container: container.map(str::to_owned),
            };
            assert_eq!(workload.troubles, [expected]);
        }
    }

    #[test]
    fn a_deployment_that_somebody_paused_is_told() {
        let mut deployment = deployment(json!({}));
        deployment.spec.paused = Some(true);
        let [trouble] = &read(&deployment, []).troubles[..] else {
            panic!("one trouble");
        };
        assert_eq!(trouble.reason, "DeploymentPaused");
    }

    #[test]
    fn a_pod_that_is_starting_is_no_trouble() {
        let pod = pod(
            json!({ "containerStatuses": [{ "name": "worker", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ContainerCreating" } } }] }),
        );
        let workload = read(&deployment(json!({})), [&pod]);
        assert!(workload.troubles.is_empty());
        assert_eq!(workload.waiting, 0);
    }

    #[test]
    fn a_pod_that_runs_and_is_not_ready_waits_for_something() {
        let status = |ready: &str| {
            json!({ "conditions": [{ "type": "Ready", "status": ready }],
                "containerStatuses": [{ "name": "worker", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "running": {} } }] })
        };
        let (waits, works) = (pod(status("False")), pod(status("True")));
        assert_eq!(read(&deployment(json!({})), [&waits, &works]).waiting, 1);
    }

    /// As the node lifecycle controller leaves it when kubelet is silent.
    #[test]
    fn pods_on_a_node_that_is_silent_are_told_by_their_conditions() {
        let of = |reason: Option<&str>, containers_ready: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": { "name": "p" }, "spec": { "nodeName": "worker-3", "containers": [] },
                "status": { "phase": "Running",
                    "conditions": [
                        { "type": "Ready", "status": "False", "reason": reason },
                        { "type": "ContainersReady", "status": containers_ready },
                    ],
                    "containerStatuses": [{ "name": "worker", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                        "state": { "running": {} } }] },
            }))
            .unwrap()
        };
        let silent = of(None, "True");
        let workload = read(&deployment(json!({})), [&silent, &silent]);
        let [trouble] = &workload.troubles[..] else {
            panic!("{:?}", workload.troubles);
        };
        assert_eq!(trouble.reason, "NodeNotReady");
        assert!(trouble.message.contains("pod p: ") && trouble.message.contains("worker-3"));
        assert_eq!(workload.waiting, 0);
        for waits in [
            of(Some("ContainersNotReady"), "False"),
            of(Some("ReadinessGatesNotReady"), "True"),
            of(None, "False"),
        ] {
            let workload = read(&deployment(json!({})), [&waits]);
            assert_eq!((workload.troubles, workload.waiting), (Vec::new(), 1));
        }
    }

    #[test]
    fn a_pod_s_beginning_is_told_unless_it_goes_or_was_started_again() {
        let of = |ready: &str, restarts: i32, going: bool| {
            let mut meta = json!({ "name": "p", "creationTimestamp": "2026-11-01T00:00:00Z" });
            if going {
                meta["deletionTimestamp"] = json!("2026-11-01T01:00:00Z");
            }
            let pod: Pod = serde_json::from_value(json!({ "metadata": meta, "status": {
                "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": "2026-11-01T00:00:12Z" }],
                "containerStatuses": [{ "name": "worker", "image": "", "imageID": "", "ready": true, "restartCount": restarts,
                    "state": { "running": { "startedAt": "2026-11-01T00:00:09Z" } } }],
            } }))
            .unwrap();
            let beginnings = read(&deployment(json!({})), [&pod]).beginnings;
            let after = |time: Timestamp| time.strftime("%H:%M:%S").to_string();
            beginnings
                .first()
                .map(|it| (after(it.made), it.runs.map(after), it.ready.map(after)))
        };
        let time = |second: &str| format!("00:00:{second}");
        let runs = Some(time("09"));
        assert_eq!(
            of("True", 0, false),
            Some((time("00"), runs.clone(), Some(time("12"))))
        );
        assert_eq!(of("False", 0, false), Some((time("00"), runs, None)));
        assert_eq!(of("True", 1, false), None);
        assert_eq!(of("True", 0, true), None);
    }

    #[test]
    fn a_pod_that_has_ended_is_nobodys_trouble() {
        let evicted = |state: Value| {
            pod(
                json!({ "phase": "Failed", "reason": "Evicted", "containerStatuses": [{ "name": "worker", "image": "",
                "imageID": "", "ready": false, "restartCount": 2, "state": state }] }),
            )
        };
        let ended = evicted(json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }));
        let waited = evicted(json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
        let mut going = evicted(json!({}));
        going.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let workload = read(&deployment(json!({})), [&ended, &waited, &going]);
        assert_eq!((workload.troubles, workload.leaving), (Vec::new(), 0));
    }

    #[test]
    fn quota_is_named() {
        let status = json!({ "conditions": [{ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "pods \"x\" is forbidden: exceeded quota: small" }] });
        let workload = read(&deployment(status), []);
        assert_eq!(workload.troubles[0].reason, "QuotaExceeded");
    }

    #[test]
    fn what_a_quota_wants_named_is_no_quota_that_is_used_up() {
        let status = json!({ "conditions": [{ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "pods \"x\" is forbidden: failed quota: full: must specify limits.cpu for: worker" }] });
        let workload = read(&deployment(status), []);
        assert_eq!(workload.troubles[0].reason, "ResourcesMissing");
    }

    #[test]
    fn a_limit_range_is_named() {
        let status = json!({ "conditions": [{ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "pods \"x\" is forbidden: maximum memory usage per Container is 64Mi, but limit is 128Mi" }] });
        let workload = read(&deployment(status), []);
        assert_eq!(workload.troubles[0].reason, "LimitRangeViolation");
    }
}
