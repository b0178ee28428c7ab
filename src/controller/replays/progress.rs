//! How far a replay's Job is, by the Job and by what its pods have left behind. Pure.

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;

use super::status::Said;
use crate::api::names::{WORKER_CONTAINER, replay_reason as reason};
use crate::api::{LeftOut, ReplayPhase, WouldReplay};
use crate::controller::workload::pod_trouble;
use crate::plural::noun;
use crate::worker_config::replay::{Ending, ReplayResult};

/// What is known by number. None where nothing said it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Pods that were at it.
    pub attempts: Option<u32>,
    /// The topic that all went to.
    pub to: Option<String>,
    /// By all attempts that left a result.
    pub replayed: Option<u64>,
    /// Of those, as far as they were seen.
    pub failed_again: Option<u64>,
    /// By the last attempt.
    pub left_out: Option<LeftOut>,
    /// Of a dry run.
    pub would_replay: Option<WouldReplay>,
}

/// What the Job and its pods say.
pub fn read(job: &Job, pods: &[Pod], dry_run: bool) -> Said {
    let mut pods: Vec<&Pod> = pods.iter().collect();
    pods.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref();
        (created.map(|created| created.0), pod.metadata.name.clone())
    });
    let ended: Vec<Option<ReplayResult>> = pods.iter().filter_map(|pod| left(pod)).collect();
    let results: Vec<&ReplayResult> = ended.iter().flatten().collect();
    let silent = ended.len() - results.len();
    let last = results.last().copied();
    // What an attempt before it has said is not why the last one ended.
    let latest = ended.last().and_then(Option::as_ref);
    let sum = |count: fn(&ReplayResult) -> Option<u64>| {
        let counts: Vec<u64> = results.iter().filter_map(|result| count(result)).collect();
        (!counts.is_empty()).then(|| counts.iter().sum())
    };
    let counts = Counts {
        attempts: u32::try_from(pods.len()).ok().filter(|count| *count > 0),
        to: last.and_then(|last| last.to.clone()),
        replayed: sum(|result| Some(result.replayed)).filter(|_| !dry_run),
        failed_again: sum(|result| result.failed_again),
        left_out: last.and_then(|last| last.left_out),
        would_replay: last.and_then(|last| last.would_replay.clone()),
    };
    let (phase, reason, message) = match (condition(job, "Complete"), condition(job, "Failed")) {
        (Some(_), _) => complete(last, &counts, silent),
        (None, Some(failed)) => given_up(last, latest, failed, &counts),
        (None, None) => running(job, &pods, latest, ended.len()),
    };
    Said {
        phase,
        reason,
        message,
        counts,
    }
}

fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let mut of_type = conditions.iter().filter(|found| found.type_ == type_);
    of_type.find(|found| found.status == "True")
}

/// What the worker in a pod has left behind, if it has ended; None in it if that is nothing, or not
/// to be read.
fn left(pod: &Pod) -> Option<Option<ReplayResult>> {
    let status = pod.status.as_ref()?;
    let mut containers = status.container_statuses.iter().flatten();
    let worker = containers.find(|container| container.name == WORKER_CONTAINER);
    let ended = worker.and_then(|worker| worker.state.as_ref()?.terminated.as_ref());
    let Some(ended) = ended else {
        // Without a container that ended: its node is gone, or sent it away before it began.
        return (status.phase.as_deref() == Some("Failed")).then_some(None);
    };
    let text = ended.message.as_deref();
    Some(text.and_then(|text| serde_json::from_str(text).ok()))
}

type Words = (ReplayPhase, &'static str, String);

fn complete(last: Option<&ReplayResult>, counts: &Counts, silent: usize) -> Words {
    let Some(last) = last.filter(|last| last.ending == Ending::Complete) else {
        return (
            ReplayPhase::Complete,
            reason::RESULT_LOST,
            "all was dealt with; how much it was is not known, for the pod is gone; drover dlq list says how many were replayed"
                .to_owned(),
        );
    };
    if let Some(would) = &last.would_replay {
        let mut message = format!(
            "{} {} would be replayed {}",
            would.total,
            noun("dead letter", would.total),
            target(counts)
        );
        if let Some(why) = &last.error {
            message.push_str(&format!("; it would end with an error: {why}"));
        }
        return (ReplayPhase::Complete, reason::COUNTED, message);
    }
    let mut message = replayed(counts);
    if silent > 0 {
        message.push_str(&format!(
            "; what {silent} earlier attempts replayed that left no report is not counted"
        ));
    }
    (ReplayPhase::Complete, reason::REPLAYED, message)
}

/// By the last attempt that said something, and by the very last one, if that did.
fn given_up(
    last: Option<&ReplayResult>,
    latest: Option<&ReplayResult>,
    failed: &JobCondition,
    counts: &Counts,
) -> Words {
    match last {
        Some(last) if last.ending == Ending::Failing => (
            ReplayPhase::Stopped,
            reason::TOO_MANY_FAIL_AGAIN,
            format!(
                "{}, which is too large a share; mend the cause, then another DeadLetterReplay goes on where this one was",
                replayed(counts)
            ),
        ),
        Some(last) if last.ending == Ending::Incomplete => {
            let why = last.error.as_deref().unwrap_or("some were left");
            let message = format!("{}; of the others: {why}", replayed(counts));
            (ReplayPhase::Failed, reason::INCOMPLETE, message)
        }
        Some(last) if last.ending == Ending::Fenced => {
            let why = last.error.as_deref().unwrap_or("it was ended");
            let message = format!(
                "another replay of the same dead-letter topic has begun, and ended this one: {why}; create another DeadLetterReplay when that has ended"
            );
            (ReplayPhase::Failed, reason::FENCED, message)
        }
        last => {
            let attempts = counts.attempts.unwrap_or_default();
            let why = latest.and_then(|latest| latest.error.clone());
            let before = last.and_then(|last| last.error.as_deref());
            let before = before.map(|before| {
                format!("the last pod ended before it could say why; one before it said: {before}")
            });
            let why = why
                .or(before)
                .or_else(|| failed.message.clone())
                .unwrap_or_else(|| "its Job failed".to_owned());
            (
                ReplayPhase::Failed,
                reason::JOB_FAILED,
                format!(
                    "given up after {} {}: {why}; mend it, then another DeadLetterReplay goes on where this one was",
                    attempts,
                    noun("attempt", attempts)
                ),
            )
        }
    }
}

fn running(job: &Job, pods: &[&Pod], last: Option<&ReplayResult>, ended: usize) -> Words {
    let job = job.metadata.name.as_deref().unwrap_or_default();
    let at_it = |pod: &&&Pod| left(pod).is_none();
    let trouble = pods.iter().filter(at_it).find_map(|pod| pod_trouble(pod));
    let (reason, message) = if let Some(trouble) = trouble {
        let message = format!("{}: {}", trouble.reason, trouble.message);
        (reason::POD_TROUBLE, message)
    } else if ended > 0 && !last.is_some_and(|last| last.ending.is_final()) {
        let why = last.and_then(|last| last.error.clone());
        let why = why.unwrap_or_else(|| {
            "its pod ended before it was done, and before it could say why".to_owned()
        });
        let mut message =
            format!("attempt {ended}: {why}; another follows, and goes on where it was");
        if !pods.iter().any(|pod| at_it(&pod)) {
            message.push_str(&format!(
                "; if none comes, as when the KafkaConsumer was deleted and its service account with it, kubectl describe job {job} says why; deleting this DeadLetterReplay ends it, and what was moved stays noted"
            ));
        }
        (reason::RETRYING, message)
    } else if pods.is_empty() {
        let message = format!(
            "Job {job} has no pod yet; if it stays so, kubectl describe job {job} says what keeps it, a quota, say"
        );
        (reason::RUNNING, message)
    } else if pods.iter().all(|pod| !has_begun(pod)) {
        let message = format!("the pod of Job {job} has not begun yet");
        (reason::RUNNING, message)
    } else {
        let message = format!("Job {job} is at it; kubectl logs job/{job} says how far");
        (reason::RUNNING, message)
    };
    (ReplayPhase::Running, reason, message)
}

fn has_begun(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase.is_some_and(|phase| phase != "Pending")
}

fn target(counts: &Counts) -> String {
    let to = counts.to.as_ref().map(|to| format!("to {to}"));
    to.unwrap_or_else(|| "to where they came from".to_owned())
}

fn replayed(counts: &Counts) -> String {
    let count = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let were = match counts.replayed {
        Some(1) => "dead letter was",
        _ => "dead letters were",
    };
    format!(
        "{} {were} replayed {}, {} {} again",
        count(counts.replayed),
        target(counts),
        count(counts.failed_again),
        match counts.failed_again {
            Some(1) => "is a dead letter",
            _ => "are dead letters",
        }
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(condition: Option<&str>) -> Job {
        let conditions: Vec<Value> = condition
            .map(|type_| json!({ "type": type_, "status": "True", "message": "Kubernetes' words" }))
            .into_iter()
            .collect();
        serde_json::from_value(json!({
            "metadata": { "name": "again" }, "status": { "conditions": conditions },
        }))
        .unwrap()
    }

    fn pod(second: u8, state: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": format!("p-{second}"),
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z") },
            "status": { "phase": "Running", "containerStatuses": [{ "name": "worker", "image": "",
                "imageID": "", "ready": false, "restartCount": 0, "state": state }] },
        }))
        .unwrap()
    }

    fn ended(second: u8, result: &Value) -> Pod {
        let terminated = json!({ "exitCode": 1, "message": result.to_string() });
        pod(second, json!({ "terminated": terminated }))
    }

    #[test]
    fn attempts_are_added_up_and_the_last_one_counts_for_the_rest() {
        let pods = [
            ended(
                9,
                &json!({ "ending": "Complete", "replayed": 5, "failedAgain": 1, "to": "orders.retry",
                "leftOut": { "replayedBefore": 40 } }),
            ),
            ended(
                1,
                &json!({ "ending": "Error", "error": "no broker", "replayed": 40 }),
            ),
        ];
        let said = read(&job(Some("Complete")), &pods, false);
        assert_eq!(
            (said.phase, said.reason),
            (ReplayPhase::Complete, reason::REPLAYED)
        );
        assert_eq!(
            said.message,
            "45 dead letters were replayed to orders.retry, 1 is a dead letter again"
        );
        assert_eq!(said.counts.attempts, Some(2));
        assert_eq!(said.counts.left_out.unwrap().replayed_before, 40);
    }

    #[test]
    fn an_attempt_without_a_report_is_not_taken_for_nothing() {
        let killed = pod(1, json!({ "terminated": { "exitCode": 137 } }));
        let done = ended(
            2,
            &json!({ "ending": "Complete", "replayed": 5, "failedAgain": 0 }),
        );
        let said = read(&job(Some("Complete")), &[killed, done], false);
        assert!(
            said.message.contains("1 earlier attempts"),
            "{}",
            said.message
        );
        let said = read(&job(Some("Complete")), &[], false);
        assert_eq!(said.reason, reason::RESULT_LOST);
        assert_eq!(said.counts, Counts::default());
    }

    #[test]
    fn a_dry_run_is_told_by_its_counts_and_replays_nothing() {
        let result = json!({ "ending": "Complete", "replayed": 0,
            "wouldReplay": { "total": 7, "reasons": { "Rejected": 7 } } });
        let said = read(&job(Some("Complete")), &[ended(1, &result)], true);
        assert_eq!(said.reason, reason::COUNTED);
        assert!(
            said.message.starts_with("7 dead letters would be"),
            "{}",
            said.message
        );
        assert_eq!(said.counts.replayed, None);
        assert_eq!(said.counts.would_replay.unwrap().reasons["Rejected"], 7);
    }

    #[test]
    fn too_many_that_fail_again_and_other_ends_are_told_apart() {
        let failing = ended(
            1,
            &json!({ "ending": "Failing", "replayed": 30, "failedAgain": 25 }),
        );
        let said = read(&job(Some("Failed")), &[failing], false);
        assert_eq!(
            (said.phase, said.reason),
            (ReplayPhase::Stopped, reason::TOO_MANY_FAIL_AGAIN)
        );
        let incomplete = ended(
            1,
            &json!({ "ending": "Incomplete", "error": "1 were refused", "replayed": 9,
                "failedAgain": 0, "leftOut": { "refused": 1 } }),
        );
        let said = read(&job(Some("Failed")), &[incomplete], false);
        assert_eq!(
            (said.phase, said.reason),
            (ReplayPhase::Failed, reason::INCOMPLETE)
        );
        assert!(
            said.message.contains("9 dead letters were replayed")
                && said.message.contains("1 were refused"),
            "{}",
            said.message
        );
        assert_eq!(said.counts.left_out.unwrap().refused, 1);
        let fenced = ended(
            1,
            &json!({ "ending": "Fenced", "error": "it was ended", "replayed": 3 }),
        );
        let said = read(&job(Some("Failed")), &[fenced], false);
        assert_eq!(
            (said.phase, said.reason, said.counts.replayed),
            (ReplayPhase::Failed, reason::FENCED, Some(3))
        );
        let wrong = ended(
            1,
            &json!({ "ending": "Error", "error": "no right", "replayed": 0 }),
        );
        let said = read(&job(Some("Failed")), &[wrong], false);
        assert_eq!(
            (said.phase, said.reason),
            (ReplayPhase::Failed, reason::JOB_FAILED)
        );
        assert!(
            said.message.contains("1 attempt: no right"),
            "{}",
            said.message
        );
        let said = read(&job(Some("Failed")), &[], false);
        assert!(
            said.message.contains("Kubernetes' words"),
            "{}",
            said.message
        );
    }

    /// A pod ends before Kubernetes notes that its Job has.
    #[test]
    fn a_last_attempt_is_not_told_to_be_followed_by_another() {
        for ending in ["Complete", "Failing", "Incomplete", "Fenced"] {
            let result = json!({ "ending": ending, "replayed": 65, "failedAgain": 0 });
            let said = read(&job(None), &[ended(1, &result)], false);
            assert_eq!(
                (said.phase, said.reason),
                (ReplayPhase::Running, reason::RUNNING),
                "{ending}"
            );
            assert_eq!(said.counts.replayed, Some(65));
        }
    }

    #[test]
    fn while_it_runs_what_is_in_its_way_is_told() {
        let said = read(&job(None), &[], false);
        assert_eq!(
            (said.phase, said.reason),
            (ReplayPhase::Running, reason::RUNNING)
        );
        assert!(
            said.message.contains("kubectl describe job again"),
            "{}",
            said.message
        );
        let mut pending = pod(1, json!({}));
        pending.status.as_mut().unwrap().phase = Some("Pending".to_owned());
        let said = read(&job(None), &[pending], false);
        assert!(
            said.message.contains("has not begun yet"),
            "{}",
            said.message
        );
        let wrong = ended(
            1,
            &json!({ "ending": "Error", "error": "no broker", "replayed": 3 }),
        );
        let waits = pod(
            2,
            json!({ "waiting": { "reason": "ErrImagePull", "message": "denied" } }),
        );
        let said = read(&job(None), &[wrong.clone(), waits], false);
        assert_eq!(said.reason, reason::POD_TROUBLE);
        assert!(said.message.contains("denied"), "{}", said.message);
        let said = read(
            &job(None),
            &[wrong, pod(2, json!({ "running": {} }))],
            false,
        );
        assert_eq!(said.reason, reason::RETRYING);
        assert!(
            said.message.contains("attempt 1: no broker"),
            "{}",
            said.message
        );
        // The second one was killed: what the first one said is not why.
        let wrong = ended(
            1,
            &json!({ "ending": "Error", "error": "no broker", "replayed": 3 }),
        );
        let killed = pod(2, json!({ "terminated": { "exitCode": 137 } }));
        let pods = [wrong, killed];
        let retrying = read(&job(None), &pods, false);
        assert!(
            retrying.message.contains("attempt 2: its pod ended")
                && !retrying.message.contains("no broker"),
            "{}",
            retrying.message
        );
        assert!(
            retrying.message.contains("if none comes") && !said.message.contains("if none comes"),
            "{}",
            retrying.message
        );
        let given_up = read(&job(Some("Failed")), &pods, false);
        assert!(
            given_up.message.contains("one before it said: no broker"),
            "{}",
            given_up.message
        );
        assert_eq!(said.counts.replayed, Some(3));
    }
}
