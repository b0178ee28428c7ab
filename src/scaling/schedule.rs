//! Known peaks: times in which a fleet has more pods at least than otherwise.
//!
//! Pure: the rules of time zones are values, and time is an argument. What users may write is `fleet`'s work.

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

/// Known peaks, in the order of the spec.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule(pub Vec<Peak>);

/// A time that comes again and again, with more pods at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// On which days it begins.
    pub days: Days,
    /// What clocks show when it begins.
    pub from: Time,
    /// What they show when it ends; not after `from` is on the next day.
    pub to: Time,
    /// Whose clocks.
    pub zone: TimeZone,
    /// Pods at least.
    pub min: u32,
}

/// Days on which a peak begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Days {
    /// Every day.
    Every,
    /// These days of the week.
    Week(Vec<Weekday>),
    /// These days of the month; the last one stands for what a month does not have.
    Month(Vec<i8>),
    /// These.
    Dates(Vec<Date>),
}

/// What a schedule says at some moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The highest peak that counts now.
    pub floor: Option<Floor>,
    /// When that may be another. Further away than a day it is not looked for.
    pub changes_at: Option<Timestamp>,
}

/// A peak that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor {
    /// Which of the spec's it is, from zero.
    pub place: usize,
    /// Pods at least.
    pub min: u32,
    /// When it begins, if it has not begun yet: its pods are ordered before.
    pub begins: Option<Zoned>,
    /// When it ends.
    pub until: Zoned,
}

impl Schedule {
    /// What counts at `now`, where a peak counts from `lead` before it begins: pods take time to start.
    pub fn at(&self, now: Timestamp, lead: Duration) -> Standing {
        let mut standing = Standing::default();
        for (place, peak) in self.0.iter().enumerate() {
            for (begins, ends) in peak.near(now) {
                let counts_from = begins.checked_sub(lead).unwrap_or(begins);
                let next = if now < counts_from { counts_from } else { ends };
                standing.changes_at = earliest(standing.changes_at, next);
                let higher = |floor: &Floor| {
                    let until = floor.until.timestamp();
                    peak.min > floor.min || (peak.min == floor.min && ends > until)
                };
                if counts_from <= now && standing.floor.as_ref().is_none_or(higher) {
                    standing.floor = Some(Floor {
                        place,
                        min: peak.min,
                        begins: (now < begins).then(|| begins.to_zoned(peak.zone.clone())),
                        until: ends.to_zoned(peak.zone.clone()),
                    });
                }
            }
        }
        standing
    }
}

fn earliest(one: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(one.map_or(other, |one| one.min(other)))
}

impl Peak {
    /// When it begins and ends, of those that have not ended at `now` and begin within a day.
    fn near(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = self.zone.to_datetime(now).date();
        let days = (-1..=1_i64).filter_map(move |day| today.checked_add(day.days()).ok());
        days.filter_map(|day| self.on(day))
            .filter(move |&(_, ends)| now < ends)
    }

    /// When it begins and ends, if it begins on `day`.
    fn on(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let begins_then = match &self.days {
            Days::Every => true,
            Days::Week(days) => days.contains(&day.weekday()),
            Days::Month(days) => days
                .iter()
                .any(|&number| number.min(day.days_in_month()) == day.day()),
            Days::Dates(days) => days.contains(&day),
        };
        let last = if self.to <= self.from {
            day.tomorrow().ok()?
        } else {
            day
        };
        let (begins, _) = self.shows(day, self.from)?;
        let (_, ends) = self.shows(last, self.to)?;
        (begins_then && begins < ends).then_some((begins, ends))
    }

    /// The first and the last moment at which clocks come to show this: two where they are put back; where
    /// it is left out because they are put forward, that moment.
    fn shows(&self, day: Date, time: Time) -> Option<(Timestamp, Timestamp)> {
        let shown = self.zone.to_ambiguous_timestamp(day.to_datetime(time));
        let earlier = shown.earlier().ok()?;
        if let AmbiguousOffset::Gap { .. } = shown.offset() {
            let left_out = self.zone.following(earlier).next()?.timestamp();
            return Some((left_out, left_out));
        }
        Some((earlier, shown.later().ok()?))
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
