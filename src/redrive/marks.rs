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
    /// Where they went without one, if their consumer has a topic of its own for that.
    #[serde(rename = "via", default, skip_serializing_if = "Option::is_none")]
    pub retry_topic: Option<String>,
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

    /// Whether what this one moves is for a letter at the same place as what `other` does: a topic is the same by its
    /// name and as the one that the letter goes to by itself.
    fn is_to_the_same(&self, other: &Self, letter: &Letter<'_>) -> bool {
        let (to, by_itself) = match (&self.to, &other.to) {
            (Some(to), None) => (to, other),
            (None, Some(to)) => (to, self),
            (ours, theirs) => return ours == theirs,
        };
        let first = || letter.first_origin().and_then(|first| first.topic);
        by_itself.retry_topic.as_ref() == Some(to)
            || letter.origin_topic().as_deref() == Some(to)
            || first().as_ref() == Some(to)
    }

    /// Whether both move the same to the same place.
    fn is_like(&self, other: &Self) -> bool {
        self.covers(other) && other.covers(self)
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
    /// The id of the topic that they speak of: one that was deleted and made anew has another.
    #[serde(rename = "topic", default, skip_serializing_if = "Option::is_none")]
    life: Option<String>,
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
    /// another log. None where the text is there, and is not ours or not to be read. What speaks of a topic with
    /// another id than `life` says nothing of this one.
    pub fn read(offset: Offset, metadata: &[u8], end: i64, life: Option<&str>) -> Option<Self> {
        if metadata.is_empty() {
            return Some(Self::default());
        }
        let text: Text = serde_json::from_slice(metadata).ok()?;
        let known = text.life.as_deref().zip(life);
        if known.is_some_and(|(theirs, ours)| theirs != ours) {
            return Some(Self::default());
        }
        let fits = text.version == 1
            && text.at == offset.0
            && text.runs.iter().all(|run| (0..=end).contains(&run.next));
        fits.then_some(Self(text.runs))
    }

    /// The text to commit at `offset`, of the topic with this id; none if it has no room.
    pub fn write(&self, offset: Offset, life: Option<&str>) -> Option<String> {
        let text = Text {
            version: 1,
            at: offset.0,
            life: life.map(str::to_owned),
            runs: self.0.clone(),
        };
        let text = serde_json::to_string(&text).ok()?;
        (text.len() <= MAX_BYTES).then_some(text)
    }

    /// Whether a letter that `kind` moves was moved to the same place before.
    pub fn has(&self, kind: &Kind, letter: &Letter<'_>) -> bool {
        let mut latest = self.0.iter().rev();
        let said = latest.find(|run| {
            letter.offset < run.next
                && run.kind.is_to_the_same(kind, letter)
                && run.kind.moves(letter)
        });
        said.is_some_and(|run| !run.again)
    }

    /// Whether a letter is noted as one that was refused when `kind` was moved.
    pub fn was_refused(&self, kind: &Kind, offset: i64) -> bool {
        let is_it = |run: &Run| {
            let place = run.kind.filter.offsets.filter(|_| run.again);
            place.is_some_and(|(first, end)| (first..end).contains(&offset) && end == run.next)
        };
        !self.is_at_it_again(kind) && self.0.iter().any(is_it)
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

    /// What `kind` moves below `end` is to be moved again. What else was moved stays noted. Until that is done it is
    /// known that it was begun.
    pub fn again(&mut self, kind: &Kind, end: i64) {
        self.0.retain(|run| !kind.covers(&run.kind));
        self.0.push(Run {
            kind: kind.clone(),
            next: end,
            again: true,
        });
    }

    /// Whether moving again what `kind` moves was begun and has not come to its end.
    pub fn is_at_it_again(&self, kind: &Kind) -> bool {
        self.0.iter().any(|run| run.again && run.kind.is_like(kind))
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
mod tests;
