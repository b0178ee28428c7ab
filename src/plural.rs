//! Words that go with a count. Pure.

/// The noun for so many: `record` of one, `records` of any other number.
pub fn noun(one: &str, count: impl TryInto<u64>) -> String {
    if is_one(count) {
        one.to_owned()
    } else {
        format!("{one}s")
    }
}

/// The verb for so many.
pub fn are(count: impl TryInto<u64>) -> &'static str {
    if is_one(count) { "is" } else { "are" }
}

/// Some of all, with the verb: `0 of 1 pod is`, `1 of 3 pods is`, `2 of 3 pods are`.
pub fn part_are(part: u64, whole: u64, one: &str) -> String {
    let verb = if whole == 1 { "is" } else { are(part) };
    format!("{part} of {whole} {} {verb}", noun(one, whole))
}

fn is_one(count: impl TryInto<u64>) -> bool {
    count.try_into().is_ok_and(|count| count == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        for (count, words) in [
            (-1_i64, "records are"),
            (0, "records are"),
            (1, "record is"),
            (2, "records are"),
        ] {
            assert_eq!(format!("{} {}", noun("record", count), are(count)), words);
        }
        for (part, whole, words) in [
            (0, 1, "0 of 1 pod is"),
            (1, 1, "1 of 1 pod is"),
            (0, 3, "0 of 3 pods are"),
            (1, 3, "1 of 3 pods is"),
            (2, 3, "2 of 3 pods are"),
        ] {
            assert_eq!(part_are(part, whole, "pod"), words);
        }
    }
}
