//! What settings are called where a replay was asked for: flags, or fields of a resource. Pure.

/// The names of settings in sentences that say what to do.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Where the brokers are named.
    pub bootstrap: &'static str,
    /// Where properties of librdkafka, and credentials, are named.
    pub property: &'static str,
    /// Where the dead-letter topic is named.
    pub topic: &'static str,
    /// Where the target is named.
    pub to: &'static str,
    /// Where topics that letters came from are named.
    pub origin_topic: &'static str,
    /// Where a place in the dead-letter topic is named.
    pub offsets: &'static str,
    /// What has letters moved once more.
    pub again: &'static str,
    /// What goes on where a replay ended.
    pub next: &'static str,
}

/// As flags of `drover dlq`.
pub const FLAGS: Words = Words {
    bootstrap: "--bootstrap",
    property: "--property",
    topic: "--topic",
    to: "--to",
    origin_topic: "--origin-topic",
    offsets: "--partition and --offsets",
    again: "add --again",
    next: "the same command",
};

/// As flags of a command that is told of Kafka by a KafkaConsumer.
pub const FLAGS_AND_CONSUMER: Words = Words {
    bootstrap: "the KafkaConsumer's spec.kafka.bootstrapServers",
    property: "the KafkaConsumer's spec.kafka",
    topic: "the KafkaConsumer's spec.delivery.deadLetter.topic",
    ..FLAGS
};

/// As fields of a `DeadLetterReplay` and its KafkaConsumer.
pub const FIELDS: Words = Words {
    bootstrap: "spec.kafka.bootstrapServers of the KafkaConsumer",
    property: "spec.kafka of the KafkaConsumer",
    topic: "spec.delivery.deadLetter.topic of the KafkaConsumer",
    to: "spec.to in another DeadLetterReplay",
    origin_topic: "spec.filter.originTopics",
    offsets: "spec.filter.partition and spec.filter.offsets in another DeadLetterReplay",
    again: "use drover dlq replay --again",
    next: "the next attempt",
};
