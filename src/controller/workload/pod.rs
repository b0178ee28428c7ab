//! What a pod says of itself: whether it runs, when it began, what keeps it from running.
//!
//! Pure, and knows Kubernetes' words for it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

use super::{Beginning, Trouble};

/// Waiting reasons that belong to every start of a pod.
const ORDINARY_WAITS: [&str; 3] = ["ContainerCreating", "PodInitializing", ""];

/// Such as one that was evicted: Kubernetes keeps it, with all that its containers were in trouble for, and does
/// not count it.
pub fn has_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

/// Whether all containers run.
pub(super) fn runs(pod: &Pod) -> bool {
    let containers = pod.status.iter().flat_map(|it| &it.container_statuses);
    let mut containers = containers.flatten().peekable();
    containers.peek().is_some()
        && containers.all(|it| {
            it.state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
        })
}

/// When the last of its containers was started.
pub(super) fn runs_since(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let started = |it: &ContainerStatus| {
        let running = it.state.as_ref()?.running.as_ref()?;
        Some(running.started_at.as_ref()?.0)
    };
    containers.iter().filter_map(started).max()
}

pub(super) fn is_ready(pod: &Pod) -> bool {
    ready(pod).is_some()
}

/// What says that it is ready, if it is.
fn ready(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.iter().flat_map(|it| &it.conditions).flatten();
    let mut ready =
        conditions.filter(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready.next()
}

/// When it began; none of a pod that goes, or of which a container was started again: what it took then is no start.
pub(super) fn beginning(pod: &Pod) -> Option<Beginning> {
    let containers = pod.status.iter().flat_map(|it| &it.container_statuses);
    let mut containers = containers.flatten();
    let again = containers.any(|it| it.restart_count > 0);
    let stays = pod.metadata.deletion_timestamp.is_none() && !again;
    let made = pod.metadata.creation_timestamp.as_ref().filter(|_| stays)?;
    let since = ready(pod).and_then(|ready| ready.last_transition_time.as_ref());
    Some(Beginning {
        made: made.0,
        runs: runs_since(pod).filter(|_| runs(pod)),
        ready: since.map(|since| since.0),
    })
}

/// What Kubernetes calls a container that ends again and again,
const CRASH_LOOP: &str = "CrashLoopBackOff";
/// which is after so many restarts.
const ENDS_AGAIN: i32 = 2;

/// What keeps a pod from running, if something does.
pub fn pod_trouble(pod: &Pod) -> Option<Trouble> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && matches!(
                condition.reason.as_deref(),
                Some("Unschedulable" | "SchedulingGated")
            )
    });
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or_default();
        return Some(Trouble {
            reason: condition.reason.clone().unwrap_or_default(),
            message: format!("pod {name}: {why}"),
            container: None,
        });
    }
    if is_out_of_sight(pod) {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let node = node.unwrap_or_default();
        return Some(Trouble {
            reason: "NodeNotReady".to_owned(),
            message: format!(
                "pod {name}: Kubernetes hears nothing of its node {node} and counts it as not ready; it may work on"
            ),
            container: None,
        });
    }
    let inits = status.init_container_statuses.iter().flatten();
    inits
        .chain(status.container_statuses.iter().flatten())
        .find_map(|container| container_trouble(name, container))
}

/// Its node's kubelet is silent. Kubernetes' node lifecycle controller then turns Ready to False and leaves the rest as it
/// was: no reason, and containers that are ready. Kubelet itself always writes a reason, and with a readiness gate, too.
fn is_out_of_sight(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|it| &it.conditions).flatten();
    let said = conditions.filter(|it| it.reason.as_deref().unwrap_or_default().is_empty());
    let is = |type_: &str, status: &str| {
        said.clone()
            .any(|it| it.type_ == type_ && it.status == status)
    };
    is("Ready", "False") && is("ContainersReady", "True")
}

fn container_trouble(pod: &str, container: &ContainerStatus) -> Option<Trouble> {
    let state = container.state.as_ref()?;
    if let Some(ended) = &state.terminated
        && ended.exit_code != 0
        && container.restart_count >= ENDS_AGAIN
    {
        // In between it is not called so: it has just ended, and its wait has not begun.
        let why = ended.reason.as_deref().unwrap_or("ended");
        return Some(Trouble {
            reason: CRASH_LOOP.to_owned(),
            message: format!(
                "pod {pod}, container {}: it ends again and again; last run: {why}, exit code {}",
                container.name, ended.exit_code
            ),
            container: Some(container.name.clone()),
        });
    }
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    if ORDINARY_WAITS.contains(&reason) {
        return None;
    }
    let mut message = format!("pod {pod}, container {}", container.name);
    if let Some(why) = &waiting.message {
        message.push_str(": ");
        message.push_str(why);
    }
    let last = container.last_state.as_ref();
    if let Some(ended) = last.and_then(|state| state.terminated.as_ref()) {
        let why = ended.reason.as_deref().unwrap_or("ended");
        message.push_str(&format!("; last run: {why}, exit code {}", ended.exit_code));
    }
    Some(Trouble {
        reason: reason.to_owned(),
        message,
        container: Some(container.name.clone()),
    })
}
