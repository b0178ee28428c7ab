//! The line by which librdkafka says that from now on it reads another topic under the same name.
//!
//! librdkafka asks for records by the topic's id. When brokers do not know that any more it asks for
//! the topic by its name, finds the new one, and reads on in it from the offset that it had in the old
//! one ("FIXME: an offset reset must be triggered", its source says). No event tells of it, but a line
//! of the debug context `metadata` does, which `client_config` asks for. The line is written before the
//! first record of the new topic is asked for, and comes through the same queue as records, ahead of
//! them: so it is in time.

use super::native::NO_TOPIC_ID;

/// A topic that is another one from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicChange<'a> {
    /// Its name.
    pub topic: &'a str,
    /// The id of what is read under that name from now on, in Base64.
    pub id: &'a str,
}

impl<'a> TopicChange<'a> {
    /// Reads a line of librdkafka's log; none if it says something else.
    pub fn of(facility: &str, line: &'a str) -> Option<Self> {
        if facility != "METADATA" {
            return None;
        }
        let (before, ids) = line.split_once(" changed id from ")?;
        // Names of topics have no spaces.
        let (_, topic) = before.rsplit_once("Topic ")?;
        let (_, id) = ids.trim_end().split_once(" to ")?;
        (id != NO_TOPIC_ID).then_some(Self { topic, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_a_change_is_one() {
        let line = "[thrd:main]: Topic Topic.a changed id from lZtYPFWLTF2NS84pTXLvCA to 3qXw_y0uQEKq9vXwTnJ2Yg";
        let change = TopicChange {
            topic: "Topic.a",
            id: "3qXw_y0uQEKq9vXwTnJ2Yg",
        };
        assert_eq!(TopicChange::of("METADATA", line), Some(change));
        assert_eq!(TopicChange::of("FAIL", line), None);
        let none = line.replace(change.id, NO_TOPIC_ID);
        assert_eq!(TopicChange::of("METADATA", &none), None);
        for other in [
            "[thrd:main]: Topic orders [0] Leader 1 Epoch 0",
            "[thrd:main]:   Topic orders changed id from",
            "",
        ] {
            assert_eq!(TopicChange::of("METADATA", other), None, "{other}");
        }
    }
}
