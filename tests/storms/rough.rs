//! Storms in which workers die or freeze, the handler misbehaves and the dead-letter topic refuses:
//! nothing is lost, and what is handled twice is explained by the fault.

use std::time::Duration;

use crate::history::Cause;
use crate::quiet::broker;
use crate::storm::{Storm, Weather};
use crate::witness::{Manner, Mood};

/// The shortest session that a broker allows.
pub const SESSION: &str = "6000";
/// Longer than a session and than the poll interval of these storms.
pub const FREEZE: Duration = Duration::from_secs(9);

/// What was frozen may learn of its loss by the refusal of a last commit; and librdkafka 2.12 fails
/// for good after a poll interval with the consumer protocol.
pub const BY_FREEZE: &[Cause] = &[Cause::Lost, Cause::LastCommitFailed, Cause::Killed];

pub fn weather(name: &'static str, seed: u64) -> Weather {
    let fair = Weather::fair(name, seed);
    Weather {
        properties: vec![("session.timeout.ms", SESSION)],
        max_poll: Some(Duration::from_secs(8)),
        handler_timeout: Duration::from_secs(4),
        manner: Manner {
            poison: Some(199),
            ..fair.manner
        },
        ..fair
    }
}

pub fn by_consumer_protocol(weather: Weather) -> Weather {
    Weather {
        protocol: "Consumer",
        properties: Vec::new(),
        ..weather
    }
}

/// With the consumer protocol it is the broker that knows how long a session is.
fn shorten_sessions(group: &str) {
    let session =
        format!("consumer.session.timeout.ms={SESSION},consumer.heartbeat.interval.ms=500");
    let of_group = ["--alter", "--entity-type", "groups", "--entity-name", group];
    let change = [
        &["kafka", "configs"],
        &of_group[..],
        &["--add-config", &session],
    ]
    .concat();
    broker().tell(&change).unwrap();
}

pub fn begin(weather: Weather) -> Storm {
    let mut storm = Storm::prepare(&broker().servers, weather);
    if storm.weather.protocol == "Consumer" {
        shorten_sessions(&storm.topic.name);
    }
    storm.scale_to(storm.weather.workers);
    storm.settle();
    storm
}

fn workers_die(weather: Weather) {
    let mut storm = begin(weather);
    storm.work(4);
    storm.kill();
    storm.witness.feel(Mood::Breaking, 20);
    storm.work(4);
    storm.kill();
    storm.witness.feel(Mood::Failing, 20);
    storm.work(4);
    storm.replace();
    storm.witness.feel(Mood::Refusing, 20);
    storm.work(4);
    storm.kill();
    storm.witness.feel(Mood::Well, 1);
    let findings = storm.finish();
    assert!(findings.dead_lettered > 0, "{findings}");
    findings.assert_complete(&[Cause::Killed, Cause::AnswerUnheard, Cause::Lost]);
}

fn workers_freeze(weather: Weather) {
    let mut storm = begin(weather);
    storm.work(3);
    storm.freeze(Duration::ZERO);
    storm.witness.feel(Mood::Hanging, 200);
    storm.work(3);
    storm.freeze(FREEZE);
    storm.work(3);
    storm.replace();
    storm.witness.feel(Mood::Well, 1);
    let findings = storm.finish();
    findings.assert_complete(BY_FREEZE);
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn workers_that_die_lose_nothing() {
    workers_die(weather("kills-classic", 3));
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn workers_that_die_lose_nothing_by_the_consumer_protocol() {
    workers_die(by_consumer_protocol(weather("kills-consumer", 4)));
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn workers_that_freeze_lose_nothing() {
    workers_freeze(weather("freezes-classic", 5));
}

#[test]
#[ignore = "a minute on a real broker: make test-storms"]
fn workers_that_freeze_lose_nothing_by_the_consumer_protocol() {
    workers_freeze(by_consumer_protocol(weather("freezes-consumer", 6)));
}
