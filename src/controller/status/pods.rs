//! What conditions say of pods: how many are ready, what they wait for, what keeps them from running and what to do.

use super::{Facts, Spec, handler, own_consumer};
use crate::controller::workload::{Trouble, Workload};
use crate::fleet::service::authority;
use crate::fleet::{Fleet, Handler};
use crate::plural::part_are;

/// What to do about a trouble of pods that Kubernetes does not say itself.
pub(super) fn remedy(trouble: &Trouble, fleet: &Fleet) -> Option<String> {
    Some(match trouble.reason.as_str() {
        "ErrImagePull" | "ImagePullBackOff" => {
            "; check the image's name and imagePullSecrets in spec.template".to_owned()
        }
        "CrashLoopBackOff" => {
            let of_a_record = match &fleet.handler {
                Handler::Exec { .. } => {
                    "; if it is killed for a record (137, its memory limit), what was in hand is tried one by one, and the guilty record given no more, after about three restarts: the log names them"
                }
                _ => "",
            };
            let of = trouble.container.as_ref();
            let of = of.map_or_else(String::new, |container| format!(" -c {container}"));
            format!(
                "; drover logs {} -n {} -p{of} has the last words of the run before{of_a_record}",
                fleet.name, fleet.namespace
            )
        }
        "Unschedulable" => "; add nodes, or lower resources in spec.template".to_owned(),
        "SchedulingGated" => "; whoever set schedulingGates in spec.template has to lift them".to_owned(),
        "NodeNotReady" => "; look at that node (kubectl describe node): its pods are made anew elsewhere after some minutes".to_owned(),
        "DeploymentPaused" => format!(
            "; kubectl rollout resume deployment/{} -n {}",
            fleet.name, fleet.namespace
        ),
        "FailedCreate" if trouble.message.contains(" not found") || trouble.message.contains("no PriorityClass") => "; create what it names, or correct its name in spec.template".to_owned(),
        "FailedCreate" => "; meet in spec.template what it asks for, or have it spare this namespace".to_owned(),
        "QuotaExceeded" => "; raise the namespace's quota, or lower spec.scaling.maxReplicas and minReplicas, or the resources in spec.template".to_owned(),
        "ResourcesMissing" => "; a ResourceQuota of the namespace counts them: write them under resources of these containers in spec.template, or have a LimitRange give defaults".to_owned(),
        "LimitRangeViolation" => "; correct the resources in spec.template, or the namespace's LimitRange".to_owned(),
        _ => return None,
    })
}

/// Not all pods are ready: what the others wait for.
pub(super) fn not_ready_text(facts: &Facts<'_>, fleet: &Fleet, workload: &Workload) -> String {
    let so = ready_text(workload.ready, workload.size);
    let others = match (workload.waiting, facts.handler_told) {
        (0, _) => "the others are starting".to_owned(),
        (waiting, Some(why)) if !own_consumer(facts) => {
            let run = match waiting {
                1 => "1 runs, and does",
                _ => "some run, and do",
            };
            let why = handler::away_text(why, fleet);
            format!("{run} not reach the handler: {why}")
        }
        (waiting, _) => waiting_text(facts, fleet, waiting),
    };
    format!("{so}; {others}")
}

/// Pods run and are not ready. What they wait for they say in their logs and in `/readyz`, which nobody has read here.
fn waiting_text(facts: &Facts<'_>, fleet: &Fleet, waiting: u32) -> String {
    let logs = format!("drover logs {} -n {}", fleet.name, fleet.namespace);
    let at = match &fleet.handler {
        Handler::Url(url) => authority(url).map(|authority| format!(" ({authority})")),
        _ => None,
    };
    let at = at.unwrap_or_default();
    match waiting {
        1 if own_consumer(facts) => format!(
            "1 runs, and its readiness probe does not say yes so far: {logs} has what it says"
        ),
        waiting if own_consumer(facts) => format!(
            "{waiting} run, and their readiness probes do not say yes so far: {logs} has what they say"
        ),
        1 => format!(
            "1 runs, and begins, or waits for its handler{at} or for Kafka: {logs} says for what"
        ),
        waiting => format!(
            "{waiting} run, and begin, or wait for their handler{at} or for Kafka: {logs} says for what"
        ),
    }
}

/// Records wait, and not one pod is ready.
pub(super) fn nobody_handles_text(facts: &Facts<'_>, workload: &Workload) -> String {
    let why = match (facts.spec, workload.troubles.first()) {
        (Spec::Good(fleet), Some(trouble)) => {
            let remedy = remedy(trouble, fleet).unwrap_or_default();
            format!("{}{remedy}", trouble.message)
        }
        (Spec::Bad(_), Some(trouble)) => trouble.message.clone(),
        (Spec::Good(fleet), None) => not_ready_text(facts, fleet, workload),
        (Spec::Bad(_), None) => ready_text(workload.ready, workload.size),
    };
    format!(
        "records wait, and no pod has been ready for longer than pods take to start; they are handled as soon as one is: {why}"
    )
}

/// How many of the pods are ready.
pub(super) fn ready_text(ready: u32, size: u32) -> String {
    format!("{} ready", part_are(ready.into(), size.into(), "pod"))
}

/// A roll-out is under way.
pub(super) fn rolling_text(replicas: u32) -> String {
    format!("pods are being replaced by pods of the new template ({replicas} exist)")
}

/// The same, with what pods wait for that run and are not ready. Those before them work on, so that it may be one of
/// these that speaks of its handler.
pub(super) fn rolling_wait_text(facts: &Facts<'_>, fleet: &Fleet, workload: &Workload) -> String {
    let so = rolling_text(workload.replicas);
    if workload.waiting == 0 {
        return so;
    }
    let waiting = waiting_text(facts, fleet, workload.waiting);
    match facts.handler_told.filter(|_| !own_consumer(facts)) {
        Some(why) => format!(
            "{so}; {waiting}; a pod reports that it does not reach the handler: {}",
            handler::away_text(why, fleet)
        ),
        None => format!("{so}; {waiting}"),
    }
}
