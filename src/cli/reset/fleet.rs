//! Whose offsets are set, and what stands in the way: offsets of a group with members are theirs, and a fleet that is not
//! paused gets members at any time.

use anyhow::bail;
use kube::ResourceExt;

use crate::api::KafkaConsumer;
use crate::cli::cluster::Cluster;
use crate::cli::connection::{Connection, ConnectionArgs, group_id};
use crate::kafka::admin::{Admin, Error, Group};
use crate::plural::noun;

/// Members that are named.
const NAMED: usize = 3;

/// A KafkaConsumer of a cluster or of a file, or a group of something else.
pub(super) struct Fleet {
    /// Where it is; none of a file.
    pub cluster: Option<Cluster>,
    /// None where only a group is named.
    pub consumer: Option<KafkaConsumer>,
    /// The KafkaConsumer's; the group's where that is named by itself.
    pub name: String,
    pub group: String,
    /// The group is named by itself: whoever is in it, it is no KafkaConsumer's pods.
    by_group: bool,
    /// What a command in a message needs behind its name.
    here: String,
}

impl Fleet {
    /// Finds it, and how its Kafka is reached.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub async fn find(
        args: &ConnectionArgs,
        group: Option<&str>,
    ) -> anyhow::Result<(Self, Connection)> {
        let (cluster, connection) = match (&args.file, &args.name) {
            (None, None) if group.is_none() => {
                bail!(
                    "no KafkaConsumer is named; the offsets of its group are set: name it, or give its file with -f; or name a group with --group and --topic"
                )
            }
            (None, Some(name)) if group.is_some() => {
                bail!(
                    "KafkaConsumer {name} says its group; leave --group away, or, to set those of another group, name no KafkaConsumer and add --bootstrap and --topic"
                )
            }
            (None, Some(name)) => {
                let cluster = Cluster::connect(&args.cluster).await?;
                let consumer = cluster.consumer(name).await?;
                let connection = args.to(&cluster, consumer).await?;
                (Some(cluster), connection)
            }
            (Some(_) | None, _) => (None, args.resolve().await?),
        };
        let consumer = connection.consumer.clone();
        // Of a file with --group only the topics count, and how Kafka is reached.
        let named = consumer.as_ref().filter(|_| group.is_none());
        let Some(group) = group.map(str::to_owned).or(named.map(group_id)) else {
            bail!("no KafkaConsumer is named; name it, or give its file with -f");
        };
        let namespace = match &cluster {
            Some(cluster) => Some(cluster.namespace.clone()),
            None => named.and_then(ResourceExt::namespace),
        };
        let fleet = Self {
            name: named.map_or_else(|| group.clone(), ResourceExt::name_any),
            by_group: named.is_none(),
            group,
            here: namespace.map_or_else(String::new, |namespace| format!(" -n {namespace}")),
            cluster,
            consumer,
        };
        Ok((fleet, connection))
    }

    /// What is to be written before offsets are.
    pub fn to_confirm(&self) -> &'static str {
        match self.by_group {
            true => "the group's name",
            false => "the KafkaConsumer's name",
        }
    }

    /// What lets it go on.
    pub fn go_on(&self) -> String {
        match self.by_group {
            true => "start again what reads in it".to_owned(),
            false => format!("let it go on: drover resume {}{}", self.name, self.here),
        }
    }

    /// Why its offsets cannot be set now, and what to do; nothing where they can.
    ///
    /// # Errors
    /// If that cannot be found out.
    pub async fn obstacle(
        &self,
        connection: &Connection,
        admin: &Admin,
    ) -> anyhow::Result<Option<String>> {
        if let Some(obstacle) = self.not_paused().await? {
            return Ok(Some(obstacle));
        }
        let group = &self.group;
        let asked = connection.ask(async |timeout| admin.group(group, timeout).await);
        match asked.await {
            Ok(Group { members, .. }) if !members.is_empty() => {
                let names = members.iter().map(|member| member.client_id.as_str());
                Ok(Some(self.busy(&names.collect::<Vec<_>>())))
            }
            // A broker that cannot describe groups still refuses the write if there are members.
            Ok(_) | Err(Error::NoSuchGroup | Error::Unsupported(_)) => Ok(None),
            Err(error) => {
                let what = format!("look for members of group {group}");
                Err(connection.explain(&what, &error))
            }
        }
    }

    /// As [`Fleet::obstacle`], of the KafkaConsumer alone, as it is now.
    ///
    /// # Errors
    /// If the API server does not say.
    pub async fn not_paused(&self) -> anyhow::Result<Option<String>> {
        let Some(cluster) = &self.cluster else {
            return Ok(None);
        };
        let now = cluster.consumer(&self.name).await?;
        Ok((!now.spec.paused).then(|| {
            format!(
                "KafkaConsumer {} is not paused, so that pods of it commit, or may come at any time; pause it first: {}",
                self.name,
                self.pause()
            )
        }))
    }

    /// That the group has members: those with these names, if they are known.
    pub fn busy(&self, members: &[&str]) -> String {
        let count = members.len();
        let said = match count {
            0 => "members".to_owned(),
            _ => {
                let more = match count.saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let named = members[..count.min(NAMED)].join(", ");
                format!("{count} {} ({named}{more})", noun("member", count))
            }
        };
        let group = &self.group;
        let remedy = match self.cluster {
            None if self.by_group => {
                "stop them first; if they are pods of a KafkaConsumer, name that instead of its group".to_owned()
            }
            // It is paused, or that had been said.
            Some(_) => format!(
                "wait until drover status {name}{here} says Paused and no pod is left; members that are no pods of it have to be stopped where they run",
                name = self.name,
                here = self.here
            ),
            None => format!(
                "stop them; if they are pods of a KafkaConsumer, pause it first: {}",
                self.pause()
            ),
        };
        format!("group {group} has {said}, and its offsets are theirs; {remedy}")
    }

    fn pause(&self) -> String {
        let whose = format!("{}{}", self.name, self.here);
        format!("drover pause {whose}; wait until drover status {whose} says Paused")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_named_with_what_stops_them() {
        let consumer: KafkaConsumer = serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "namespace": "shop" },
            "spec": { "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } } },
        }))
        .unwrap();
        let fleet = Fleet {
            cluster: None,
            name: "orders".to_owned(),
            group: group_id(&consumer),
            by_group: false,
            here: " -n shop".to_owned(),
            consumer: Some(consumer),
        };
        let one = fleet.busy(&["orders-a"]);
        for part in [
            "group shop.orders has 1 member (orders-a), and",
            "drover pause orders -n shop;",
            "drover status orders -n shop says Paused",
        ] {
            assert!(one.contains(part), "{one}");
        }
        let many = fleet.busy(&["a", "b", "c", "d", "e"]);
        assert!(many.contains("5 members (a, b, c and 2 more)"), "{many}");
        let unknown = fleet.busy(&[]);
        assert!(unknown.contains("has members, and"), "{unknown}");
    }
}
