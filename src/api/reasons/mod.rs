//! What every condition, reason and event means, and what to do about it. `docs/conditions.md` is
//! written from here, and a test holds it to the source: no reason is without a row.
//!
//! Words only; who says them when is decided where they are said.

pub mod conditions;
pub mod decisions;
pub mod events;
pub mod problems;

/// A word that status, events or metrics say, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Stable CamelCase word.
    pub word: &'static str,
    /// What is so.
    pub meaning: &'static str,
    /// What to do; empty where there is nothing to do.
    pub remedy: &'static str,
}

/// A reason for which nothing is to be done.
const fn well(word: &'static str, meaning: &'static str) -> Reason {
    reason(word, meaning, "")
}

const fn reason(word: &'static str, meaning: &'static str, remedy: &'static str) -> Reason {
    Reason {
        word,
        meaning,
        remedy,
    }
}
