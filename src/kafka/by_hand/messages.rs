//! What is asked of many groups, and what the answer says of each.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::kafka::admin::{Answers, Committed, Error};
use crate::kafka::native::answers::{Failure, words};
use crate::topic::{Offset, TopicPartition};

/// Groups, and partitions, in one question: an answer has some hundred bytes for each partition.
const MOST_GROUPS: usize = 200;
const MOST_PARTITIONS: usize = 5000;

/// What is asked for of a group.
pub type Partitions = Vec<TopicPartition>;

/// Parts of `share` that are each one question.
pub fn questions<'a, 'b>(
    share: &'b [(&'a String, &'a Partitions)],
) -> Vec<&'b [(&'a String, &'a Partitions)]> {
    let mut questions = Vec::new();
    let (mut begin, mut partitions) = (0, 0);
    for (index, (_, more)) in share.iter().enumerate() {
        let is_full = index - begin == MOST_GROUPS || partitions + more.len() > MOST_PARTITIONS;
        if is_full && index > begin {
            questions.push(&share[begin..index]);
            (begin, partitions) = (index, 0);
        }
        partitions += more.len();
    }
    if begin < share.len() {
        questions.push(&share[begin..]);
    }
    questions
}

/// One question.
pub fn request(groups: &[(&String, &Partitions)]) -> OffsetFetchRequest {
    let groups = groups.iter().map(|(group, partitions)| {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in *partitions {
            topics
                .entry(&partition.topic)
                .or_default()
                .push(partition.partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            OffsetFetchRequestTopics::default()
                .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
                .with_partition_indexes(partitions)
        });
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(StrBytes::from_string((*group).clone())))
            .with_topics(Some(topics.collect()))
    });
    OffsetFetchRequest::default().with_groups(groups.collect())
}

/// What is said of a group; None if that is not all that was asked for, or an error.
pub fn read(
    said: &OffsetFetchResponseGroup,
    asked: &[TopicPartition],
) -> Option<Answers<Committed>> {
    if said.error_code != 0 {
        return None;
    }
    let mut offsets: BTreeMap<(&str, i32), Result<Committed, Error>> = BTreeMap::new();
    for topic in &said.topics {
        for partition in &topic.partitions {
            let metadata = partition.metadata.as_ref();
            let committed = match i32::from(partition.error_code) {
                0 => Ok(Committed {
                    offset: (partition.committed_offset >= 0)
                        .then_some(Offset(partition.committed_offset)),
                    metadata: metadata.map_or_else(Vec::new, |text| text.as_bytes().to_vec()),
                }),
                code => Err(Error::of(Failure {
                    code,
                    message: words(code),
                })),
            };
            offsets.insert((topic.name.as_str(), partition.partition_index), committed);
        }
    }
    // Under the names that the caller has already, which fleets share.
    asked
        .iter()
        .map(|partition| {
            let committed = offsets.remove(&(&*partition.topic, partition.partition))?;
            Some((partition.clone(), committed))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(count: i32) -> Partitions {
        (0..count)
            .map(|number| TopicPartition::new("orders", number))
            .collect()
    }

    #[test]
    fn questions_hold_all_groups_once_and_not_too_much() {
        let (small, large, huge) = (partitions(3), partitions(2000), partitions(9000));
        let names: Vec<String> = (0..700).map(|number| format!("group-{number}")).collect();
        let of = |number: usize| match number % 100 {
            0 => &large,
            1 => &huge,
            _ => &small,
        };
        let share: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| (name, of(number)))
            .collect();
        let questions = questions(&share);
        assert_eq!(questions.concat(), share);
        for question in questions {
            let all: usize = question
                .iter()
                .map(|(_, partitions)| partitions.len())
                .sum();
            assert!(question.len() <= MOST_GROUPS);
            assert!(all <= MOST_PARTITIONS || question.len() == 1, "{all}");
        }
        assert!(super::questions(&[]).is_empty());
    }

    #[test]
    fn a_group_of_which_not_all_is_said_is_not_answered() {
        use kafka_protocol::messages::offset_fetch_response::{
            OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
        };
        let partition = |number: i32, offset, code: i16| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(number)
                .with_committed_offset(offset)
                .with_metadata(Some(StrBytes::from_static_str("said")))
                .with_error_code(code)
        };
        let group = |partitions| {
            let topic = OffsetFetchResponseTopics::default()
                .with_name(TopicName(StrBytes::from_static_str("orders")))
                .with_partitions(partitions);
            OffsetFetchResponseGroup::default().with_topics(vec![topic])
        };
        let all = group(vec![
            partition(0, 7, 0),
            partition(1, -1, 0),
            partition(2, -1, 3),
        ]);
        let answers = read(&all, &partitions(3)).unwrap();
        let said = |offset| {
            Ok(Committed {
                offset,
                metadata: b"said".to_vec(),
            })
        };
        let expected = [said(Some(Offset(7))), said(None), Err(Error::Missing)];
        assert_eq!(answers.into_values().collect::<Vec<_>>(), expected);
        assert!(read(&all, &partitions(4)).is_none());
        assert!(read(&all.clone().with_error_code(16), &partitions(3)).is_none());
        assert!(read(&group(Vec::new()), &partitions(1)).is_none());
    }
}
