//! What a record costs in the engine: a measurement, not a check.
//!
//! `cargo test --release --test it engine_speed -- --ignored --nocapture`

use std::collections::VecDeque;
use std::time::Duration;

use drover::clock::Monotonic;
use drover::engine::{
    Assignment, Effect, Engine, Event, Incoming, KeyHash, LaneId, Run, Settings, Ticket, Verdict,
};
use drover::topic::{Offset, TopicPartition};
use drover::worker_config::{OnExhausted, Ordering};

const RECORDS: u64 = 3_000_000;
const LANES: u64 = 12;
const KEYS: u64 = 100_000;
/// Records read beyond what is in flight.
const BACKLOG: u64 = 5_000;

fn settings(ordering: Ordering) -> Settings {
    Settings {
        began: Duration::ZERO,
        pod: "pod-0".to_owned(),
        ordering,
        hashing: 0,
        concurrency: 64,
        run: Run::ONE,
        attempts: 5,
        own_handler: false,
        initial_backoff: Duration::from_millis(500),
        max_backoff: Duration::from_secs(30),
        then: Vec::new(),
        waiting: 90,
        on_exhausted: OnExhausted::Stall,
        breaker: None,
        rate_limit: None,
        drain_deadline: Duration::from_secs(30),
        commit_interval: Duration::from_secs(1),
        report_interval: Duration::from_secs(30),
        budget_bytes: 64 << 20,
    }
}

fn assignment(lane: u64) -> Assignment {
    let number = i32::try_from(lane).expect("a few lanes");
    Assignment {
        partition: TopicPartition::new("orders", number),
        lane: LaneId(u32::try_from(lane).expect("a few lanes")),
        left_behind: None,
        committed: Some(Offset(0)),
        topic_id: None,
    }
}

/// Deliveries that nobody has answered yet.
type Open = VecDeque<(Ticket, Box<u64>)>;

/// Does what the engine wants, but for the handler's work.
fn carry_out(
    engine: &mut Engine<Box<u64>>,
    now: Duration,
    effects: &mut Vec<Effect<Box<u64>>>,
    open: &mut Open,
) {
    let mut commits = 0;
    for effect in effects.drain(..) {
        match effect {
            Effect::Deliver {
                ticket, payload, ..
            } => open.push_back((ticket, payload)),
            Effect::Commit(_) => commits += 1,
            _ => {}
        }
    }
    if commits > 0 {
        engine.on(Event::Committed(Ok(())), now, effects);
        carry_out(engine, now, effects, open);
    }
}

fn nanoseconds_per_record(ordering: Ordering) -> f64 {
    let mut engine = Engine::new(settings(ordering));
    let (mut effects, mut open) = (Vec::new(), Open::new());
    let assignments = (0..LANES).map(assignment).collect();
    engine.on(Event::Assigned(assignments), Duration::ZERO, &mut effects);
    let clock = Monotonic::start();
    for number in 0..RECORDS {
        // 100,000 records a second.
        let now = Duration::from_micros(10 * number);
        let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS;
        let incoming = Incoming {
            lane: LaneId(u32::try_from(key % LANES).expect("a few lanes")),
            offset: Offset(i64::try_from(number).expect("small")),
            key: Some(KeyHash(key.wrapping_mul(0xff51_afd7_ed55_8ccd))),
            bytes: 1_100,
            payload: Box::new(number),
        };
        engine.on(Event::Record(incoming), now, &mut effects);
        carry_out(&mut engine, now, &mut effects, &mut open);
        if number >= BACKLOG
            && let Some((ticket, payload)) = open.pop_front()
        {
            let (verdict, took) = (Verdict::Done, Duration::from_micros(600));
            let finished = Event::Finished {
                ticket,
                verdict,
                took,
                payload,
            };
            engine.on(finished, now, &mut effects);
            carry_out(&mut engine, now, &mut effects, &mut open);
            std::hint::black_box(engine.next_deadline());
        }
    }
    let nanos = clock.elapsed().as_nanos() as f64;
    assert_eq!(engine.totals().done, RECORDS - BACKLOG);
    nanos / RECORDS as f64
}

#[test]
#[ignore = "a measurement for a quiet machine and a release build"]
fn a_record_costs_little() {
    for ordering in [Ordering::Key, Ordering::Partition, Ordering::None] {
        println!(
            "{ordering:?}: {:.0} ns a record",
            nanoseconds_per_record(ordering)
        );
    }
}
