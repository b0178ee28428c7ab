//! A member's commit over a connection of its own.
//!
//! A broker answers what is asked over one connection in turn. A member of a classic group that has asked to join again is
//! answered when all others have, so that a commit which librdkafka sends behind that waits as long: for one that is dead or
//! frozen up to its session, or the poll interval. Kafka takes commits of the present generation all the while, over another
//! connection; librdkafka, as of 2.12, has one only.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    ApiKey, GroupId, OffsetCommitRequest, OffsetCommitResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::connection::{Connection, Trouble};
use super::coordinator::coordinator;
use super::way::Way;
use crate::kafka::client_config;
use crate::kafka::consumer::{Commit, Place};
use crate::topic::TopicPartition;

/// The first version of today's encoding; static members are in it since the seventh.
const OFFSET_COMMIT: i16 = 8;

/// A member of a group, and how to reach the brokers.
#[derive(Clone)]
pub struct Committer {
    way: Way,
    group: String,
    instance: Option<String>,
}

impl Committer {
    /// Of a static member if `instance` is its name. None where it is not known how brokers are reached without librdkafka.
    pub fn of(
        connection: &client_config::Connection<'_>,
        group: &str,
        instance: Option<&str>,
    ) -> Option<Self> {
        Some(Self {
            way: Way::of(connection)?,
            group: group.to_owned(),
            instance: instance.map(str::to_owned),
        })
    }

    /// Commits all of these as who is at `place` in the group. It may take as long as a broker takes to answer.
    ///
    /// # Errors
    /// If no broker answers, or the group's coordinator refuses any of them: each may have been taken.
    pub async fn commit(&self, place: &Place, commits: &[Commit]) -> Result<(), Trouble> {
        let Some(request) = request(&self.group, self.instance.as_deref(), place, commits) else {
            return Err(Trouble::Unreadable("it is no member".to_owned()));
        };
        let (host, port) = coordinator(&self.way, &self.group).await?;
        let (key, version) = (ApiKey::OffsetCommit, OFFSET_COMMIT);
        let mut connection = Connection::open(&host, port, &self.way, &[(key, version)]).await?;
        let answer: OffsetCommitResponse = connection.ask(key, version, &request).await?;
        let topics = answer.topics.iter();
        let mut answers = topics.flat_map(|topic| &topic.partitions);
        if let Some(refused) = answers.find(|partition| partition.error_code != 0) {
            return Err(Trouble::Refused("OffsetCommit", refused.error_code));
        }
        let answered = answer.topics.iter().map(|topic| topic.partitions.len());
        match answered.sum::<usize>() == commits.len() {
            true => Ok(()),
            false => Err(Trouble::Unreadable("not all is answered".to_owned())),
        }
    }
}

/// None of who is not in the group.
fn request(
    group: &str,
    instance: Option<&str>,
    place: &Place,
    commits: &[Commit],
) -> Option<OffsetCommitRequest> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let generation = place.generation.filter(|_| !place.id.is_empty())?;
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for commit in commits {
        let TopicPartition { topic, partition } = &commit.partition;
        let committed = OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(commit.offset.0)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text(&commit.metadata)));
        topics.entry(topic).or_default().push(committed);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(partitions)
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(&place.id))
        .with_group_instance_id(instance.map(text))
        .with_topics(topics.collect());
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Offset;

    #[test]
    fn only_a_member_commits_and_says_in_which_generation() {
        let commit = |topic: &str, partition| Commit {
            partition: TopicPartition::new(topic, partition),
            offset: Offset(7),
            metadata: "said".to_owned(),
        };
        let commits = [commit("b", 0), commit("a", 1), commit("b", 2)];
        let place = |generation, id: &str| Place {
            generation,
            id: id.to_owned(),
        };
        let of = |place| request("group", Some("pod-1"), &place, &commits);
        assert_eq!(of(place(None, "id")), None);
        assert_eq!(of(place(Some(3), "")), None);
        let request = of(place(Some(3), "id")).unwrap();
        assert_eq!(request.generation_id_or_member_epoch, 3);
        assert_eq!(request.member_id.as_str(), "id");
        assert_eq!(request.group_instance_id.unwrap().as_str(), "pod-1");
        let partitions = |topic: &OffsetCommitRequestTopic| {
            let partitions = topic.partitions.iter();
            let places = partitions.map(|partition| partition.partition_index);
            (topic.name.to_string(), places.collect::<Vec<_>>())
        };
        let topics: Vec<_> = request.topics.iter().map(partitions).collect();
        assert_eq!(
            topics,
            [("a".to_owned(), vec![1]), ("b".to_owned(), vec![0, 2])]
        );
    }
}
