//! Where a fleet reads, and whether that is another place than its pods know.
//!
//! Pure. By the pods' own configuration, so that a controller that has just started sees it too.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use crate::api::StartAt;
use crate::fleet::{ENV_BOOTSTRAP_SERVERS, ENV_GROUP_ID, ENV_TOPICS, Fleet};
use crate::k8s::packed;
use crate::lag::Offsets;
use crate::worker_config::ENV_CONFIG;

/// Brokers, group and topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    bootstrap_servers: String,
    group_id: String,
    topics: BTreeSet<String>,
}

/// What of a fleet's place its pods do not know yet, as far as `startAt` says something of it: where it says the
/// oldest record, pods begin there by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// The brokers or the group: whatever the pods have committed is of another place.
    pub elsewhere: bool,
    /// Topics; only of a fleet without pods, as nobody else may commit for a group that has members.
    pub added: BTreeSet<String>,
}

impl Place {
    /// Where the fleet reads by its spec.
    pub fn of(fleet: &Fleet) -> Self {
        Self {
            bootstrap_servers: fleet.bootstrap_servers.clone(),
            group_id: fleet.group_id.clone(),
            topics: fleet.topics.iter().cloned().collect(),
        }
    }

    /// Where the pods of a Deployment read; none where its template does not say.
    fn of_pods(deployment: &Deployment) -> Option<Self> {
        // In the cache it is packed.
        let packed = &deployment.spec.template;
        let unpacked = packed::unpacked(packed);
        let template = unpacked.as_ref().unwrap_or(packed).spec.as_ref()?;
        let containers = template.containers.iter();
        let env = containers.flat_map(|container| container.env.iter().flatten());
        let value = |name: &str| env.clone().find(|set| set.name == name)?.value.clone();
        if let Some(text) = value(ENV_CONFIG) {
            let config: Value = serde_json::from_str(&text).ok()?;
            let text = |name: &str| config[name].as_str().map(str::to_owned);
            let topics = config["topics"].as_array()?.iter();
            return Some(Self {
                bootstrap_servers: text("bootstrapServers")?,
                group_id: text("groupId")?,
                topics: topics
                    .filter_map(|it| it.as_str().map(str::to_owned))
                    .collect(),
            });
        }
        Some(Self {
            bootstrap_servers: value(ENV_BOOTSTRAP_SERVERS)?,
            group_id: value(ENV_GROUP_ID)?,
            topics: value(ENV_TOPICS)?.split(',').map(str::to_owned).collect(),
        })
    }
}

impl Move {
    /// What the pods of this Deployment, of which there are to be `size`, do not know yet.
    pub fn of(fleet: &Fleet, deployment: Option<&Deployment>, size: u32) -> Self {
        let deployment = deployment.filter(|_| fleet.start_at != StartAt::Earliest);
        let Some(pods) = deployment.and_then(Place::of_pods) else {
            return Self::default();
        };
        let place = Place::of(fleet);
        let elsewhere = (&pods.bootstrap_servers, &pods.group_id)
            != (&place.bootstrap_servers, &place.group_id);
        let mut added = BTreeSet::new();
        if size == 0 {
            added = place.topics.difference(&pods.topics).cloned().collect();
            // What is in it was sent there for this fleet.
            if let Some(retry) = &fleet.delivery.retry_topic {
                added.remove(retry);
            }
        }
        Self { elsewhere, added }
    }

    /// The group has committed something, and something of each topic that was added.
    pub fn has_begun(&self, offsets: &Offsets) -> bool {
        let seen = offsets.partitions.iter();
        let committed =
            seen.filter(|(_, seen)| seen.as_ref().is_some_and(|it| it.committed.is_some()));
        let topics: BTreeSet<&str> = committed.map(|(it, _)| &*it.topic).collect();
        !topics.is_empty() && self.added.iter().all(|it| topics.contains(it.as_str()))
    }

    /// There is nothing that pods do not know.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::KafkaConsumer;
    use crate::fleet::{References, validate, worker_config, worker_config_text};

    fn fleet(brokers: &str, topics: &[&str], start_at: &str) -> Fleet {
        let document = json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": "fleet", "namespace": "shop", "uid": "u" },
            "spec": {
                "kafka": { "bootstrapServers": brokers }, "topics": topics, "startAt": start_at,
                "handler": { "http": { "url": "http://users/kafka" } },
                "delivery": { "deadLetter": { "topic": "dead", "retryTopic": "retry" } },
            },
        });
        let consumer: KafkaConsumer = serde_json::from_value(document).unwrap();
        validate(&consumer, &References::default()).unwrap()
    }

    fn with_env(env: serde_json::Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": { "name": "fleet" },
            "spec": { "selector": {}, "template": { "spec": {
                "containers": [{ "name": "c" }, { "name": "worker", "env": env }] } } },
        }))
        .unwrap()
    }

    fn deployment(fleet: &Fleet) -> Deployment {
        let text = worker_config_text(&worker_config(fleet).unwrap());
        let mut deployment = with_env(json!([{ "name": ENV_CONFIG, "value": text }]));
        packed::pack_template(&mut deployment.spec.template);
        deployment
    }

    #[test]
    fn pods_do_not_know_of_other_brokers_and_of_topics_that_were_added() {
        let before = deployment(&fleet("old:9092", &["a"], "Latest"));
        let of = |fleet: &Fleet, size| Move::of(fleet, Some(&before), size);
        assert!(of(&fleet("old:9092", &["a"], "Latest"), 0).is_none());
        let elsewhere = of(&fleet("new:9092", &["a"], "Latest"), 3);
        assert!(elsewhere.elsewhere && elsewhere.added.is_empty());
        let more = fleet("old:9092", &["a", "b"], "2026-01-01T00:00:00Z");
        assert_eq!(of(&more, 0).added, ["b".to_owned()].into());
        // Its group has members.
        assert!(of(&more, 1).is_none());
        // Pods begin there by themselves.
        assert!(of(&fleet("new:9092", &["a", "b"], "Earliest"), 0).is_none());
    }

    #[test]
    fn a_retry_topic_that_is_added_is_read_from_its_first_record() {
        let mut before = fleet("k:1", &["a"], "Latest");
        before.topics = vec!["a".to_owned()];
        let now = fleet("k:1", &["a"], "Latest");
        assert_eq!(now.topics, ["a", "retry"]);
        assert!(Move::of(&now, Some(&deployment(&before)), 0).is_none());
    }

    #[test]
    fn a_consumer_of_the_users_own_is_known_by_its_environment() {
        let env = |brokers: &str| {
            with_env(json!([
                { "name": ENV_BOOTSTRAP_SERVERS, "value": brokers },
                { "name": ENV_GROUP_ID, "value": "shop.fleet" },
                { "name": ENV_TOPICS, "value": "a,retry" },
            ]))
        };
        let now = fleet("k:1", &["a"], "Latest");
        assert!(Move::of(&now, Some(&env("k:1")), 2).is_none());
        assert!(Move::of(&now, Some(&env("old:1")), 2).elsewhere);
        // Of a template that says nothing nothing is known.
        assert!(Move::of(&now, Some(&with_env(json!([]))), 2).is_none());
        assert!(Move::of(&now, None, 0).is_none());
    }
}
