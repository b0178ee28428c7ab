//! What conditions say of pods: how many are ready, what they wait for, what keeps them from running and what to do.

use super::{Facts, Spec, handler, own_consumer};
use crate::controller::workload::{Trouble, Workload};
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
        "DeploymentPaused" => format!(
            "; kubectl rollout resume deployment/{} -n {}",
            fleet.name, fleet.namespace
        ),
        "QuotaExceeded" => "; raise the namespace's quota, or lower spec.scaling.maxReplicas and minReplicas, or the resources in spec.template".to_owned(),
        "ResourcesMissing" => "; a ResourceQuota of the namespace counts them: write them under resources of these containers in spec.template, or have a LimitRange give defaults".to_owned(),
        "LimitRangeViolation" => "; correct the resources in spec.template, or the namespace's LimitRange".to_owned(),
        _ => return None,
    })
}

/// A pod that runs says what it waits for in its log and in `/readyz`, which nobody has read here.
pub(super) fn not_ready_text(facts: &Facts<'_>, fleet: &Fleet, workload: &Workload) -> String {
    let (name, namespace) = (&fleet.name, &fleet.namespace);
    let so = ready_text(workload.ready, workload.size);
    match workload.waiting {
        0 => format!("{so}; the others are starting"),
        1 if own_consumer(facts) => format!(
            "{so}; 1 runs, and its readiness probe does not say yes so far: drover logs {name} -n {namespace} has what it says"
        ),
        waiting if own_consumer(facts) => format!(
            "{so}; {waiting} run, and their readiness probes do not say yes so far: drover logs {name} -n {namespace} has what they say"
        ),
        waiting if facts.handler_told.is_some() => {
            let run = if waiting == 1 {
                "1 runs, and does"
            } else {
                "some run, and do"
            };
            let why = facts.handler_told.unwrap_or_default();
            format!(
                "{so}; {run} not reach the handler: {}",
                handler::away_text(why, fleet)
            )
        }
        1 => format!(
            "{so}; 1 runs, and begins, or waits for its handler or for Kafka: drover logs {name} -n {namespace} says for what"
        ),
        waiting => format!(
            "{so}; {waiting} run, and begin, or wait for their handler or for Kafka: drover logs {name} -n {namespace} says for what"
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
