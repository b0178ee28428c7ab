//! The known name that a wrong one was meant to be.

/// Longer than any name that could be meant, in bytes.
const LONGEST: usize = 256;

/// The nearest of `known`, if any is near enough to be meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What is far longer than all of them is none of them, and comparing takes memory by its length.
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&wrong, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["minReplicas", "maxReplicas", "maxDelay", "mode"];
        assert_eq!(nearest("minreplica", known), Some("minReplicas"));
        assert_eq!(nearest("maxdelay", known), Some("maxDelay"));
        assert_eq!(nearest("moed", known), Some("mode"));
        assert_eq!(nearest("cooldownPeriod", known), None);
    }
}
