//! Storms in which everybody goes in order: nothing is lost, and nothing is handled twice.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use crate::broker::Broker;
use crate::history::Cause;
use crate::storm::{Storm, Weather};
use crate::witness::Mood;

/// The broker of all storms in which it is not taken away itself.
pub fn broker() -> &'static Broker {
    static STARTED: OnceLock<Broker> = OnceLock::new();
    STARTED.get_or_init(|| {
        // The least that a group may ask for; what it gets without asking stays as it is.
        let quick = [
            "--set",
            "group.consumer.min.session.timeout.ms=6000",
            "--set",
            "group.consumer.min.heartbeat.interval.ms=500",
            "--set",
            "log.cleaner.backoff.ms=200",
        ];
        Broker::start("storms", &quick).unwrap()
    })
}

/// Stops, scale changes and roll-outs, `times` times, in an order of their own.
fn changes(storm: &mut Storm, times: usize) {
    let workers = storm.weather.workers;
    for turn in 0..times {
        storm.work(times);
        match turn % 4 {
            0 => storm.replace(),
            1 => storm.scale_to(workers + 2),
            2 => storm.roll_out(),
            _ => storm.scale_to(workers),
        }
    }
}

/// Stops, scale changes and roll-outs cost nothing at all. Gives what the workers should not have to
/// say: that something takes so long that it costs others time.
#[track_caller]
pub fn nothing_is_lost_or_repeated(weather: Weather, times: usize) -> Vec<String> {
    let mut storm = Storm::begin(&broker().servers, weather);
    // Some are slow, so that there is always somebody whom a drain waits for.
    storm.witness.feel(Mood::Slow(Duration::from_secs(2)), 100);
    changes(&mut storm, times);
    let alarms = storm.fleet.alarms();
    let findings = storm.finish();
    findings.assert_complete(&[]);
    assert_eq!(findings.dead_lettered_again, 0);
    alarms
}

/// The same, and nobody is kept waiting.
#[track_caller]
pub fn all_goes_well(weather: Weather, times: usize) {
    let alarms = nothing_is_lost_or_repeated(weather, times);
    assert_eq!(alarms, Vec::<String>::new());
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn stops_scale_changes_and_roll_outs_repeat_nothing() {
    let weather = Weather::fair("quiet-classic", 1);
    all_goes_well(weather, 4);
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn stops_scale_changes_and_roll_outs_repeat_nothing_by_the_consumer_protocol() {
    let weather = Weather {
        protocol: "Consumer",
        ..Weather::fair("quiet-consumer", 2)
    };
    all_goes_well(weather, 4);
}

/// Eager: each rebalance takes everything from everybody, and gives it anew.
pub fn eager(weather: Weather) -> Weather {
    let mut weather = weather;
    weather
        .properties
        .push(("partition.assignment.strategy", "range"));
    weather
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn stops_scale_changes_and_roll_outs_repeat_nothing_with_an_eager_assignor() {
    let weather = eager(Weather::fair("quiet-eager", 9));
    all_goes_well(weather, 4);
}

/// A roll-out may change how the members agree on partitions. Members that cannot agree are never
/// members together; both protocols can, as long as the broker converts the group.
fn roll_outs_to(weather: Weather, others: &[(&str, Option<&str>)], explained: &[Cause]) {
    let mut storm = Storm::begin(&broker().servers, weather);
    storm.witness.feel(Mood::Slow(Duration::from_secs(2)), 100);
    for (protocol, strategy) in others {
        storm.work(others.len() + 1);
        storm.roll_out_to(|config| {
            config["groupProtocol"] = (*protocol).into();
            config["properties"] = match strategy {
                Some(strategy) => json!({ "partition.assignment.strategy": strategy }),
                None => json!({}),
            };
        });
    }
    let findings = storm.finish();
    findings.assert_complete(explained);
    assert_eq!(findings.dead_lettered_again, 0);
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn a_roll_out_to_another_assignor_or_protocol_loses_and_repeats_nothing() {
    let others = [
        ("Classic", Some("range")),
        ("Classic", None),
        ("Consumer", None),
    ];
    roll_outs_to(Weather::fair("changes", 10), &others, &[]);
}

/// When the last member of the consumer protocol has gone, the broker makes the group a classic one, and may tell its
/// members that their generation is not valid: what they have in flight then is handled again.
#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn a_roll_out_back_to_the_classic_protocol_loses_nothing() {
    let weather = Weather {
        protocol: "Consumer",
        ..Weather::fair("changes-back", 12)
    };
    roll_outs_to(weather, &[("Classic", None)], &[Cause::Lost]);
}
