//! A report as text: printable ASCII, readable by people, at most [`super::MAX_BYTES`], or as many as the
//! broker takes.
//!
//! ```text
//! drover/1 at=500 pod=users-7f-x2 done=1200 busy-ms=90000 slots=16 fail=3 slow=0 outcomes=3/50@1800000000 stuck=500,6,HttpStatus%20500 tries=0:6@1800000030,7:1 suspects=3:1,9:0 ahead=1-5,9 sum=0a1b2c3d
//! ```
//!
//! `at` is the offset that was committed with it; `ahead`, `tries` and `suspects` count from there. A tool that copies the
//! text to another offset (mirroring groups to another cluster does) must not make anyone skip
//! records, so at another offset `topic-id`, `tried`, `tries`, `suspects`, `stuck`,
//! `ahead` and `past` are not taken. `sum` guards against text that
//! was cut: a shortened number would be a wrong one. Unknown words are passed over, so that a later
//! version may say more.

mod words;

use std::fmt::Write;
use std::ops::Range;

pub(super) use words::{bad, ranges};

use self::words::Words;
use super::{MAX_BYTES, Outcomes, Report};
use crate::foreign::printable;
use crate::topic::Offset;

const MAGIC: &str = "drover/";
const VERSION: u32 = 1;
/// ` sum=` and eight digits.
const SUM_BYTES: usize = 13;
/// Kubernetes names are at most 253 characters.
const POD_CHARS: usize = 253;
/// Enough for a hundred records that lie millions of offsets apart; the rest is for `ahead`.
const TRIES_BYTES: usize = 2400;
/// Base64 of 16 bytes.
const TOPIC_ID_CHARS: usize = 22;
const ERROR_CHARS: usize = 100;
/// Enough for an address and what became of a connection to it.
const HANDLER_CHARS: usize = 150;
const HANDLER_BYTES: usize = 450;
/// More than any reason has.
const REASON_CHARS: usize = 40;

/// Why a text is not a [`Report`]. Never an error of ours: other tools commit too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAReport {
    /// There is no text, as most tools commit.
    #[error("no metadata")]
    Empty,
    /// Some other tool's text.
    #[error("metadata of another tool")]
    Foreign,
    /// A version of Drover that speaks another language.
    #[error("a report of format {0}, this is format {VERSION}")]
    OtherVersion(u32),
    /// It begins as a report, but was cut or changed.
    #[error("a damaged report: {0}")]
    Damaged(&'static str),
}

impl Report {
    /// The text to commit with the offset `committed`. What has no room is left out: first of
    /// `ahead`, from the high end, then of the error's text.
    pub fn encode(&self, committed: Offset) -> String {
        self.encode_within(committed, MAX_BYTES)
    }

    /// The same in `most` bytes, which are [`super::LEAST_BYTES`] or more.
    pub fn encode_within(&self, committed: Offset, most: usize) -> String {
        let mut text = format!("{MAGIC}{VERSION} at={committed} pod=");
        push_escaped(&mut text, &self.pod, POD_CHARS, most / 4);
        let most = most.saturating_sub(SUM_BYTES);
        let busy_ms = u64::try_from(self.busy.as_millis()).unwrap_or(u64::MAX);
        push(
            &mut text,
            format_args!(
                " done={} busy-ms={busy_ms} slots={} fail={} slow={}",
                self.done, self.slots, self.failures, self.slow_downs
            ),
        );
        if let Some(Outcomes { given_up, of, at }) = self.outcomes {
            let word = format!(" outcomes={given_up}/{of}@{at}");
            push_whole(&mut text, &word, most);
        }
        let mut push_said = |name: &str, said: &str, chars, room| {
            let mut word = format!(" {name}=");
            push_escaped(&mut word, said, chars, room);
            push_whole(&mut text, &word, most);
        };
        if let Some(flaw) = &self.dead_letter {
            push_said("dead-letter", flaw, REASON_CHARS, most);
        }
        if let Some(why) = &self.handler {
            push_said("handler", why, HANDLER_CHARS, HANDLER_BYTES.min(most / 8));
        }
        if let Some(id) = &self.topic_id {
            push_said("topic-id", id, TOPIC_ID_CHARS, most);
        }
        if self.tried > 0 {
            push_whole(&mut text, &format!(" tried={}", self.tried), most);
        }
        if let Some(stuck) = &self.stuck {
            let mut word = format!(" stuck={},{},", stuck.offset, stuck.attempts);
            let room = most.saturating_sub(text.len() + word.len());
            push_escaped(&mut word, &stuck.error, ERROR_CHARS, room);
            push_whole(&mut text, &word, most);
        }
        self.push_later(&mut text, committed, most);
        self.push_tries(&mut text, committed, most);
        self.push_suspects(&mut text, committed, most);
        self.push_past(&mut text, committed, most);
        push_ranges(&mut text, " ahead=", &self.ahead, committed, most);
        let sum = sum(&text);
        push(&mut text, format_args!(" sum={sum:08x}"));
        text
    }

    fn push_later(&self, text: &mut String, committed: Offset, most: usize) {
        let Some(later) = self.later else {
            return;
        };
        let next = later.next.checked_sub(committed.0);
        if let Some(next) = next.filter(|next| *next >= 0) {
            let word = format!(
                " later={},{},{},{next},{}",
                later.records, later.behind, later.next_at, later.more
            );
            push_whole(text, &word, most);
        }
    }

    fn push_tries(&self, text: &mut String, committed: Offset, most: usize) {
        let most = most.min(text.len() + TRIES_BYTES);
        let mut before = " tries=";
        let mut least = 0;
        for tries in &self.tries {
            let Some(place) = tries.offset.checked_sub(committed.0) else {
                return;
            };
            if place < least || tries.attempts == 0 {
                continue;
            }
            let mut word = format!("{before}{place}:{}", tries.attempts);
            if let Some(next_at) = tries.next_at {
                push(&mut word, format_args!("@{next_at}"));
            }
            if text.len() + word.len() > most {
                return;
            }
            text.push_str(&word);
            least = place.saturating_add(1);
            before = ",";
        }
    }

    /// Reads the metadata of the offset `committed`.
    ///
    /// # Errors
    /// The text is not a report that this version can read.
    pub fn decode(text: &str, committed: Offset) -> Result<Self, NotAReport> {
        if text.is_empty() {
            return Err(NotAReport::Empty);
        }
        let rest = text.strip_prefix(MAGIC).ok_or(NotAReport::Foreign)?;
        let (version, _) = rest.split_once(' ').ok_or(NotAReport::Foreign)?;
        let version: u32 = version.parse().map_err(|_| NotAReport::Foreign)?;
        if version != VERSION {
            return Err(NotAReport::OtherVersion(version));
        }
        let (said, sum_said) = text
            .rsplit_once(" sum=")
            .ok_or(NotAReport::Damaged("it has no sum"))?;
        if u32::from_str_radix(sum_said, 16) != Ok(sum(said)) {
            return Err(NotAReport::Damaged("its sum is wrong"));
        }
        Words::of(said)?.report(committed)
    }
}

/// The word, if there is room for all of it.
fn push_whole(text: &mut String, word: &str, most: usize) {
    if text.len() + word.len() <= most {
        text.push_str(word);
    }
}

/// As many of the ranges as fit, in one word that begins with `before`.
pub(super) fn push_ranges(
    text: &mut String,
    mut before: &str,
    ranges: &[Range<i64>],
    committed: Offset,
    most: usize,
) {
    let mut after = 0;
    let mut word = String::new();
    for range in ranges {
        let first = range.start.checked_sub(committed.0);
        let end = range.end.checked_sub(committed.0);
        let (Some(first), Some(end)) = (first, end) else {
            return;
        };
        if first < after || end <= first {
            continue;
        }
        after = end;
        let last = end - 1;
        word.clear();
        word.push_str(before);
        if first == last {
            push(&mut word, format_args!("{first}"));
        } else {
            push(&mut word, format_args!("{first}-{last}"));
        }
        if text.len() + word.len() > most {
            return;
        }
        text.push_str(&word);
        before = ",";
    }
}

pub(super) fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a String takes everything");
}

/// Appends `value`, percent-encoded: at most `chars` characters of it and `room` bytes.
fn push_escaped(text: &mut String, value: &str, chars: usize, room: usize) {
    let end = text.len() + room;
    let mut utf8 = [0; 4];
    for c in value.chars().take(chars) {
        let plain = c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '/' | ':');
        let bytes = if plain { 1 } else { 3 * c.len_utf8() };
        if text.len() + bytes > end {
            return;
        }
        if plain {
            text.push(c);
        } else {
            for byte in c.encode_utf8(&mut utf8).bytes() {
                push(text, format_args!("%{byte:02X}"));
            }
        }
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    // Whoever may commit in the group may have written it.
    Some(printable(&String::from_utf8(bytes).ok()?))
}

/// FNV-1a, 32 bits: it finds accidents, not forgers.
pub(super) fn sum(text: &str) -> u32 {
    let step = |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, step)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
