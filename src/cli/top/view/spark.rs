//! Values over time in one line. Pure.

/// The last values, each as high as it is beside the highest. What is not known is a gap; zero is the
/// lowest line, and is not the same.
pub(super) fn spark<'a>(
    values: impl IntoIterator<Item = &'a Option<i64>, IntoIter: DoubleEndedIterator>,
    width: usize,
) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mut last: Vec<_> = values.into_iter().rev().take(width).copied().collect();
    last.reverse();
    let highest = last.iter().flatten().copied().max().unwrap_or(0).max(1);
    let bar = |value: i64| {
        let step = i128::from(value.clamp(0, highest)) * 7 / i128::from(highest);
        // Something is not nothing.
        let step = if value > 0 { step.max(1) } else { 0 };
        BARS[usize::try_from(step).unwrap_or(0)]
    };
    last.into_iter()
        .map(|value| value.map_or(' ', bar))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unknown_is_a_gap_and_something_is_not_nothing() {
        let values = [Some(0), None, Some(1), Some(500), Some(1000)];
        assert_eq!(spark(&values, 9), "▁ ▂▄█");
        assert_eq!(spark(&[Some(0), Some(0)], 9), "▁▁");
        assert_eq!(spark(&[None, None], 9), "  ");
        assert_eq!(spark(&[Some(i64::MIN), Some(i64::MAX)], 9), "▁█");
    }

    #[test]
    fn only_the_last_have_a_place() {
        assert_eq!(spark(&[Some(9), Some(1), Some(2)], 2), "▄█");
        assert_eq!(spark(&[Some(9)], 0), "");
        assert_eq!(spark(&[], 9), "");
    }
}
