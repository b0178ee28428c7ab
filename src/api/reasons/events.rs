//! Events: one for each transition, none for a state that lasts.

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its reason.
    pub word: &'static str,
    /// Somebody should look.
    pub warning: bool,
    /// When it is written.
    pub when: &'static str,
}

const fn normal(word: &'static str, when: &'static str) -> Event {
    Event {
        word,
        warning: false,
        when,
    }
}

const fn warning(word: &'static str, when: &'static str) -> Event {
    Event {
        word,
        warning: true,
        when,
    }
}

/// All of them, but for those that have the reason of children or pods that fail.
pub const ALL: &[Event] = &[
    normal(
        "Scaled",
        "the size was changed; the note says from what to what, and why",
    ),
    warning(
        "ResizedByOther",
        "somebody else set the Deployment's size, an autoscaler that targets it, say; the note says who, and what to do; at most once in ten minutes",
    ),
    normal(
        "DriftCorrected",
        "a child that somebody else had changed or deleted was put right; the note has the fields",
    ),
    warning(
        "InvalidSpec",
        "the spec is not good, or became bad in another way; the note has all problems",
    ),
    warning(
        "UnknownField",
        "spec.template has a field that does not exist, such as a misspelt one, which pods do not have; the note has the nearest that does. Ready says it for as long as it is so",
    ),
    warning("Unreadable", "the resource cannot be read at all"),
    warning("KafkaUnreachable", "KafkaReachable became False"),
    normal("KafkaReachable", "KafkaReachable became True again"),
    warning(
        "Stalled",
        "Stalled became True; the note names partition, offset, error and remedy",
    ),
    normal("Recovered", "Stalled became False again"),
    warning("DeadLetterNotWritable", "DeadLetterWritable became False"),
    normal("DeadLetterWritable", "DeadLetterWritable became True again"),
    warning(
        "GroupShared",
        "GroupShared became True; the note says who else has the group",
    ),
    normal("GroupAlone", "GroupShared became False again"),
    normal(
        "ScalingLimited",
        "ScalingLimited became True; the note says by what",
    ),
    normal("Paused", "Paused became True"),
    normal("Resumed", "Paused became False again"),
    normal(
        "RecordSkipped",
        "somebody gave a record up with `drover skip`; the note has the record, who and why",
    ),
    normal(
        "OffsetsReset",
        "somebody set the offsets of the group with `drover reset`; the note has who, and from where to where",
    ),
];
