//! What there is to read of a pod: which container has a log, and why one has none. Pure.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};

/// Which log is wished.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// Of the container that somebody named.
    pub named: Option<String>,
    /// Where nobody named one; none for the pod's first.
    pub usual: Option<String>,
    /// Of the run before the last restart.
    pub previous: bool,
}

/// What there is of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The log of this container.
    Log(Run),
    /// That of another one, and why.
    Instead(Run, String),
    /// Nothing, and why.
    Nothing(String),
}

/// A container, and which of its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub container: Option<String>,
    /// None where it is not known.
    pub id: Option<String>,
    /// It is over: nothing is added to its log any more.
    pub over: bool,
}

/// Looks for it.
pub(super) fn look(pod: &Pod, wish: &Wish) -> Found {
    let meant = wish.named.as_ref().or(wish.usual.as_ref());
    let meant = meant.cloned().or_else(|| first_container(pod));
    let known = names(pod);
    if let Some(named) = &wish.named
        && !known.is_empty()
        && !known.contains(&named.as_str())
    {
        return Found::Nothing(format!("no container {named}, but {}", known.join(", ")));
    }
    let empty = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    let theirs = statuses(status).find(|it| Some(&it.name) == meant.as_ref());
    match theirs {
        Some(theirs) if has_log(theirs, wish.previous) => return Found::Log(run(theirs)),
        // Not a word of any container: who has begun has a log.
        None if statuses(status).next().is_none() && !is_pending(status) => {
            return Found::Log(Run {
                container: meant,
                id: None,
                over: false,
            });
        }
        _ => {}
    }
    let of = meant.map_or_else(String::new, |name| format!(" of container {name}"));
    let why = match (wish.previous, theirs) {
        (true, Some(theirs)) if has_log(theirs, false) => {
            format!("no run{of} before this one: it was not started again")
        }
        (true, _) => format!(
            "no run{of} before, since it has not begun: {}",
            waits(status)
        ),
        (false, _) => format!("no log{of} yet, since it waits: {}", waits(status)),
    };
    // Nobody named one: what keeps it from running has the last word.
    let mut others = statuses(status).filter(|it| wish.named.is_none() && is_in_trouble(it));
    match others.find(|other| has_log(other, wish.previous)) {
        Some(other) => Found::Instead(run(other), why),
        None => Found::Nothing(why),
    }
}

/// A consumer of the user's own where none is named; the API server takes none for granted where there are several.
fn first_container(pod: &Pod) -> Option<String> {
    let containers = &pod.spec.as_ref()?.containers;
    containers.first().map(|container| container.name.clone())
}

fn names(pod: &Pod) -> Vec<&str> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let before = spec.init_containers.iter().flatten();
    let all = before.chain(&spec.containers);
    all.map(|it: &Container| it.name.as_str()).collect()
}

/// In the order in which they begin.
fn statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let before = status.init_container_statuses.iter().flatten();
    before.chain(status.container_statuses.iter().flatten())
}

fn is_pending(status: &PodStatus) -> bool {
    status.phase.as_deref() == Some("Pending")
}

/// As the kubelet has it: of what runs or ran, and of the run before while the next is waited for.
fn has_log(container: &ContainerStatus, previous: bool) -> bool {
    let ended_before = container
        .last_state
        .as_ref()
        .is_some_and(|state| state.terminated.is_some());
    let state = container.state.as_ref();
    let begun = state.is_some_and(|state| state.running.is_some() || state.terminated.is_some());
    ended_before || (begun && !previous)
}

fn run(container: &ContainerStatus) -> Run {
    let runs = container
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some());
    Run {
        container: Some(container.name.clone()),
        id: container
            .container_id
            .clone()
            .or_else(|| Some(container.restart_count.to_string())),
        over: !runs,
    }
}

/// It ends again and again, or ended badly.
fn is_in_trouble(container: &ContainerStatus) -> bool {
    let Some(state) = &container.state else {
        return false;
    };
    let failed = state
        .terminated
        .as_ref()
        .is_some_and(|it| it.exit_code != 0);
    failed || (state.waiting.is_some() && container.restart_count > 0)
}

/// What a pod that has not begun waits for, as its containers say, else its conditions.
fn waits(status: &PodStatus) -> String {
    let waiting: Vec<_> = statuses(status)
        .filter_map(|container| {
            let waiting = container.state.as_ref()?.waiting.as_ref()?;
            Some((&container.name, waiting))
        })
        .collect();
    // Others wait only for one that says why.
    let told = waiting
        .iter()
        .find(|(_, waiting)| waiting.message.is_some());
    if let Some((name, waiting)) = told.or(waiting.first()) {
        let said = [&waiting.reason, &waiting.message].into_iter().flatten();
        let said: Vec<&str> = said.map(String::as_str).collect();
        return format!("container {name}: {}", said.join(": "));
    }
    let mut conditions = status.conditions.iter().flatten();
    let bad = conditions.find(|found| found.status == "False" && found.message.is_some());
    let said = bad.and_then(|found| found.message.clone());
    said.unwrap_or_else(|| "it is not scheduled yet".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "orders-1" },
            "spec": {
                "initContainers": [{ "name": "migrate" }],
                "containers": [{ "name": "worker" }, { "name": "app" }],
            },
            "status": status,
        }))
        .unwrap()
    }

    fn container(name: &str, restarts: i32, state: Value, last: Value) -> Value {
        json!({
            "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": restarts,
            "state": state, "lastState": last, "containerID": format!("containerd://{name}-{restarts}"),
        })
    }

    fn waiting(reason: &str) -> Value {
        json!({ "waiting": { "reason": reason } })
    }

    fn ended(code: i32) -> Value {
        json!({ "terminated": { "exitCode": code, "reason": "Error" } })
    }

    fn wish(named: Option<&str>, previous: bool) -> Wish {
        Wish {
            named: named.map(str::to_owned),
            usual: Some("worker".to_owned()),
            previous,
        }
    }

    fn said(found: Found) -> String {
        let of = |run: Run| run.container.unwrap_or_default();
        match found {
            Found::Log(run) => of(run),
            Found::Instead(run, why) => format!("{} instead, for {why}", of(run)),
            Found::Nothing(why) => why,
        }
    }

    #[test]
    fn a_pod_that_never_began_says_what_it_waits_for() {
        let none = json!({});
        let mut image = waiting("ErrImageNeverPull");
        image["waiting"]["message"] = json!("image is not present");
        let worker = container("worker", 0, waiting("ContainerCreating"), none.clone());
        let app = container("app", 0, image, none);
        let unschedulable = json!([{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available",
        }]);
        for (status, says) in [
            (
                json!({ "phase": "Pending", "containerStatuses": [worker, app] }),
                "container app: ErrImageNeverPull: image is not present",
            ),
            (
                json!({ "phase": "Pending", "containerStatuses": [worker] }),
                "container worker: ContainerCreating",
            ),
            (
                json!({ "phase": "Pending", "conditions": unschedulable }),
                "0/3 nodes are available",
            ),
            (json!({ "phase": "Pending" }), "it is not scheduled yet"),
        ] {
            let found = look(&pod(status), &wish(None, false));
            let says = format!("no log of container worker yet, since it waits: {says}");
            assert_eq!(found, Found::Nothing(says));
        }
        let running = look(&pod(json!({ "phase": "Running" })), &wish(None, false));
        assert_eq!(said(running), "worker");
    }

    #[test]
    fn what_crashes_before_the_worker_is_read_in_its_place() {
        let crashes = container("migrate", 4, waiting("CrashLoopBackOff"), ended(1));
        let worker = container("worker", 0, waiting("PodInitializing"), json!({}));
        let pod = pod(json!({
            "phase": "Pending", "initContainerStatuses": [crashes], "containerStatuses": [worker],
        }));
        let found = said(look(&pod, &wish(None, false)));
        let instead = "migrate instead, for no log of container worker yet, since it waits: container migrate: CrashLoopBackOff";
        assert_eq!(found, instead);
        let found = said(look(&pod, &wish(None, true)));
        assert!(found.starts_with("migrate instead, for no run"), "{found}");
        for previous in [false, true] {
            let found = look(&pod, &wish(Some("migrate"), previous));
            assert_eq!(said(found), "migrate");
        }
        // Who names one wants no other.
        let found = look(&pod, &wish(Some("worker"), false));
        assert!(matches!(found, Found::Nothing(_)), "{found:?}");
        let found = said(look(&pod, &wish(Some("wroker"), false)));
        assert_eq!(found, "no container wroker, but migrate, worker, app");
    }

    #[test]
    fn a_container_beside_the_worker_is_read_by_its_name_while_the_pod_is_pending() {
        let running = container("app", 0, json!({ "running": {} }), json!({}));
        let worker = container("worker", 0, waiting("PodInitializing"), json!({}));
        let pod = pod(json!({
            "phase": "Pending", "initContainerStatuses": [running], "containerStatuses": [worker],
        }));
        assert_eq!(said(look(&pod, &wish(Some("app"), false))), "app");
        // It is well, and not why the worker waits.
        let found = look(&pod, &wish(None, false));
        assert!(matches!(found, Found::Nothing(_)), "{found:?}");
    }

    #[test]
    fn the_run_before_is_that_of_the_container_that_had_one() {
        let running = json!({ "running": {} });
        let worker = container("worker", 0, running.clone(), json!({}));
        let app = container("app", 3, waiting("CrashLoopBackOff"), ended(137));
        let crashing = pod(json!({
            "phase": "Running", "containerStatuses": [worker.clone(), app],
        }));
        let found = said(look(&crashing, &wish(None, true)));
        assert_eq!(
            found,
            "app instead, for no run of container worker before this one: it was not started again"
        );
        let well = container("app", 0, running, json!({}));
        let well = pod(json!({ "phase": "Running", "containerStatuses": [worker, well] }));
        let found = look(&well, &wish(None, true));
        assert!(matches!(found, Found::Nothing(_)), "{found:?}");
    }
}
