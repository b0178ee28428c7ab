//! Records that may have had a worker killed, as one word of a report: ` suspects=3:1,9:0`.
//!
//! Those that are said to have, or whose delivery begins, come before those that were only in flight then: what is left out
//! for want of room has nothing counted against it by the next owner.

use std::collections::BTreeMap;

use super::text::bad;
use super::{NotAReport, Report, Suspect};
use crate::topic::Offset;

/// Enough for a hundred of these.
const MOST_BYTES: usize = 800;
const BEFORE: &str = " suspects=";

impl Report {
    pub(super) fn push_suspects(&self, text: &mut String, committed: Offset, most: usize) {
        let most = most.min(text.len() + MOST_BYTES);
        let all = self.suspects.iter();
        let (accused, others): (Vec<_>, Vec<_>) = all.partition(|suspect| suspect.kills > 0);
        // Each word comes with a comma, but the first.
        let mut length = text.len() + BEFORE.len() - 1;
        let mut told = BTreeMap::new();
        for Suspect { offset, kills } in accused.into_iter().chain(others) {
            let place = offset.checked_sub(committed.0);
            let Some(place) = place.filter(|place| *place >= 0) else {
                continue;
            };
            let word = format!("{place}:{kills}");
            length += 1 + word.len();
            if length > most {
                break;
            }
            told.entry(place).or_insert(word);
        }
        if !told.is_empty() {
            let words: Vec<_> = told.into_values().collect();
            text.push_str(BEFORE);
            text.push_str(&words.join(","));
        }
    }
}

pub(super) fn suspects(text: &str, at: i64) -> Result<Vec<Suspect>, NotAReport> {
    let read = |word: &str| {
        let (place, kills) = word.split_once(':')?;
        let place: i64 = place.parse().ok().filter(|place| *place >= 0)?;
        Some(Suspect {
            offset: at.checked_add(place)?,
            kills: kills.parse().ok()?,
        })
    };
    let mut all: Vec<Suspect> = Vec::new();
    for word in text.split(',') {
        let suspect = read(word).ok_or(bad("suspects"))?;
        if all.last().is_some_and(|last| suspect.offset <= last.offset) {
            return Err(bad("suspects"));
        }
        all.push(suspect);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_than_have_room_those_with_kills_are_told() {
        const AT: Offset = Offset(5_000);
        let kills = |offset| match offset {
            5_300 => 2,
            5_499 => 1,
            _ => 0,
        };
        let all = (5_000..5_500).map(|offset| Suspect {
            offset,
            kills: kills(offset),
        });
        let report = Report {
            suspects: all.collect(),
            ..Report::default()
        };
        let read = Report::decode(&report.encode(AT), AT).unwrap().suspects;
        assert!((100..500).contains(&read.len()), "{}", read.len());
        let accused = |suspects: &[Suspect]| {
            let accused = suspects.iter().filter(|suspect| suspect.kills > 0);
            accused.copied().collect::<Vec<_>>()
        };
        assert_eq!(accused(&read), accused(&report.suspects));
        assert!(report.suspects.starts_with(&read[..read.len() - 2]));
    }
}
