//! Which pods should leave when a fleet shrinks: those whose leaving moves the least.
//!
//! Pure. Kubernetes removes pods that are not ready first and then those with the lowest
//! `pod-deletion-cost`; the cost is written just before the size is lowered, only to the pods that
//! are to leave, and taken away from those that were to leave once and stayed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::workload::has_ended;
use crate::api::names::ANNOTATION_DELETION_COST;
use crate::scaling::Sample;

/// The cost of a pod that is to leave; pods without a cost count as 0.
const LEAVING: &str = "-100";

/// A cost to write to a pod, or to take away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostChange {
    /// The pod.
    pub pod: String,
    /// The new cost; none takes the annotation away.
    pub cost: Option<&'static str>,
}

/// What to write so that the right `leaving` pods leave.
pub fn changes<'a>(
    pods: impl IntoIterator<Item = &'a Pod>,
    sample: Option<&Sample>,
    leaving: usize,
) -> Vec<CostChange> {
    let owned = partitions_by_owner(sample);
    let mut staying: Vec<&Pod> = pods
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none() && !has_ended(pod))
        .collect();
    staying.sort_by_cached_key(|pod| {
        let name = pod.name_any();
        let names = names(pod);
        let partitions = names.iter().filter_map(|name| owned.get(name));
        let partitions: usize = partitions.sum();
        // Of two that own as much the younger goes: its caches are colder.
        let age = pod
            .creation_timestamp()
            .map(|time| std::cmp::Reverse(time.0));
        (is_ready(pod), partitions, age, name)
    });
    let rest = staying.split_off(leaving.min(staying.len()));
    let to_write = staying.into_iter().map(|pod| (pod, Some(LEAVING)));
    let to_take_away = rest.into_iter().map(|pod| (pod, None));
    to_write
        .chain(to_take_away)
        .filter(|(pod, cost)| {
            let now = pod
                .annotations()
                .get(ANNOTATION_DELETION_COST)
                .map(String::as_str);
            // A cost that a user wrote to a pod that stays is the user's.
            now != *cost && (cost.is_some() || now == Some(LEAVING))
        })
        .map(|(pod, cost)| CostChange {
            pod: pod.name_any(),
            cost,
        })
        .collect()
}

/// How a pod is known in a sample: by its name, where it reports; else by its address, as the broker sees it.
fn names(pod: &Pod) -> BTreeSet<String> {
    let status = pod.status.as_ref();
    let addresses = status.and_then(|status| status.pod_ips.as_ref());
    let addresses = addresses.into_iter().flatten();
    let addresses = addresses.map(|address| same(&address.ip));
    addresses.chain([pod.name_any()]).collect()
}

/// Brokers and Kubernetes write an address of IPv6 each in their own way.
fn same(owner: &str) -> String {
    let address = owner.parse::<IpAddr>();
    address.map_or_else(
        |_| owner.to_owned(),
        |address| address.to_canonical().to_string(),
    )
}

fn partitions_by_owner(sample: Option<&Sample>) -> BTreeMap<String, usize> {
    let mut owned = BTreeMap::new();
    let partitions = sample
        .into_iter()
        .flat_map(|sample| sample.partitions.values());
    for pod in partitions.filter_map(|seen| seen.as_ref()?.pod.as_deref()) {
        *owned.entry(same(pod)).or_default() += 1;
    }
    owned
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::PartitionSample;
    use crate::topic::{Offset, TopicPartition};
    use jiff::Timestamp;
    use serde_json::json;

    fn pod(name: &str, cost: Option<&str>) -> Pod {
        let annotations = cost.map(|cost| json!({ ANNOTATION_DELETION_COST: cost }));
        serde_json::from_value(json!({
            "metadata": { "name": name, "annotations": annotations },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        }))
        .unwrap()
    }

    fn sample(owners: &[&str]) -> Sample {
        let partition = |(number, owner): (usize, &&str)| {
            let seen = PartitionSample {
                end: Offset(0),
                start: Offset(0),
                committed: None,
                beyond: None,
                stuck: None,
                pod: Some((*owner).to_owned()),
            };
            (TopicPartition::new("t", number as i32), Some(seen))
        };
        Sample {
            at: Timestamp::UNIX_EPOCH,
            partitions: owners.iter().enumerate().map(partition).collect(),
            pods: BTreeMap::new(),
            starts: Vec::new(),
            current: 3,
            ready: 3,
            rolling: false,
            held_up: false,
        }
    }

    fn leaving(pod: &str) -> CostChange {
        CostChange {
            pod: pod.into(),
            cost: Some(LEAVING),
        }
    }

    #[test]
    fn pods_with_the_fewest_partitions_leave() {
        let pods = [pod("a", None), pod("b", None), pod("c", None)];
        let sample = sample(&["a", "a", "b", "a"]);
        assert_eq!(changes(&pods, Some(&sample), 1), [leaving("c")]);
        assert_eq!(
            changes(&pods, Some(&sample), 2),
            [leaving("c"), leaving("b")]
        );
    }

    #[test]
    fn pods_that_do_not_report_are_known_by_their_addresses() {
        let at = |name: &str, addresses: &[&str]| {
            let mut pod = pod(name, None);
            let addresses = addresses.iter().map(|ip| json!({ "ip": ip }));
            let addresses = json!(addresses.collect::<Vec<_>>());
            let status = pod.status.as_mut().unwrap();
            status.pod_ips = serde_json::from_value(addresses).unwrap();
            pod
        };
        let pods = [
            at("a", &["10.0.0.1", "fd00::1"]),
            at("b", &["10.0.0.2", "fd00::2"]),
            at("c", &["10.0.0.3", "fd00::3"]),
        ];
        // As the broker has it from Java.
        let sixth = "fd00:0:0:0:0:0:0:3";
        let sample = sample(&["10.0.0.1", "10.0.0.1", "10.0.0.2", sixth, sixth]);
        assert_eq!(changes(&pods, Some(&sample), 1), [leaving("b")]);
    }

    #[test]
    fn a_pod_that_has_ended_takes_nobodys_place() {
        for phase in ["Failed", "Succeeded"] {
            let mut evicted = pod("evicted", None);
            let status = evicted.status.as_mut().unwrap();
            status.phase = Some(phase.to_owned());
            status.conditions = None;
            let pods = [pod("a", None), evicted, pod("b", None)];
            let sample = sample(&["a", "a", "b"]);
            assert_eq!(changes(&pods, Some(&sample), 1), [leaving("b")], "{phase}");
        }
    }

    #[test]
    fn a_cost_that_is_there_is_not_written_again() {
        let pods = [pod("a", Some(LEAVING)), pod("b", None)];
        assert_eq!(changes(&pods, Some(&sample(&["b"])), 1), []);
    }

    #[test]
    fn a_pod_that_stays_after_all_loses_our_cost_but_not_the_users() {
        let pods = [pod("a", Some(LEAVING)), pod("b", None), pod("c", Some("7"))];
        let taken = CostChange {
            pod: "a".into(),
            cost: None,
        };
        let sample = sample(&["a", "a", "c"]);
        assert_eq!(changes(&pods, Some(&sample), 1), [leaving("b"), taken]);
    }
}
