//! The storms at full size: a hundred thousand records, eight workers, 32 partitions. Minutes each,
//! one after the other: `make test-long`.

use std::time::Duration;

use crate::history::Cause;
use crate::outages::{brokers_of_three_die, the_broker_comes_and_goes};
use crate::quiet::{all_goes_well, eager};
use crate::rough::{self, BY_FREEZE};
use crate::storm::{Storm, Weather};
use crate::witness::Mood;

fn full(fair: Weather) -> Weather {
    Weather {
        workers: 8,
        partitions: 32,
        records: 100_000,
        keys: 2_000,
        ..fair
    }
}

/// Another seed each time, unless one is told.
fn seed() -> u64 {
    u64::try_from(crate::wait::now()).unwrap()
}

/// Every fault in turn, in a random order, the handler in another mood each time.
fn everything(weather: Weather, turns: usize) {
    let mut storm: Storm = rough::begin(weather);
    storm.work(turns);
    let moods = [
        (Mood::Well, 1),
        (Mood::Slow(Duration::from_millis(200)), 10),
        (Mood::Refusing, 10),
        (Mood::Failing, 20),
        (Mood::Breaking, 20),
        (Mood::Hanging, 2_000),
    ];
    let workers = storm.weather.workers;
    for turn in 1..turns {
        let (mood, one_in) = *storm.chance.one_of(&moods);
        storm.witness.feel(mood, one_in);
        storm.work(turns);
        match turn % 8 {
            0 => storm.roll_out(),
            1 | 5 => storm.kill(),
            2 => storm.freeze(Duration::ZERO),
            3 => storm.freeze(rough::FREEZE),
            4 => storm.replace(),
            6 => storm.scale_to(workers + 2),
            _ => {
                storm.scale_to(workers);
                storm.dead_letters_refused();
            }
        }
    }
    storm.witness.feel(Mood::Well, 1);
    let findings = storm.finish();
    findings.assert_complete(&[BY_FREEZE, &[Cause::AnswerUnheard]].concat());
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_quiet_classic() {
    all_goes_well(full(Weather::fair("full-quiet-classic", seed())), 12);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_quiet_consumer() {
    let weather = Weather {
        protocol: "Consumer",
        ..full(Weather::fair("full-quiet-consumer", seed()))
    };
    all_goes_well(weather, 12);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_quiet_eager() {
    all_goes_well(full(eager(Weather::fair("full-quiet-eager", seed()))), 12);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_rough_eager() {
    let weather = full(rough::weather("full-rough-eager", seed()));
    everything(eager(weather), 17);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_rough_classic() {
    everything(full(rough::weather("full-rough-classic", seed())), 17);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_rough_consumer() {
    let weather = full(rough::weather("full-rough-consumer", seed()));
    everything(rough::by_consumer_protocol(weather), 17);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_outages_classic() {
    the_broker_comes_and_goes(full(Weather::fair("full-outages-classic", seed())), 3);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_outages_consumer() {
    let weather = Weather {
        protocol: "Consumer",
        ..full(Weather::fair("full-outages-consumer", seed()))
    };
    the_broker_comes_and_goes(weather, 3);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_three_brokers_classic() {
    let weather = Weather {
        copies: 3,
        ..full(Weather::fair("full-three-classic", seed()))
    };
    brokers_of_three_die(weather, 6);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn full_three_brokers_consumer() {
    let weather = Weather {
        copies: 3,
        protocol: "Consumer",
        ..full(Weather::fair("full-three-consumer", seed()))
    };
    brokers_of_three_die(weather, 6);
}
