//! What became of each policy, as a table for people.

use super::measure::Figures;

const HEADINGS: [&str; 10] = [
    "policy",
    "pod-hours",
    "over the promise",
    "p50",
    "p99",
    "p99.9",
    "worst",
    "rebalances",
    "moved",
    "peak",
];

/// One line for each policy: name and figures.
pub fn table(rows: &[(String, Figures)]) -> String {
    let mut cells = vec![HEADINGS.map(str::to_owned)];
    cells.extend(rows.iter().map(|(name, figures)| row(name, figures)));
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => text.push_str(&format!("{cell:width$}")),
                _ => text.push_str(&format!("  {cell:>width$}")),
            }
        }
        text.push('\n');
    }
    text
}

fn row(name: &str, figures: &Figures) -> [String; 10] {
    let over = match figures.seconds_over {
        0 => "0s".to_owned(),
        over => format!("{} ({})", whole_seconds(over), percent(figures.share_over)),
    };
    [
        name.to_owned(),
        format!("{:.1}", figures.pod_hours),
        over,
        seconds(figures.p50),
        seconds(figures.p99),
        seconds(figures.p999),
        seconds(figures.worst),
        figures.rebalances.to_string(),
        figures.moved.to_string(),
        figures.peak.to_string(),
    ]
}

/// Three digits are enough for people.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 9.995 {
        format!("{seconds:.2}s")
    } else if seconds < 99.95 {
        format!("{seconds:.1}s")
    } else {
        whole_seconds(seconds.round() as u64)
    }
}

/// Such as `45s`, `3m20s` or `2h05m`.
pub(super) fn whole_seconds(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent < 0.095 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_are_short() {
        let good = Figures {
            pod_hours: 95.04,
            p50: 0.011,
            p99: 12.3,
            p999: 44.96,
            worst: 58.6,
            rebalances: 41,
            moved: 530,
            peak: 12,
            ..Figures::default()
        };
        let bad = Figures {
            pod_hours: 1146.51,
            seconds_over: 7637,
            share_over: 0.0884,
            p999: 866.0,
            worst: 9000.0,
            ..good.clone()
        };
        let rows = [("drover".to_owned(), good), ("keda-lag".to_owned(), bad)];
        assert_eq!(
            table(&rows),
            "\
policy    pod-hours  over the promise    p50    p99   p99.9  worst  rebalances  moved  peak
drover         95.0                0s  0.01s  12.3s   45.0s  58.6s          41    530    12
keda-lag     1146.5     2h07m (8.8 %)  0.01s  12.3s  14m26s  2h30m          41    530    12
"
        );
    }
}
