//! What a claim, a confirmation and a release do to an entry of a store: the rules that every store
//! carries out, each in its own language.
//!
//! * A key is free if nothing is there, or what is there has run out.
//! * A claim takes a free key, or one that the same delivery holds already: an answer of the store
//!   may have been lost. It never takes what is done, nor what somebody else holds.
//! * A confirmation makes it done, whoever holds it: that the work was done is a fact, and somebody
//!   else who has begun in the meantime must not take the mark away by failing.
//! * A release takes away only what the very same attempt holds.

use std::time::Duration;

/// Who holds a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// One delivery of one record: process, assignment, partition and offset. No two are alike.
    pub delivery: String,
    /// Counts up with each claim, so that a release that comes late meets nothing of a later one.
    pub attempt: u64,
}

/// What a store holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who is at work, or was.
    pub holder: Holder,
    /// The work is done.
    pub done: bool,
    /// When it is forgotten, on the store's own clock.
    pub until: Duration,
}

impl Entry {
    /// It counts no more.
    pub fn is_over(&self, now: Duration) -> bool {
        self.until <= now
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours until the lease runs out.
    Ours,
    /// It was handled already.
    Done,
    /// Somebody else is at work, for so long at most.
    Held {
        /// What is left of the lease.
        left: Duration,
    },
}

/// Claims an entry; if it is [`Claimed::Ours`], the second is what the store holds from now on.
pub fn claim(
    entry: Option<&Entry>,
    holder: &Holder,
    lease: Duration,
    now: Duration,
) -> (Claimed, Option<Entry>) {
    if let Some(held) = entry.filter(|entry| !entry.is_over(now)) {
        if held.done {
            return (Claimed::Done, None);
        }
        let again =
            held.holder.delivery == holder.delivery && held.holder.attempt <= holder.attempt;
        if !again {
            let left = held.until - now;
            return (Claimed::Held { left }, None);
        }
    }
    let entry = Entry {
        holder: holder.clone(),
        done: false,
        until: now + lease,
    };
    (Claimed::Ours, Some(entry))
}

/// What the store holds once the work is done, and whether the claim was still ours: if not,
/// somebody else may have done it as well.
pub fn confirm(
    entry: Option<&Entry>,
    holder: &Holder,
    retention: Duration,
    now: Duration,
) -> (bool, Entry) {
    let ours = entry.is_some_and(|held| held.holder == *holder && !held.is_over(now));
    let done = Entry {
        holder: holder.clone(),
        done: true,
        until: now + retention,
    };
    (ours, done)
}

/// Whether the entry is to be taken away.
pub fn release(entry: Option<&Entry>, holder: &Holder) -> bool {
    entry.is_some_and(|held| held.holder == *holder && !held.done)
}
