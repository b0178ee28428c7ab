//! The resource's name, from which its children's are made.

use super::problem::Problems;
use crate::api::names::{MAX_NAME_LENGTH, reason};

pub(super) fn check(name: Option<&str>, problems: &mut Problems) {
    const FIELD: &str = "metadata.name";
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return problems.add(
            reason::MISSING_FIELD,
            FIELD,
            "metadata.name is missing; give the KafkaConsumer a name",
        );
    };
    if name.len() > MAX_NAME_LENGTH {
        problems.add(
            reason::INVALID_NAME,
            FIELD,
            format!(
                "metadata.name is longer than {MAX_NAME_LENGTH} characters: the names of pods are made from it and would lose their ends; choose a shorter name"
            ),
        );
    }
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !name.split('.').all(label) {
        problems.add(
            reason::INVALID_NAME,
            FIELD,
            "metadata.name must be lower-case letters, digits, hyphens and dots, with a letter or digit at both ends; correct it",
        );
    }
}
