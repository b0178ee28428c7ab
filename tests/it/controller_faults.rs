//! An API server that refuses, is slow, loses answers and breaks watches: the end is the same as if it
//! had not, and the controller does not make it worse.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

mod lives;
mod lost_size;
mod paused;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PostParams;
use serde_json::json;
use tokio::time::Instant;

use self::lives::{Shapes, all, begin, end, grow, has_begun, has_ended, live, outcome};
use crate::fuzz::chance::Chance;
use crate::support::consumers::with;
use crate::support::faulty_api::{Call, Fault, FaultyApi};
use crate::support::operator::{Operator, wait_for};

const REFERENCE: &str = "reference";
const QUIET: Duration = Duration::from_secs(3);

/// A controller behind a proxy.
async fn behind_proxy() -> (Operator, FaultyApi) {
    let mut operator = Operator::prepare(&["events"]).await;
    let api = FaultyApi::start(operator.cluster()).await;
    let config = api.before(operator.config().await);
    operator.run_with(config);
    (operator, api)
}

/// In the full form every call fails in each way; else one after the other in turn.
fn is_full() -> bool {
    std::env::var_os("DROVER_TEST_FULL").is_some()
}

/// The fault of the call with this number, of this kind.
fn fault(kind: usize) -> Fault {
    match kind {
        0 => Fault::Answer(500),
        1 => Fault::LostAnswer,
        2 => Fault::TooMany(1),
        3 => Fault::Answer(409),
        _ => Fault::NoAnswer,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_single_call_about_a_fleet_may_fail_once() {
    let (operator, api) = behind_proxy().await;
    let shapes = Shapes::watch(&operator);
    live(&operator, &[REFERENCE.to_owned()]).await;
    operator.rest(QUIET).await;
    let calm = api.calls_about(REFERENCE);
    assert!(calm.len() >= 12, "{calm:#?}");
    let wanted = outcome(&operator, REFERENCE).await;

    // A fleet for each call that fails.
    let kinds = if is_full() { 5 } else { 2 };
    let failing: BTreeMap<String, (usize, Fault)> = (0..calm.len())
        .flat_map(|number| (0..kinds).map(move |kind| (number, kind)))
        .map(|(number, kind)| {
            let kind = if is_full() {
                kind
            } else {
                (2 * number + kind) % 5
            };
            let name = format!("call-{number}-kind-{kind}");
            (name, (number, fault(kind)))
        })
        .collect();
    let names: Vec<String> = failing.keys().cloned().collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let plan = failing.clone();
    api.faults(move |call| {
        let Some((name, (number, fault))) = plan.iter().find(|(name, _)| call.is_about(name))
        else {
            return Fault::None;
        };
        let seen = seen.entry(name.clone()).or_default();
        *seen += 1;
        if *seen == number + 1 {
            *fault
        } else {
            Fault::None
        }
    });
    live(&operator, &names).await;
    api.faults(|_| Fault::None);
    operator.rest(QUIET).await;

    for (name, (number, fault)) in &failing {
        let calls = api.calls_about(name);
        let what = |call: &Call| format!("{:?} {} {}", call.fault, call.method, call.path);
        let calls: Vec<String> = calls.iter().map(what).collect();
        let failed = format!("{name}: call {number} was {fault:?}: {calls:#?}");
        // What comes last, that it has settled, may come after a pause on a busy machine.
        wait_for("the same end", async || {
            let outcome = outcome(&operator, name).await;
            if outcome == wanted {
                Ok(())
            } else {
                Err(format!("{outcome:?} instead of {wanted:?}; {failed}"))
            }
        })
        .await;
        // Made, then twice another template and another size.
        let shapes = shapes.of(name);
        assert!(shapes.len() <= 5, "{shapes:#?}: {failed}");
        // What failed is done again, and the trouble and its end are told.
        assert!(calls.len() <= 2 * calm.len() + 10, "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_faults_ends_as_calm_would_and_makes_none_of_its_own() {
    let (operator, api) = behind_proxy().await;
    live(&operator, &[REFERENCE.to_owned()]).await;
    operator.rest(QUIET).await;
    let calm = api.calls_about(REFERENCE).len();
    let wanted = outcome(&operator, REFERENCE).await;

    let injected = Arc::new(AtomicUsize::new(0));
    let counted = injected.clone();
    let mut chance = Chance::of(1);
    api.faults(move |call| {
        let fault = if call.watches() {
            match chance.below(4) {
                0 => Fault::Expired,
                1 => Fault::Answer(500),
                _ => Fault::Cut(Duration::from_millis(500 + chance.below(2500))),
            }
        } else {
            let seldom = if call.is_about_lease() { 10 } else { 3 };
            match chance.below(6 * seldom) {
                0 => Fault::Answer(409),
                1 => Fault::Answer(500),
                2 => Fault::TooMany(1),
                3 => Fault::NoAnswer,
                4 => Fault::LostAnswer,
                5 => Fault::Slow(Duration::from_millis(400)),
                _ => Fault::None,
            }
        };
        if fault != Fault::None && !call.watches() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        fault
    });
    let faults = async |count: usize| {
        wait_for(&format!("{count} faults"), async || {
            match injected.load(Ordering::Relaxed) {
                now if now >= count => Ok(()),
                now => Err(format!("{now}")),
            }
        })
        .await;
    };
    let (fleets, step) = if is_full() { (30, 150) } else { (6, 20) };
    let names: Vec<String> = (0..fleets)
        .map(|number| format!("stormy-{number}"))
        .collect();
    for name in &names {
        begin(&operator, name).await;
    }
    faults(step).await;
    for name in &names {
        grow(&operator, name).await;
    }
    faults(2 * step).await;
    for name in &names {
        end(&operator, name).await;
    }
    faults(3 * step).await;
    api.faults(|_| Fault::None);
    all(&operator, &names, "all to have ended", has_ended).await;
    operator.rest(QUIET).await;

    let injected = injected.load(Ordering::Relaxed);
    for name in &names {
        // A watch that broke often comes back late, and with it what became of the pods.
        wait_for("the same end", async || {
            let outcome = outcome(&operator, name).await;
            let same = outcome == wanted;
            let told = || format!("{name}: {outcome:?} instead of {wanted:?}");
            same.then_some(()).ok_or_else(told)
        })
        .await;
    }
    // Each fault costs the call again, and telling of it; a leader that lost its Lease looks at all
    // children anew.
    let calls: usize = names.iter().map(|name| api.calls_about(name).len()).sum();
    let bound = names.len() * calm + 10 * injected;
    assert!(
        calls <= bound,
        "{calls} calls, {injected} faults, {calm} calls in calm"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_that_cannot_read_a_secret_at_once_rolls_no_pods() {
    let (mut operator, api) = behind_proxy().await;
    begin(&operator, "fleet").await;
    all(
        &operator,
        &["fleet".to_owned()],
        "it to have begun",
        has_begun,
    )
    .await;
    operator.rest(QUIET).await;
    let before: Deployment = operator.api().get("fleet").await.unwrap();
    operator.stop().await;

    let mut left = 2;
    api.faults(move |call| {
        let fails = call.path.ends_with("/fleet-keys") && left > 0;
        left -= usize::from(fails);
        if fails {
            Fault::Answer(500)
        } else {
            Fault::None
        }
    });
    let calls = api.calls().len();
    let config = api.before(operator.config().await);
    operator.run_with(config);
    wait_for("the Secret to be read in the end", async || {
        let calls = api.calls().split_off(calls);
        let reads = |call: &&Call| call.path.ends_with("/fleet-keys");
        if calls.iter().filter(reads).count() > 2 {
            Ok(())
        } else {
            Err(format!("{calls:#?}"))
        }
    })
    .await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    operator.rest(QUIET).await;
    let after: Deployment = operator.api().get("fleet").await.unwrap();
    assert_eq!(after.metadata.generation, before.metadata.generation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_to_come_later_does_not_come_before() {
    const LATER: Duration = Duration::from_secs(3);
    let (operator, api) = behind_proxy().await;
    // When calls came; the first is asked to come later.
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = times.clone();
    api.faults(move |call| {
        if call.is_about_lease() || call.watches() || !call.is_about("fleet") {
            return Fault::None;
        }
        let mut noted = noted.lock().unwrap();
        noted.push(Instant::now());
        match noted.len() {
            1 => Fault::TooMany(LATER.as_secs()),
            _ => Fault::None,
        }
    });
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let times = times.lock().unwrap().clone();
    // Timers tell no less than milliseconds apart.
    let later = times[0] + LATER - Duration::from_millis(50);
    // Three children are asked for at the same time: two calls may have been on their way.
    let sooner = times.iter().filter(|time| **time < later).count();
    assert!(sooner <= 3, "{times:?}");
    assert!(times.len() > 3, "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_resource_is_told_so_although_the_first_tries_fail() {
    let (operator, api) = behind_proxy().await;
    let mut left = 2;
    api.faults(move |call| {
        let fails = call.writes() && call.path.ends_with("/malformed/status") && left > 0;
        left -= usize::from(fails);
        if fails {
            Fault::Answer(500)
        } else {
            Fault::None
        }
    });
    let malformed = json!({
        "apiVersion": "drover.dev/v1alpha1",
        "kind": "KafkaConsumer",
        "metadata": { "name": "malformed" },
        "spec": with(operator.spec("events"), "/startAt", json!("2026-02-31T00:00:00Z")),
    });
    let malformed = serde_json::from_value(malformed).unwrap();
    let raw = operator.raw();
    raw.create(&PostParams::default(), &malformed)
        .await
        .unwrap();
    wait_for("it to be told", async || {
        let told = raw.get_status("malformed").await.unwrap();
        match told.data["status"]["conditions"][0]["reason"].as_str() {
            Some("Unreadable") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // Told once is told: nothing more is written.
    operator.rest(QUIET).await;
    assert_eq!(operator.event("malformed", "Unreadable").await.len(), 1);
}
