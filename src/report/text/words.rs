//! What the words of a report say.

use std::ops::Range;
use std::time::Duration;

use super::super::past::past;
use super::super::suspects::suspects;
use super::super::{Later, Outcomes, Report, Stuck, Tries};
use super::{NotAReport, unescaped};
use crate::topic::Offset;

/// The words of a report, not read yet.
#[derive(Default)]
pub(super) struct Words<'a> {
    at: Option<&'a str>,
    pod: Option<&'a str>,
    done: Option<&'a str>,
    busy_ms: Option<&'a str>,
    slots: Option<&'a str>,
    fail: Option<&'a str>,
    slow: Option<&'a str>,
    outcomes: Option<&'a str>,
    dead_letter: Option<&'a str>,
    handler: Option<&'a str>,
    topic_id: Option<&'a str>,
    tried: Option<&'a str>,
    stuck: Option<&'a str>,
    later: Option<&'a str>,
    tries: Option<&'a str>,
    suspects: Option<&'a str>,
    ahead: Option<&'a str>,
    but: Option<&'a str>,
    past: Option<&'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, NotAReport> {
        let mut words = Self::default();
        for word in text.split(' ').skip(1) {
            let Some((name, value)) = word.split_once('=') else {
                continue;
            };
            let place = match name {
                "at" => &mut words.at,
                "pod" => &mut words.pod,
                "done" => &mut words.done,
                "busy-ms" => &mut words.busy_ms,
                "slots" => &mut words.slots,
                "fail" => &mut words.fail,
                "slow" => &mut words.slow,
                "outcomes" => &mut words.outcomes,
                "dead-letter" => &mut words.dead_letter,
                "handler" => &mut words.handler,
                "topic-id" => &mut words.topic_id,
                "tried" => &mut words.tried,
                "stuck" => &mut words.stuck,
                "later" => &mut words.later,
                "tries" => &mut words.tries,
                "suspects" => &mut words.suspects,
                "ahead" => &mut words.ahead,
                "but" => &mut words.but,
                "past" => &mut words.past,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(NotAReport::Damaged("a word is there twice"));
            }
        }
        Ok(words)
    }

    pub(super) fn report(&self, committed: Offset) -> Result<Report, NotAReport> {
        let at: i64 = number(self.at, "at")?;
        let mut report = Report {
            pod: self.pod.and_then(unescaped).ok_or(bad("pod"))?,
            done: number(self.done, "done")?,
            busy: Duration::from_millis(number(self.busy_ms, "busy-ms")?),
            slots: number(self.slots, "slots")?,
            failures: number(self.fail, "fail")?,
            slow_downs: number(self.slow, "slow")?,
            outcomes: self.outcomes.map(outcomes).transpose()?,
            dead_letter: self
                .dead_letter
                .map(|flaw| unescaped(flaw).ok_or(bad("dead-letter")))
                .transpose()?,
            handler: self
                .handler
                .map(|why| unescaped(why).ok_or(bad("handler")))
                .transpose()?,
            topic_id: self
                .topic_id
                .map(|id| unescaped(id).ok_or(bad("topic-id")))
                .transpose()?,
            tried: self
                .tried
                .map_or(Ok(0), |tried| number(Some(tried), "tried"))?,
            stuck: self.stuck.map(stuck).transpose()?,
            later: self.later.map(|text| later(text, at)).transpose()?,
            tries: self.tries.map_or(Ok(Vec::new()), |text| tries(text, at))?,
            suspects: self
                .suspects
                .map_or(Ok(Vec::new()), |text| suspects(text, at))?,
            ahead: self
                .ahead
                .map_or(Ok(Vec::new()), |text| ranges(text, at, "ahead"))?,
            past: match (self.but, self.past) {
                (Some(but), Some(text)) => Some(past(but, text, at)?),
                _ => None,
            },
        };
        if at != committed.0 {
            report.topic_id = None;
            report.tried = 0;
            report.stuck = None;
            report.later = None;
            report.tries.clear();
            report.suspects.clear();
            report.ahead.clear();
            report.past = None;
        }
        Ok(report)
    }
}

pub(in crate::report) fn bad(word: &'static str) -> NotAReport {
    NotAReport::Damaged(word)
}

fn number<T: std::str::FromStr>(value: Option<&str>, word: &'static str) -> Result<T, NotAReport> {
    value.and_then(|value| value.parse().ok()).ok_or(bad(word))
}

fn outcomes(text: &str) -> Result<Outcomes, NotAReport> {
    let (counts, at) = text.split_once('@').ok_or(bad("outcomes"))?;
    let (given_up, of) = counts.split_once('/').ok_or(bad("outcomes"))?;
    let outcomes = Outcomes {
        given_up: number(Some(given_up), "outcomes")?,
        of: number(Some(of), "outcomes")?,
        at: number(Some(at), "outcomes")?,
    };
    let sensible = outcomes.given_up <= outcomes.of;
    sensible.then_some(outcomes).ok_or(bad("outcomes"))
}

fn stuck(text: &str) -> Result<Stuck, NotAReport> {
    let mut parts = text.splitn(3, ',');
    let stuck = Stuck {
        offset: number(parts.next(), "stuck")?,
        attempts: number(parts.next(), "stuck")?,
        error: parts.next().and_then(unescaped).ok_or(bad("stuck"))?,
    };
    Ok(stuck)
}

fn later(text: &str, at: i64) -> Result<Later, NotAReport> {
    let mut parts = text.split(',');
    let mut number = || number::<u64>(parts.next(), "later");
    let (records, behind, next_at) = (number()?, number()?, number()?);
    let (next, more) = (number()?, number()?);
    let next = i64::try_from(next)
        .ok()
        .and_then(|next| at.checked_add(next));
    let later = Later {
        records,
        behind,
        next_at,
        next: next.ok_or(bad("later"))?,
        more,
    };
    let sensible = records > 0 && parts.next().is_none();
    sensible.then_some(later).ok_or(bad("later"))
}

fn tries(text: &str, at: i64) -> Result<Vec<Tries>, NotAReport> {
    let read = |word: &str| {
        let (place, rest) = word.split_once(':')?;
        let (attempts, next_at) = match rest.split_once('@') {
            Some((attempts, next_at)) => (attempts, Some(next_at.parse().ok()?)),
            None => (rest, None),
        };
        let place: i64 = place.parse().ok().filter(|place| *place >= 0)?;
        Some(Tries {
            offset: at.checked_add(place)?,
            attempts: attempts.parse().ok()?,
            next_at,
        })
    };
    let mut all: Vec<Tries> = Vec::new();
    for word in text.split(',') {
        let tries = read(word).ok_or(bad("tries"))?;
        if all
            .last()
            .is_some_and(|before| tries.offset <= before.offset)
        {
            return Err(bad("tries"));
        }
        all.push(tries);
    }
    Ok(all)
}

pub(in crate::report) fn ranges(
    text: &str,
    at: i64,
    name: &'static str,
) -> Result<Vec<Range<i64>>, NotAReport> {
    let absolute = |relative: &str| -> Option<i64> {
        let relative: i64 = relative.parse().ok().filter(|relative| *relative >= 0)?;
        at.checked_add(relative)
    };
    let mut ranges: Vec<Range<i64>> = Vec::new();
    for word in text.split(',') {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let start = absolute(first).ok_or(bad(name))?;
        let end = absolute(last)
            .and_then(|last| last.checked_add(1))
            .ok_or(bad(name))?;
        if end <= start || ranges.last().is_some_and(|before| start < before.end) {
            return Err(bad(name));
        }
        ranges.push(start..end);
    }
    Ok(ranges)
}
