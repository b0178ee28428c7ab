//! What was replayed: a text in the metadata of the replay's committed offsets. Pure.
//!
//! A partition keeps a list of runs, each with its filter, its target and the offset up to which it
//! came. A dead letter was replayed if one of the runs to the same target passed it and its filter
//! means it; so replays with different filters know of each other, exactly and in little room. See
//! `docs/adr/009-a-replay-marks-what-it-moved-in-one-transaction.md`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::letter::Letter;
use crate::topic::Offset;

/// The most bytes of metadata that a broker keeps by default (`offset.metadata.max.bytes`).
const MAX_BYTES: usize = 4096;

/// Which dead letters a replay moves, and where to: a letter is its business if `eligible`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// Which.
    #[serde(rename = "f", default)]
    pub filter: Filter,
    /// Those that were replayed this often are left out.
    #[serde(rename = "max")]
    pub max_replays: u32,
    /// The topic they go to; none is the one that each came from.
    #[serde(rename = "to", default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Kind {
    /// Whether it moves this one.
    pub fn moves(&self, letter: &Letter<'_>) -> bool {
        self.filter.matches(letter)
            && self.allows(letter)
            && (self.to.is_some() || letter.origin_topic().is_some())
    }

    /// Whether it was replayed less often than it may be. Of what cannot be read that is not known.
    pub fn allows(&self, letter: &Letter<'_>) -> bool {
        letter.replays().is_ok_and(|count| count < self.max_replays)
    }

    /// The same, of these offsets of a partition only.
    #[must_use]
    pub fn only(&self, partition: i32, offsets: Range<i64>) -> Self {
        Self {
            filter: self.filter.only(partition, offsets),
            ..self.clone()
        }
    }

    /// The same, whoever gave them up.
    #[must_use]
    pub fn of_all(&self) -> Self {
        Self {
            filter: self.filter.of_all(),
            ..self.clone()
        }
    }

    /// Whether it moves all that `other` does, to the same place.
    fn covers(&self, other: &Self) -> bool {
        self.to == other.to
            && self.filter.covers(&other.filter)
            && self.max_replays >= other.max_replays
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    #[serde(flatten)]
    kind: Kind,
    /// All that it moves below this offset was moved,
    next: i64,
    /// or, if it is this, is to be moved again, whatever earlier runs say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    again: bool,
}

/// The runs of one partition. What a later one says of a letter counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(Vec<Run>);

#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(rename = "drover-redrive")]
    version: u32,
    /// The offset that was committed with it: copied to another one it says nothing.
    at: i64,
    runs: Vec<Run>,
}

impl Marks {
    /// Nothing was replayed.
    pub const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Whether no replay has noted anything.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads what was committed at `offset`. `end` is the partition's: marks beyond it speak of
    /// another log. None where the text is there, and is not ours or not to be read.
    pub fn read(offset: Offset, metadata: &[u8], end: i64) -> Option<Self> {
        if metadata.is_empty() {
            return Some(Self::default());
        }
        let text: Text = serde_json::from_slice(metadata).ok()?;
        let fits = text.version == 1
            && text.at == offset.0
            && text.runs.iter().all(|run| (0..=end).contains(&run.next));
        fits.then_some(Self(text.runs))
    }

    /// The text to commit at `offset`; none if it has no room.
    pub fn write(&self, offset: Offset) -> Option<String> {
        let text = Text {
            version: 1,
            at: offset.0,
            runs: self.0.clone(),
        };
        let text = serde_json::to_string(&text).ok()?;
        (text.len() <= MAX_BYTES).then_some(text)
    }

    /// Whether a letter that `kind` moves was moved to the same place before.
    pub fn has(&self, kind: &Kind, letter: &Letter<'_>) -> bool {
        let mut latest = self.0.iter().rev();
        let said = latest.find(|run| {
            run.kind.to == kind.to && letter.offset < run.next && run.kind.moves(letter)
        });
        said.is_some_and(|run| !run.again)
    }

    /// Runs that no later wish to move something again can contradict.
    fn settled(&self) -> &[Run] {
        let last = self.0.iter().rposition(|run| run.again);
        &self.0[last.map_or(0, |last| last + 1)..]
    }

    /// From where on a run of this kind has something to look at.
    pub fn start(&self, kind: &Kind) -> Option<i64> {
        self.passed(|known| known.covers(kind), kind.to.as_deref())
    }

    /// How far the runs of some kinds to one place have come together: to where the first is that is to be moved again.
    fn passed(&self, counts: impl Fn(&Kind) -> bool, to: Option<&str>) -> Option<i64> {
        let mut passed = None;
        for run in &self.0 {
            if !run.again && counts(&run.kind) {
                passed = passed.max(Some(run.next));
            } else if run.again && run.kind.to.as_deref() == to {
                let first = run.kind.filter.offsets.map_or(0, |(first, _)| first);
                passed = passed.map(|passed: i64| passed.min(first));
            }
        }
        passed.filter(|passed| *passed > 0)
    }

    /// Takes note that a run of this kind has come to `next`; what says nothing any more, for it is
    /// covered or lies below `oldest`, goes.
    pub fn advance(&mut self, kind: &Kind, next: i64, oldest: i64) {
        self.0
            .retain(|run| run.next > oldest && !(kind.covers(&run.kind) && run.next <= next));
        let known = self
            .settled()
            .iter()
            .any(|run| run.kind.covers(kind) && run.next >= next);
        if !known {
            self.0.push(Run {
                kind: kind.clone(),
                next,
                again: false,
            });
        }
    }

    /// What `kind` moves below `end` is to be moved again. What else was moved stays noted.
    pub fn again(&mut self, kind: &Kind, end: i64) {
        self.0.retain(|run| !kind.covers(&run.kind));
        if self.0.iter().any(|run| run.kind.to == kind.to) {
            self.0.push(Run {
                kind: kind.clone(),
                next: end,
                again: true,
            });
        }
    }

    /// The lowest offset at which something may be that was not replayed to its source: a lag for
    /// tools that know offsets only.
    pub fn offset(&self, oldest: i64) -> Offset {
        let whole = |kind: &Kind| kind.filter.is_all() && kind.to.is_none();
        Offset(
            self.passed(whole, None)
                .map_or(oldest, |passed| passed.max(oldest)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::REPLAYS;
    use super::super::letter::tests::letter;
    use super::*;

    fn kind(reason: Option<&str>) -> Kind {
        Kind {
            filter: Filter {
                reasons: reason.into_iter().map(str::to_owned).collect(),
                ..Filter::default()
            },
            max_replays: 3,
            to: None,
        }
    }

    fn dead(reason: &str, offset: i64) -> Letter<'static> {
        let mut letter = letter(&[
            ("drover-dlq-topic", "orders"),
            ("drover-dlq-reason", reason),
        ]);
        letter.offset = offset;
        letter
    }

    fn again(marks: &Marks) -> Marks {
        let offset = marks.offset(0);
        let text = marks.write(offset).unwrap();
        Marks::read(offset, text.as_bytes(), 1_000).unwrap()
    }

    #[test]
    fn replays_with_different_filters_know_of_each_other() {
        let (rejected, all) = (kind(Some("Rejected")), kind(None));
        let mut marks = Marks::default();
        marks.advance(&rejected, 10, 0);
        let marks = again(&marks);
        assert!(marks.has(&all, &dead("Rejected", 9)));
        assert!(!marks.has(&all, &dead("Rejected", 10)));
        assert!(!marks.has(&all, &dead("AttemptsExhausted", 9)));
        assert_eq!(marks.start(&rejected), Some(10));
        assert_eq!(marks.start(&all), None);
    }

    #[test]
    fn another_target_is_another_matter() {
        let mut elsewhere = kind(None);
        elsewhere.to = Some("copy".to_owned());
        let mut marks = Marks::default();
        marks.advance(&elsewhere, 10, 0);
        assert!(marks.has(&elsewhere, &dead("Rejected", 9)));
        assert!(!marks.has(&kind(None), &dead("Rejected", 9)));
        marks.advance(&kind(None), 4, 0);
        marks.again(&elsewhere, 10);
        assert!(!marks.has(&elsewhere, &dead("Rejected", 1)));
        assert!(marks.has(&kind(None), &dead("Rejected", 1)));
    }

    #[test]
    fn what_a_guard_left_out_is_not_taken_for_replayed() {
        let mut marks = Marks::default();
        marks.advance(&kind(None), 10, 0);
        let mut often = dead("Rejected", 5);
        often
            .headers
            .push((REPLAYS.as_bytes().into(), Some(b"3".as_slice().into())));
        let mut more = kind(None);
        more.max_replays = 9;
        assert!(more.moves(&often) && !marks.has(&more, &often));
        assert!(marks.has(&more, &dead("Rejected", 5)));
        assert_eq!(marks.start(&more), None);
    }

    #[test]
    fn what_is_covered_or_deleted_is_forgotten() {
        let mut marks = Marks::default();
        marks.advance(&kind(Some("a")), 10, 0);
        marks.advance(&kind(Some("b")), 30, 0);
        marks.advance(&kind(None), 20, 0);
        assert_eq!(marks.0.len(), 2, "{marks:?}");
        assert_eq!(marks.start(&kind(Some("a"))), Some(20));
        assert_eq!(marks.start(&kind(Some("b"))), Some(30));
        assert_eq!(marks.offset(0), Offset(20));
        marks.advance(&kind(None), 40, 35);
        assert_eq!(marks.0.len(), 1);
        // A run that covers another which is further leaves it.
        marks.advance(&kind(Some("c")), 50, 0);
        marks.advance(&kind(None), 45, 0);
        assert_eq!(marks.start(&kind(Some("c"))), Some(50));
    }

    #[test]
    fn what_is_moved_again_leaves_noted_what_else_was_moved() {
        let (all, rejected) = (kind(None), kind(Some("Rejected")));
        let mut marks = Marks::default();
        marks.advance(&all, 60, 0);
        marks.again(&rejected, 60);
        let mut marks = again(&marks);
        assert!(!marks.has(&rejected, &dead("Rejected", 30)));
        assert!(marks.has(&all, &dead("AttemptsExhausted", 30)));
        assert_eq!((marks.start(&all), marks.offset(0)), (None, Offset(0)));
        // It is interrupted, and a wider one comes further.
        marks.advance(&rejected, 20, 0);
        let mut marks = again(&marks);
        assert_eq!(marks.start(&rejected), Some(20));
        assert!(marks.has(&rejected, &dead("Rejected", 19)));
        assert!(!marks.has(&all, &dead("Rejected", 20)));
        let wide = Kind {
            filter: Filter {
                reasons: vec!["Other".to_owned(), "Rejected".to_owned()],
                ..Filter::default()
            },
            ..kind(None)
        };
        marks.advance(&wide, 50, 0);
        // It goes on: what the wider one has moved meanwhile is not moved a third time.
        marks.advance(&rejected, 40, 0);
        let mut marks = again(&marks);
        assert!(marks.has(&rejected, &dead("Rejected", 45)));
        assert!(!marks.has(&rejected, &dead("Rejected", 55)));
        marks.advance(&rejected, 60, 0);
        let marks = again(&marks);
        assert!(marks.has(&all, &dead("Rejected", 59)));
        assert!(marks.has(&all, &dead("AttemptsExhausted", 59)));
        assert_eq!(marks.start(&all), Some(60));
    }

    #[test]
    fn what_was_refused_is_tried_again_and_nothing_else_is() {
        for kind in [kind(None), kind(Some("Rejected"))] {
            let mut marks = Marks::default();
            marks.advance(&kind, 60, 0);
            for refused in [30, 50] {
                marks.again(&kind.only(0, refused..refused + 1), refused + 1);
            }
            let mut marks = again(&marks);
            let moved = |marks: &Marks| {
                let left = (0..60).filter(|&at| !marks.has(&kind, &dead("Rejected", at)));
                left.collect::<Vec<i64>>()
            };
            assert_eq!(moved(&marks), [30, 50]);
            assert_eq!(marks.start(&kind), Some(30));
            // The next one takes the first of them.
            marks.advance(&kind, 40, 0);
            let mut marks = again(&marks);
            assert_eq!((moved(&marks), marks.start(&kind)), (vec![50], Some(50)));
            marks.advance(&kind, 60, 0);
            let marks = again(&marks);
            assert_eq!((moved(&marks), marks.start(&kind)), (vec![], Some(60)));
            assert_eq!(marks.0.len(), 1, "{marks:?}");
        }
    }

    #[test]
    fn foreign_copied_and_overtaken_text_is_not_believed() {
        let mut marks = Marks::default();
        marks.advance(&kind(None), 10, 0);
        let text = marks.write(Offset(10)).unwrap();
        assert!(Marks::read(Offset(10), text.as_bytes(), 10).is_some());
        assert_eq!(Marks::read(Offset(11), text.as_bytes(), 20), None);
        assert_eq!(Marks::read(Offset(10), text.as_bytes(), 9), None);
        assert_eq!(Marks::read(Offset(10), b"theirs", 20), None);
        assert_eq!(Marks::read(Offset(10), b"", 20), Some(Marks::default()));
    }

    #[test]
    fn a_text_without_room_is_said() {
        let mut marks = Marks::default();
        for index in 0..200 {
            marks.advance(&kind(Some(&format!("reason-{index}"))), 10 + index, 0);
        }
        assert_eq!(marks.write(Offset(0)), None);
    }
}
