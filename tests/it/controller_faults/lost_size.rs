//! The answer to a change of size is lost, and no watch shows the change yet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::behind_proxy;
use super::lives::{Shapes, all, begin, has_begun, has_grown, size_of, template};
use crate::support::faulty_api::{Call, Fault, FaultyApi};
use crate::support::operator::wait_for;

const FLEET: &str = "fleet";

/// Waits until a call of this kind was answered so.
async fn seen(api: &FaultyApi, what: &str, is: impl Fn(&Call) -> bool) {
    wait_for(what, async || {
        let calls = api.calls();
        calls
            .iter()
            .any(&is)
            .then_some(())
            .ok_or(format!("{calls:#?}"))
    })
    .await;
}

fn scales(call: &Call) -> bool {
    call.writes() && call.path.ends_with("/deployments/fleet/scale")
}

fn shapes(call: &Call) -> bool {
    call.writes() && call.path.ends_with("/deployments/fleet")
}

fn watches_deployments(call: &Call) -> bool {
    call.watches() && call.path.ends_with("/deployments")
}

/// Until the first pod, the size of a new Deployment is held by the apply that made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raise_whose_answer_was_lost_is_not_undone_by_the_next_change_of_the_template() {
    let (operator, api) = behind_proxy().await;
    let noted = Shapes::watch(&operator);
    let blind = Arc::new(AtomicBool::new(false));
    let is_blind = blind.clone();
    let lost = Mutex::new((false, false));
    api.faults(move |call| {
        let (raised, changed) = &mut *lost.lock().unwrap();
        if watches_deployments(call) {
            return if is_blind.load(Ordering::Relaxed) && !*changed {
                Fault::Answer(500)
            } else {
                Fault::Cut(Duration::from_secs(1))
            };
        }
        *changed |= *raised && shapes(call);
        if !scales(call) || *changed {
            return Fault::None;
        }
        if std::mem::replace(raised, true) {
            Fault::NoAnswer
        } else {
            Fault::LostAnswer
        }
    });
    begin(&operator, FLEET).await;
    let names = [FLEET.to_owned()];
    all(&operator, &names, "it to have begun", has_begun).await;
    blind.store(true, Ordering::Relaxed);
    seen(&api, "the watch to break", |call| {
        watches_deployments(call) && call.fault == Fault::Answer(500)
    })
    .await;

    let raise = json!({ "scaling": { "mode": "Manual" }, "replicas": 1 });
    operator.change(FLEET, raise).await;
    seen(&api, "the raise", |call| call.fault == Fault::LostAnswer).await;
    let template = template(FLEET, "2", json!({ "name": "worker" }));
    operator
        .change(FLEET, json!({ "template": template }))
        .await;
    all(&operator, &names, "it to have grown", has_grown).await;

    let sizes: Vec<i32> = noted.of(FLEET).iter().map(size_of).collect();
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert_eq!(sizes.first().zip(sizes.last()), Some((&0, &1)), "{sizes:?}");
}
