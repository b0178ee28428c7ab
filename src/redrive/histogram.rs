//! Dead letters counted by reason, time, origin and handler status, in bounded memory. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::letter::Letter;

/// Kinds that are told apart; what is beyond is counted together.
const MOST: usize = 1_000;
/// What stands where nothing is known.
const UNKNOWN: &str = "-";
/// Rows of a part that are shown at most.
pub const ROWS: usize = 24;
/// Widths of times in seconds: a minute, ten, an hour, six, a day, ten days, and so on.
const WIDTHS: [i64; 8] = [
    60, 600, 3_600, 21_600, 86_400, 864_000, 8_640_000, 86_400_000,
];

/// Counts of dead letters.
#[derive(Debug, Default)]
pub struct Histogram {
    pub total: u64,
    reasons: Counts,
    origins: Counts,
    statuses: Counts,
    times: Times,
    undated: u64,
}

#[derive(Debug, Default)]
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn add(&mut self, name: &str) {
        // A name that is there costs no allocation.
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
        } else if self.0.len() < MOST {
            self.0.insert(name.to_owned(), 1);
        } else {
            *self.0.entry("others".to_owned()).or_default() += 1;
        }
    }

    /// The most frequent first.
    fn sorted(&self) -> Vec<(&str, u64)> {
        let mut sorted: Vec<(&str, u64)> = self.0.iter().map(|(n, c)| (n.as_str(), *c)).collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        sorted
    }
}

/// Counts by the beginning of their time, in seconds.
#[derive(Debug, Default)]
struct Times {
    /// Its place in [`WIDTHS`].
    width: usize,
    counts: BTreeMap<i64, u64>,
}

impl Times {
    fn add(&mut self, millis: i64) {
        let begin = floor(millis.div_euclid(1_000), WIDTHS[self.width]);
        *self.counts.entry(begin).or_default() += 1;
        if self.counts.len() > MOST {
            self.widen();
        }
    }

    fn widen(&mut self) {
        self.width = (self.width + 1).min(WIDTHS.len() - 1);
        let mut wider = BTreeMap::new();
        for (begin, count) in std::mem::take(&mut self.counts) {
            *wider.entry(floor(begin, WIDTHS[self.width])).or_default() += count;
        }
        self.counts = wider;
    }

    /// Few enough to look at.
    fn shown(&self) -> Vec<(i64, u64)> {
        let mut shown = Self {
            width: self.width,
            counts: self.counts.clone(),
        };
        while shown.counts.len() > ROWS && shown.width + 1 < WIDTHS.len() {
            shown.widen();
        }
        shown.counts.into_iter().collect()
    }
}

fn floor(seconds: i64, width: i64) -> i64 {
    seconds.div_euclid(width) * width
}

impl Histogram {
    pub fn add(&mut self, letter: &Letter<'_>) {
        self.total += 1;
        self.reasons.add(&letter.reason());
        let origin = letter.origin();
        let topic = origin.topic.as_deref().unwrap_or(UNKNOWN);
        match origin.partition {
            Some(partition) => self.origins.add(&format!("{topic}[{partition}]")),
            None => self.origins.add(topic),
        }
        match letter.status() {
            Some(status) => self.statuses.add(&status.to_string()),
            None => self.statuses.add(UNKNOWN),
        }
        match letter.failed_at() {
            Some(millis) => self.times.add(millis),
            None => self.undated += 1,
        }
    }

    pub fn value(&self) -> Value {
        let counts = |counts: &Counts| {
            let pairs = counts.sorted().into_iter();
            pairs
                .map(|(name, count)| (name.to_owned(), count))
                .collect::<BTreeMap<_, _>>()
        };
        json!({
            "total": self.total,
            "reasons": counts(&self.reasons),
            "origins": counts(&self.origins),
            "statuses": counts(&self.statuses),
            "times": self.times.shown().into_iter()
                .map(|(begin, count)| json!({ "from": time(begin), "count": count }))
                .collect::<Vec<_>>(),
            "undated": self.undated,
        })
    }

    /// What is counted, each with its counts: the most frequent first, times in their order.
    pub fn parts(&self) -> [(&'static str, Vec<(String, u64)>); 4] {
        let named = |counts: &Counts| {
            let sorted = counts.sorted().into_iter();
            sorted.map(|(n, count)| (n.to_owned(), count)).collect()
        };
        let times = self.times.shown().into_iter();
        [
            ("REASON", named(&self.reasons)),
            ("ORIGIN", named(&self.origins)),
            ("STATUS", named(&self.statuses)),
            (
                "TIME",
                times.map(|(begin, count)| (time(begin), count)).collect(),
            ),
        ]
    }
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    fn counted(at: impl IntoIterator<Item = i64>) -> Histogram {
        let mut histogram = Histogram::default();
        for at in at {
            let mut letter = letter(&[
                ("drover-dlq-reason", "Rejected"),
                ("drover-dlq-topic", "orders"),
                ("drover-dlq-partition", "3"),
                ("drover-dlq-status", "422"),
            ]);
            letter.timestamp = Some(at);
            histogram.add(&letter);
        }
        histogram
    }

    #[test]
    fn letters_are_counted_by_everything() {
        let mut histogram = counted([0, 1_000, 61_000]);
        histogram.add(&letter(&[]));
        let value = histogram.value();
        assert_eq!(value["total"], 4);
        assert_eq!(value["reasons"], json!({"Rejected": 3, "unknown": 1}));
        assert_eq!(value["origins"], json!({"orders[3]": 3, "-": 1}));
        assert_eq!(value["statuses"], json!({"422": 3, "-": 1}));
        assert_eq!(
            value["times"][0],
            json!({"from": "1970-01-01T00:00:00Z", "count": 3})
        );
        let [(reason, reasons), ..] = histogram.parts();
        assert_eq!(
            (reason, reasons[0].clone()),
            ("REASON", ("Rejected".to_owned(), 3))
        );
    }

    #[test]
    fn years_of_minutes_stay_small_and_few_rows_are_shown() {
        let histogram = counted((0..5_000).map(|n| n * 3_600_000));
        assert!(histogram.times.counts.len() <= MOST);
        let shown = histogram.times.shown();
        assert!(shown.len() <= ROWS);
        assert_eq!(shown.iter().map(|(_, count)| count).sum::<u64>(), 5_000);
    }

    #[test]
    fn kinds_beyond_count_are_counted_together() {
        let mut counts = Counts::default();
        (0..MOST + 7).for_each(|n| counts.add(&n.to_string()));
        assert_eq!(counts.0.len(), MOST + 1);
        assert_eq!(counts.0["others"], 7);
    }
}
