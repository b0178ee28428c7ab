//! Trials, with processes that die.

use proptest::prelude::*;

use super::*;

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn id(number: usize) -> Id {
    Id(format!("source{number}"))
}

/// What is on disk, and the process that is there.
#[derive(Default)]
struct Machine {
    disk: BTreeMap<Id, Record>,
    trials: Trials,
}

impl Machine {
    fn keep(&mut self) {
        for (id, record) in self.trials.changes() {
            match record {
                Some(record) => self.disk.insert(id, record),
                None => self.disk.remove(&id),
            };
        }
    }

    /// A process begins, after one that died if it left anything, and wants these asked.
    fn start(&mut self, sources: &[usize], now: i64) {
        self.trials = Trials::after(self.disk.clone(), time(now));
        self.keep();
        for &number in sources {
            self.enter(number, now);
        }
    }

    fn enter(&mut self, number: usize, now: i64) {
        self.trials.enter(&id(number), "kafka:9092", time(now));
        self.keep();
    }

    fn leave(&mut self, number: usize) {
        self.trials.leave(&id(number));
        self.keep();
    }

    fn admit(&mut self, number: usize, now: i64) -> Verdict {
        let verdict = self.trials.admit(&id(number), time(now));
        self.keep();
        verdict
    }

    fn asks(&mut self, number: usize, now: i64) -> bool {
        self.admit(number, now) == Verdict::Ask
    }
}

#[test]
fn who_was_alone_on_trial_when_the_process_died_is_left_alone_four_times_as_long_each_time() {
    let mut machine = Machine::default();
    machine.start(&[0, 1], 0);
    assert!(machine.asks(0, 0) && machine.asks(1, 0));
    assert!(machine.asks(0, 11) && machine.asks(1, 11), "they passed");
    machine.enter(2, 20);
    assert!(machine.asks(2, 20));

    let mut now = 21;
    for (times, minutes) in [
        (1, 1),
        (2, 4),
        (3, 16),
        (4, 64),
        (5, 256),
        (6, 1024),
        (7, 1440),
        (8, 1440),
    ] {
        machine.start(&[0, 1, 2], now);
        assert!(
            machine.asks(0, now) && machine.asks(1, now),
            "the others go on"
        );
        let until = now + minutes * 60;
        let expected = Verdict::LeftAlone {
            times,
            last: time(now),
            until: time(until),
        };
        assert_eq!(machine.admit(2, now), expected);
        assert_eq!(machine.admit(2, until - 1), expected);
        assert!(machine.asks(0, until) && machine.asks(1, until));
        assert!(machine.asks(2, until), "it is tried again");
        now = until + 1;
    }
}

#[test]
fn several_on_trial_are_asked_one_after_the_other_after_a_death() {
    let mut machine = Machine::default();
    machine.start(&[0, 1, 2], 0);
    assert!((0..3).all(|number| machine.asks(number, 0)));
    machine.start(&[2, 1, 0], 1);
    let asked = |machine: &mut Machine, now| [0, 1, 2].map(|number| machine.asks(number, now));
    assert_eq!(asked(&mut machine, 1), [true, false, false]);
    assert_eq!(asked(&mut machine, 10), [true, false, false]);
    // One that comes meanwhile waits as well: else two would be on trial.
    machine.enter(3, 10);
    assert!(!machine.asks(3, 10));
    assert_eq!(asked(&mut machine, 11), [true, true, false]);
    assert_eq!(asked(&mut machine, 21), [true, true, true]);
    machine.start(&[0, 1, 2, 3], 22);
    assert_eq!(asked(&mut machine, 22), [true, true, false]);
    assert!(matches!(
        machine.admit(2, 22),
        Verdict::LeftAlone { times: 1, .. }
    ));
    assert!(machine.asks(3, 22));
}

#[test]
fn a_death_while_all_were_asked_well_holds_up_nobody() {
    let mut machine = Machine::default();
    machine.start(&[0, 1], 0);
    for now in [0, 11] {
        assert!(machine.asks(0, now) && machine.asks(1, now));
    }
    machine.start(&[0, 1], 100);
    assert!(machine.asks(0, 100) && machine.asks(1, 100));
}

#[test]
fn who_is_let_go_takes_no_blame_and_keeps_its_convictions() {
    let mut machine = Machine::default();
    machine.start(&[0], 0);
    assert!(machine.asks(0, 0));
    machine.leave(0);
    assert!(machine.disk.is_empty(), "nothing is kept of it");
    machine.start(&[0], 1);
    assert!(machine.asks(0, 1));

    machine.start(&[0], 2);
    assert!(!machine.asks(0, 2));
    machine.leave(0);
    machine.start(&[0], 3);
    assert!(!machine.asks(0, 3), "a restart in order is no pardon");
    assert!(machine.asks(0, 700));
    machine.leave(0);
    assert_eq!(machine.disk.len(), 1);
    machine.start(&[], 701);
    assert_eq!(machine.disk.len(), 1);
    machine.start(&[], 5000);
    assert!(machine.disk.is_empty(), "it did not come again");
}

#[test]
fn who_was_asked_well_for_an_hour_after_a_conviction_is_as_others() {
    let mut machine = Machine::default();
    machine.start(&[0], 0);
    assert!(machine.asks(0, 0));
    machine.start(&[0], 1);
    let (again, well) = (61, 72);
    assert!(machine.asks(0, again) && machine.asks(0, well));
    assert!(machine.asks(0, well + 3600));
    machine.leave(0);
    assert!(machine.disk.is_empty());
}

#[test]
fn who_waits_does_not_wait_for_suspects_whose_fleets_are_gone() {
    let mut machine = Machine::default();
    machine.start(&[0, 1], 0);
    assert!(machine.asks(0, 0) && machine.asks(1, 0));
    machine.start(&[2, 3], 1);
    assert!(
        machine.asks(2, 1) && !machine.asks(3, 1),
        "0 and 1 may come"
    );
    machine.enter(4, 302);
    machine.enter(5, 302);
    assert!(machine.asks(3, 302) && machine.asks(4, 302) && machine.asks(5, 302));
}

#[test]
fn hundreds_of_suspects_are_all_asked_within_ten_minutes() {
    let sources: Vec<usize> = (0..250).collect();
    let mut machine = Machine::default();
    machine.start(&sources, 0);
    assert!(sources.iter().all(|&number| machine.asks(number, 0)));
    machine.start(&sources, 1);
    let waits = |machine: &mut Machine, now| {
        let waiting = sources.iter().filter(|&&it| !machine.asks(it, now));
        waiting.count() > 0
    };
    let done = (1..3600).find(|&now| !waits(&mut machine, now)).unwrap();
    assert!(done < 900, "{done}");
}

#[test]
fn a_clock_that_was_set_back_makes_no_conviction_longer() {
    let mut machine = Machine::default();
    machine.start(&[0], 1_000_000);
    assert!(machine.asks(0, 1_000_000));
    machine.start(&[0], 1_000_001);
    machine.start(&[0], 0);
    assert!(!machine.asks(0, 0) && machine.asks(0, 60));
}

/// A process that asks sources in this order each second and dies `delay` seconds after it began to ask the guilty one.
/// None if all others are asked before that.
fn live(
    machine: &mut Machine,
    order: &[usize],
    guilty: usize,
    delay: i64,
    now: &mut i64,
) -> Option<()> {
    let all = i64::try_from(order.len()).unwrap();
    machine.start(order, *now);
    let mut dies = None;
    for _ in 0..(all + 2) * 11 {
        for &number in order {
            if machine.asks(number, *now) && number == guilty {
                let dies = *dies.get_or_insert(*now + delay);
                if *now >= dies {
                    *now += 1;
                    return Some(());
                }
            }
        }
        *now += 1;
        let mut others = order.iter().filter(|&&number| number != guilty);
        if dies.is_none() && others.all(|&number| machine.asks(number, *now)) {
            return None;
        }
    }
    None
}

proptest! {
    #[test]
    fn the_guilty_one_is_found_within_two_deaths_and_innocents_are_all_asked_again(
        order in (1_usize..30).prop_flat_map(|count| Just((0..count).collect::<Vec<_>>()).prop_shuffle()),
        guilty in any::<prop::sample::Index>(),
        delay in 0_i64..5,
        was_well in any::<bool>(),
    ) {
        let guilty = order[guilty.index(order.len())];
        let mut machine = Machine::default();
        let mut now = 0;
        let mut most = 2;
        if was_well {
            // Somebody upgrades a proxy, say: one death tells that there is something.
            machine.start(&order, now);
            for second in [0, 11] {
                for &number in &order {
                    prop_assert!(machine.asks(number, second));
                }
            }
            now = 100;
            most = 3;
        }
        let mut deaths = usize::from(was_well);
        while live(&mut machine, &order, guilty, delay, &mut now).is_some() {
            deaths += 1;
            prop_assert!(deaths <= most, "{deaths} deaths");
        }
        for &number in &order {
            if number != guilty {
                prop_assert!(machine.asks(number, now), "{number}");
            }
        }
    }
}
