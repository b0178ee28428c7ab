//! Skipped records and known peaks: checked, and handed on.

use super::*;

#[test]
fn records_to_skip_are_checked_and_handed_on() {
    let field = "metadata.annotations[drover.dev/skip]";
    let good = json!([
        { "topic": "user_events", "partition": 1, "offset": 42, "timestamp": 7, "reason": "no such user", "by": "ann" },
        { "topic": "gone", "partition": 0, "offset": 1, "timestamp": 7, "reason": "of a topic that was taken out" },
    ]);
    let annotated = |document: Value, text: String| {
        with(
            document,
            "/metadata/annotations",
            json!({ "drover.dev/skip": text }),
        )
    };
    each_is_told_once(vec![
        (
            annotated(http_url(), "orders/1/42".to_owned()),
            reason::INVALID_VALUE,
            field,
            "kubectl annotate kc",
        ),
        (
            annotated(own_consumer(), good.to_string()),
            reason::CONTRADICTION,
            field,
            "let that program pass the record over",
        ),
    ]);
    let document = annotated(
        with(http_url(), "/spec/topics", json!(["user_events"])),
        good.to_string(),
    );
    let fleet = validate(&typed(&document), &References::default()).unwrap();
    let [skip] = fleet.skips.as_slice() else {
        panic!("{:?}", fleet.skips);
    };
    assert_eq!((skip.offset, skip.timestamp), (42, 7));
    // A fleet without has the configuration, and so the pods, that it had before there was such a thing.
    let text = |document: &Value| {
        let fleet = validate(&typed(document), &References::default()).unwrap();
        worker_config_text(&worker_config(&fleet).unwrap())
    };
    assert!(text(&document).contains("skips"));
    assert!(!text(&annotated(http_url(), "[]".to_owned())).contains("skips"));
}

#[test]
fn zones_and_days_that_do_not_exist_are_told_offline() {
    let peak = |name: &str, value: Value| {
        let mut peak = json!({ "timeZone": "UTC", "minReplicas": 2 });
        peak[name] = value;
        with(http_url(), "/spec/scaling/schedule", json!([peak]))
    };
    each_is_told_once(vec![
        (
            peak("timeZone", json!("Europe/Belin")),
            reason::INVALID_VALUE,
            "spec.scaling.schedule[0].timeZone",
            "did you mean Europe/Berlin?",
        ),
        (
            peak("timeZone", json!("Mars/Olympus")),
            reason::INVALID_VALUE,
            "spec.scaling.schedule[0].timeZone",
            "write one such as Europe/Berlin or UTC",
        ),
        (
            peak("dates", json!(["2027-02-28", "2027-02-29"])),
            reason::INVALID_VALUE,
            "spec.scaling.schedule[0].dates[1]",
            "there is no such day",
        ),
    ]);
}

#[test]
fn a_rate_limit_is_what_planner_and_worker_are_told() {
    let limit = json!({ "records": 600, "per": "1m" });
    let document = with(http_url(), "/spec/delivery/rateLimit", limit);
    let fleet = validate(&typed(&document), &References::default()).unwrap();
    assert_eq!(fleet.policy.rate, Some(10.0));
    let told = drover::fleet::worker_config(&fleet).unwrap();
    let told = told.rate_limit.unwrap();
    assert_eq!((told.records, told.per.as_secs()), (600, 60));
    let document = with(
        http_url(),
        "/spec/delivery/rateLimit",
        json!({ "records": 5 }),
    );
    let fleet = validate(&typed(&document), &References::default()).unwrap();
    assert_eq!(fleet.policy.rate, Some(5.0), "a second");
}

#[test]
fn a_schedule_is_what_the_planner_is_told() {
    let peaks = json!([
        { "days": ["Sun"], "from": "22:00", "to": "24:00", "timeZone": "Europe/Berlin", "minReplicas": 2 },
        { "timeZone": "europe/berlin", "minReplicas": 3 },
    ]);
    let document = with(http_url(), "/spec/scaling/schedule", peaks);
    let fleet = validate(&typed(&document), &References::default()).unwrap();
    let [first, second] = &fleet.policy.schedule.0[..] else {
        panic!("{:?}", fleet.policy.schedule);
    };
    assert_eq!(
        first.days,
        drover::scaling::Days::Week(vec![jiff::civil::Weekday::Sunday])
    );
    assert_eq!((first.from.hour(), first.to.hour(), first.min), (22, 0, 2));
    assert_eq!(second.days, drover::scaling::Days::Every);
    assert_eq!(first.zone, second.zone);
}
