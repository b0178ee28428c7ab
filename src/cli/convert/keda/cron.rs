//! From a `cron` trigger's two expressions to an entry of `scaling.schedule`.
//!
//! KEDA keeps the pods from a time that `start` names to the next that `end` names. An entry of the schedule is a time of
//! day on days of the week or of the month, so that is what the two must say.

use serde_json::{Value, json};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// One expression, as far as it can be said in a schedule.
#[derive(Debug, PartialEq, Eq)]
struct Moment {
    minutes: u32,
    /// Days of the month from 1; empty for every day.
    days_of_month: Vec<u32>,
    /// Days of the week, Monday is 0; empty for every day.
    days: Vec<u32>,
}

/// Days, `from` and `to` of an entry; why not, in words, where the two cannot be said in one.
pub(super) fn schedule(start: &str, end: &str) -> Result<Value, String> {
    let (from, to) = (moment(start)?, moment(end)?);
    let overnight = to.minutes <= from.minutes;
    if from.days_of_month != to.days_of_month {
        return Err("start and end name different days of the month".to_owned());
    }
    if overnight && !from.days_of_month.is_empty() {
        return Err("it ends on the next day, which has another number in the month".to_owned());
    }
    let shift = u32::from(overnight);
    let mut ends: Vec<u32> = from.days.iter().map(|day| (day + shift) % 7).collect();
    ends.sort_unstable();
    if ends != to.days {
        return Err(
            "it lasts for more than one day, or start and end name different days".to_owned(),
        );
    }
    if from.minutes == to.minutes && (from.minutes != 0 || from.days.is_empty()) {
        return Err("it ends at the time of day at which it begins".to_owned());
    }
    let mut entry = json!({ "from": clock(from.minutes), "to": clock(to.minutes) });
    if to.minutes == 0 {
        entry["to"] = json!("24:00");
    }
    if !from.days.is_empty() {
        let days = from.days.iter().map(|day| DAYS[*day as usize]);
        entry["days"] = days.collect();
    }
    if !from.days_of_month.is_empty() {
        entry["daysOfMonth"] = json!(from.days_of_month);
    }
    Ok(entry)
}

fn clock(minutes: u32) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn moment(expression: &str) -> Result<Moment, String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let [minute, hour, day_of_month, month, day] = fields[..] else {
        return Err(format!("\"{expression}\" is not five fields of cron"));
    };
    let number = |text: &str, below: u32| text.parse().ok().filter(|number: &u32| *number < below);
    let time = number(hour, 24).zip(number(minute, 60));
    let Some((hour, minute)) = time else {
        return Err(format!("\"{expression}\" is not one time of day"));
    };
    if !any(month) {
        return Err(format!("\"{expression}\" names months"));
    }
    let days_of_month = days(day_of_month, |text| number(text, 29).filter(|day| *day > 0));
    let of_the_week = days(day, weekday);
    let (Some(days_of_month), Some(mut days)) = (days_of_month, of_the_week) else {
        return Err(format!(
            "\"{expression}\" names days in a way that a schedule has not (steps, or days of the month after the 28th)"
        ));
    };
    if !days_of_month.is_empty() && !days.is_empty() {
        return Err(format!(
            "\"{expression}\" names days of the week and of the month"
        ));
    }
    if days.len() == DAYS.len() {
        days.clear();
    }
    let minutes = hour * 60 + minute;
    Ok(Moment {
        minutes,
        days_of_month,
        days,
    })
}

fn any(field: &str) -> bool {
    ["*", "?"].contains(&field)
}

/// `Mon,Wed-Fri`; nothing for any day; none where it cannot be read. Sorted, each once.
fn days(field: &str, one: impl Fn(&str) -> Option<u32>) -> Option<Vec<u32>> {
    if any(field) {
        return Some(Vec::new());
    }
    let mut found = Vec::new();
    for part in field.split(',') {
        match part.split_once('-') {
            None => found.push(one(part)?),
            Some((first, last)) => {
                // Cron's week begins on Sunday, which `0-3` begins with; ours on Monday.
                let (first, last) = (one(first)?, one(last)?);
                match (first, last) {
                    (6, last) if last < 6 => found.extend((0..=last).chain([6])),
                    (first, last) if first <= last => found.extend(first..=last),
                    _ => return None,
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// Sunday is 0 or 7 there, and 6 here.
fn weekday(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse::<u32>() {
        return (number <= 7).then_some((number + 6) % 7);
    }
    let named = |day: &&str| day.eq_ignore_ascii_case(text);
    let place = DAYS.iter().position(named)?;
    u32::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_on_days_can_be_said() {
        let week = ["Mon", "Tue", "Wed", "Thu", "Fri"];
        for (start, end, entry) in [
            (
                "0 6 * * *",
                "30 20 * * *",
                json!({ "from": "06:00", "to": "20:30" }),
            ),
            (
                "0 22 * * *",
                "0 6 * * *",
                json!({ "from": "22:00", "to": "06:00" }),
            ),
            (
                "0 18 * * *",
                "0 0 * * *",
                json!({ "from": "18:00", "to": "24:00" }),
            ),
            (
                "0 8 * * 1-5",
                "0 18 * * MON-FRI",
                json!({ "days": week, "from": "08:00", "to": "18:00" }),
            ),
            (
                "0 22 * * 1-5",
                "0 6 * * 2-6",
                json!({ "days": week, "from": "22:00", "to": "06:00" }),
            ),
            (
                "0 0 * * 0",
                "0 0 * * 1",
                json!({ "days": ["Sun"], "from": "00:00", "to": "24:00" }),
            ),
            (
                "0 8 * * 0-1",
                "0 9 * * 7,1",
                json!({ "days": ["Mon", "Sun"], "from": "08:00", "to": "09:00" }),
            ),
            (
                "0 8 1,15 * ?",
                "0 9 1,15 * ?",
                json!({ "daysOfMonth": [1, 15], "from": "08:00", "to": "09:00" }),
            ),
        ] {
            assert_eq!(schedule(start, end), Ok(entry), "{start} to {end}");
        }
    }

    #[test]
    fn whatever_cannot_be_said_is_refused_with_why() {
        for (start, end, why) in [
            ("*/5 8 * * *", "0 9 * * *", "one time of day"),
            ("0 8,12 * * *", "0 9 * * *", "one time of day"),
            ("0 8 * 12 *", "0 9 * 12 *", "months"),
            ("@daily", "0 9 * * *", "five fields"),
            ("0 8 * * 1-5/2", "0 9 * * 1-5/2", "names days in a way"),
            ("0 8 31 * *", "0 9 31 * *", "names days in a way"),
            ("0 8 1 * 1", "0 9 1 * 1", "of the week and of the month"),
            ("0 8 * * 1", "0 18 * * 5", "more than one day"),
            // From Friday evening the next end is that of Monday.
            ("0 22 * * 1-5", "0 6 * * 1-5", "more than one day"),
            ("0 8 1 * *", "0 9 2 * *", "different days of the month"),
            ("0 22 1 * *", "0 6 1 * *", "next day"),
            ("0 8 * * *", "0 8 * * *", "time of day at which it begins"),
        ] {
            let told = schedule(start, end).unwrap_err();
            assert!(told.contains(why), "{start} to {end}: {told}");
        }
    }
}
