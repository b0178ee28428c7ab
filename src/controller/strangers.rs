//! Members of a fleet's group that are none of its pods: another deployment, a program left on somebody's laptop. What
//! they take the fleet's handler never sees, and every ratio that scaling is made of is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::kafka::admin::Member;

/// A pod that is gone stays a member until its session has run out, 45 s by default.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a fleet's own members are known.
#[derive(Debug, Default)]
pub struct Ours<'a> {
    /// The Deployment's name.
    pub name: &'a str,
    /// It runs a program of the user's own, whose client id may be anything: then its address tells.
    pub own_consumer: bool,
    /// The topics that it reads.
    pub topics: &'a [String],
    /// Its pods' names.
    pods: BTreeSet<String>,
    /// Its pods' addresses.
    addresses: BTreeSet<String>,
}

impl<'a> Ours<'a> {
    /// Of the fleet `name`, with these pods.
    pub fn new<'p>(
        name: &'a str,
        own_consumer: bool,
        topics: &'a [String],
        pods: impl IntoIterator<Item = &'p Pod>,
    ) -> Self {
        let mut ours = Self {
            name,
            own_consumer,
            topics,
            ..Self::default()
        };
        for pod in pods {
            ours.pods.insert(pod.name_any());
            let status = pod.status.as_ref();
            let addresses = status.and_then(|status| status.pod_ips.as_ref());
            let addresses = addresses.into_iter().flatten();
            ours.addresses
                .extend(addresses.map(|address| address.ip.clone()));
        }
        ours
    }

    fn has(&self, member: &Member) -> bool {
        if self.own_consumer {
            self.addresses.contains(&*member.host)
        } else {
            self.pods.contains(&member.client_id) || self.named_like_ours(&member.client_id)
        }
    }

    /// `NAME-HASH-RANDOM`, as pods of a Deployment are called: one of ours that has gone.
    fn named_like_ours(&self, client_id: &str) -> bool {
        let rest = client_id.strip_prefix(self.name);
        let mut words = rest.unwrap_or_default().split('-');
        let is_word = |word: &str| !word.is_empty();
        words.next() == Some("")
            && words.next().is_some_and(is_word)
            && words.next().is_some_and(|word| word.len() == 5)
            && words.next().is_none()
    }

    /// Addresses say nothing if no pod comes to the broker with its own, as behind a NAT.
    fn can_tell(&self, members: &[Member]) -> bool {
        let seen = |member: &Member| self.addresses.contains(&*member.host);
        !self.own_consumer || self.pods.is_empty() || members.iter().any(seen)
    }

    /// It has records of ours, or waits for some.
    fn competes(&self, member: &Member) -> bool {
        let ours = |topic: &str| self.topics.iter().any(|known| known == topic);
        let mut partitions = member.partitions.iter();
        member.partitions.is_empty() || partitions.any(|partition| ours(&partition.topic))
    }
}

/// Since when each stranger is there, on the monotonic clock; by Kafka's name of the member.
#[derive(Debug, Default)]
pub struct Strangers {
    since: BTreeMap<String, Duration>,
}

impl Strangers {
    /// The strangers among a group's members that have been there for a while.
    pub fn among<'m>(
        &mut self,
        members: &'m [Member],
        ours: &Ours<'_>,
        now: Duration,
    ) -> Vec<&'m Member> {
        let can_tell = ours.can_tell(members);
        let strange = |member: &&Member| can_tell && !ours.has(member) && ours.competes(member);
        let present: Vec<&Member> = members.iter().filter(strange).collect();
        let before = std::mem::take(&mut self.since);
        let since = |id: &str| before.get(id).copied().unwrap_or(now);
        self.since = present
            .iter()
            .map(|member| (member.id.clone(), since(&member.id)))
            .collect();
        let stays = |member: &&Member| now.saturating_sub(self.since[&member.id]) >= PATIENCE;
        present.into_iter().filter(stays).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicPartition;
    use serde_json::json;

    fn member(client_id: &str, host: &str, topic: &str) -> Member {
        Member {
            id: format!("{client_id}-{host}"),
            client_id: client_id.to_owned(),
            host: host.into(),
            partitions: vec![TopicPartition::new(topic, 0)],
        }
    }

    fn pod(name: &str, ip: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name}, "status": {"podIPs": [{"ip": ip}]},
        }))
        .unwrap()
    }

    fn strange(own_consumer: bool, pods: &[Pod], members: &[Member]) -> Vec<String> {
        let topics = ["orders".to_owned()];
        let ours = Ours::new("shop", own_consumer, &topics, pods);
        let mut strangers = Strangers::default();
        let at = Duration::from_secs;
        assert!(strangers.among(members, &ours, at(100)).is_empty());
        let found = strangers.among(members, &ours, at(170)).into_iter();
        found.map(|member| member.client_id.clone()).collect()
    }

    #[test]
    fn workers_are_known_by_their_pods_names() {
        let pods = [pod("shop-7d9f-abcde", "10.0.0.1")];
        let members = [
            member("shop-7d9f-abcde", "10.0.0.1", "orders"),
            member("shop-6c8e-vwxyz", "10.0.0.2", "orders"),
            member("shop-eu-7d9f-abcde", "10.0.0.3", "orders"),
            member("rdkafka", "10.0.0.1", "orders"),
            member("rdkafka-2", "10.0.0.1", "invoices"),
        ];
        assert_eq!(
            strange(false, &pods, &members),
            ["shop-eu-7d9f-abcde", "rdkafka"]
        );
        assert_eq!(strange(false, &[], &members[3..4]), ["rdkafka"]);
    }

    #[test]
    fn consumers_of_ones_own_are_known_by_their_addresses_where_those_tell() {
        let pods = [pod("shop-7d9f-abcde", "10.0.0.1")];
        let ours = member("ruby", "10.0.0.1", "orders");
        let theirs = member("ruby", "10.9.9.9", "orders");
        assert_eq!(strange(true, &pods, &[ours, theirs.clone()]), ["ruby"]);
        // Behind a NAT all pods have an address that is no pod's.
        assert!(strange(true, &pods, std::slice::from_ref(&theirs)).is_empty());
        assert_eq!(strange(true, &[], &[theirs]), ["ruby"]);
    }

    #[test]
    fn one_that_went_and_came_again_is_a_new_one() {
        let topics = ["orders".to_owned()];
        let ours = Ours::new("shop", false, &topics, &[]);
        let mut strangers = Strangers::default();
        let members = [member("rdkafka", "10.0.0.1", "orders")];
        let at = Duration::from_secs;
        strangers.among(&members, &ours, at(0));
        strangers.among(&[], &ours, at(50));
        assert!(strangers.among(&members, &ours, at(100)).is_empty());
        assert_eq!(strangers.among(&members, &ours, at(160)).len(), 1);
    }
}
