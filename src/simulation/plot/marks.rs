//! Where lines are drawn, and the short words beside them.

/// The time between two upright lines: twelve or fewer of them.
pub(super) fn tick(length: f64) -> f64 {
    let minutes = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 240.0, 360.0, 720.0,
    ];
    let steps = minutes.map(|minutes| 60.0 * minutes);
    let days = (1..).map(|days| 86_400.0 * f64::from(days));
    let mut all = steps.into_iter().chain(days);
    all.find(|step| length / step <= 12.0).unwrap_or(length)
}

pub(super) fn whole_time(at: f64) -> String {
    let minutes = (at / 60.0).round() as u64;
    match (minutes / 60, minutes % 60) {
        (0, 0) => "0".to_owned(),
        (0, minutes) => format!("{minutes}m"),
        (hours, 0) => format!("{hours}h"),
        (hours, minutes) => format!("{hours}h{minutes:02}"),
    }
}

/// A linear scale's end, and two lines on it.
pub(super) fn linear_marks(most: f64) -> (f64, Vec<(f64, String)>) {
    let most = most.max(1e-3);
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let nice = steps.map(|step| step * power);
    let high = nice.into_iter().find(|&nice| nice >= most * 1.02);
    let high = high.unwrap_or(most * 1.1);
    let marks = [0.0, high / 2.0, high].map(|value| (value, count(value)));
    (high, marks.to_vec())
}

/// Such as `0.5`, `40`, `2k` or `1.5M`.
pub(super) fn count(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e4 => (v / 1e3, "k"),
        v => (v, ""),
    };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

/// Such as `0.1s`, `30s`, `10m` or `1h`.
pub(super) fn brief(value: f64) -> String {
    match value {
        v if v >= 3600.0 && v % 3600.0 == 0.0 => format!("{:.0}h", v / 3600.0),
        v if v >= 60.0 && v % 60.0 == 0.0 => format!("{:.0}m", v / 60.0),
        v => format!("{}s", count(v)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_time_are_few_and_numbers_short() {
        for (length, step) in [(600.0, 60.0), (86_400.0, 7200.0), (48.0 * 3600.0, 14_400.0)] {
            assert_eq!(tick(length), step, "{length}");
        }
        assert_eq!(tick(14.0 * 86_400.0), 2.0 * 86_400.0);
        for (value, words) in [
            (0.5, "0.5"),
            (48.0, "48"),
            (12_000.0, "12k"),
            (2.5e6, "2.5M"),
        ] {
            assert_eq!(count(value), words);
        }
        for (value, words) in [(0.1, "0.1s"), (60.0, "1m"), (90.0, "90s"), (7200.0, "2h")] {
            assert_eq!(brief(value), words);
        }
    }
}
