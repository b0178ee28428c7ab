//! Two controllers, and the one that leads dies, freezes or is cut off: the other goes on, and at no
//! time do both act. Proved from the API server's audit log.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::time::Duration;

use drover::k8s::lease::Terms;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::controllers::{ControllerProcess, Write, history, one_at_a_time};
use crate::support::operator::{Operator, wait_for};

/// Long enough that a busy machine does not lose it by itself.
const LEASE_SECONDS: u64 = 6;
/// What a leader has written, with the Lease aside, when it is said to act.
const ACTS: usize = 3;

/// Two controllers, one fleet, and somebody who changes its spec all the time.
struct Pair {
    operator: Operator,
    controllers: Vec<ControllerProcess>,
    restless: JoinHandle<()>,
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.restless.abort();
    }
}

impl Pair {
    async fn start() -> Self {
        Self::with_leases_of(LEASE_SECONDS).await
    }

    async fn with_leases_of(lease_seconds: u64) -> Self {
        let operator = Operator::prepare(&["events"]).await;
        operator.create("fleet", operator.spec("events")).await;
        let mut controllers = Vec::new();
        for letter in ["a", "b"] {
            let identity = format!("{}-{letter}", operator.namespace);
            let started = ControllerProcess::start(
                operator.cluster(),
                &operator.namespace,
                &identity,
                lease_seconds,
            );
            controllers.push(started.await);
        }
        for controller in &controllers {
            wait_for("both to be ready", async || {
                controller.page("/readyz").await.map(|_| ())
            })
            .await;
        }
        operator.condition("fleet", "Ready", "True", "Idle").await;
        let restless = tokio::spawn(restless(operator.api()));
        Self {
            operator,
            controllers,
            restless,
        }
    }

    fn history(&self) -> Vec<Write> {
        let identities: Vec<&str> = self
            .controllers
            .iter()
            .map(|c| c.identity.as_str())
            .collect();
        history(&self.operator.audit, &identities)
    }

    async fn holder(&self) -> String {
        let leases = self.operator.api::<Lease>();
        let lease = leases.get("drover-controller").await.unwrap();
        lease.spec.unwrap().holder_identity.unwrap_or_default()
    }

    /// The one that leads, and the other.
    async fn leader_and_other(&self) -> (&ControllerProcess, &ControllerProcess) {
        let holder = self.holder().await;
        let (first, second) = (&self.controllers[0], &self.controllers[1]);
        if first.identity == holder {
            (first, second)
        } else {
            assert_eq!(second.identity, holder);
            (second, first)
        }
    }

    /// Waits until this one has acted some more.
    async fn acts(&self, controller: &ControllerProcess) {
        let count = || {
            let history = self.history();
            let acts = history.iter().filter(|write| !write.is_lease);
            acts.filter(|write| write.by == controller.identity).count()
        };
        let before = count();
        wait_for(
            &format!("{} to act", controller.identity),
            async || match count() {
                now if now >= before + ACTS => Ok(()),
                now => Err(format!("{before} writes before, {now} now")),
            },
        )
        .await;
    }

    /// What both have written is in order, and the fleet is as its spec says.
    async fn end(self) {
        let history = self.history();
        let order = one_at_a_time(&history);
        assert!(order.is_ok(), "{}", order.unwrap_err());
        self.restless.abort();
        self.operator
            .change("fleet", json!({ "template": round("last") }))
            .await;
        let is_last = |deployment: &Deployment| round_of(deployment).as_deref() == Some("last");
        self.operator
            .object("fleet", "the last change", is_last)
            .await;
        let order = one_at_a_time(&self.history());
        assert!(order.is_ok(), "{}", order.unwrap_err());
    }
}

fn round(number: &str) -> serde_json::Value {
    json!({ "metadata": { "annotations": { "round": number } } })
}

fn round_of(deployment: &Deployment) -> Option<String> {
    let template = deployment.spec.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get("round").cloned()
}

/// Gives whoever leads something to write several times a second.
async fn restless(consumers: Api<drover::api::KafkaConsumer>) {
    for number in 0.. {
        let patch = Patch::Merge(json!({ "spec": { "template": round(&format!("{number}")) } }));
        let _ = consumers
            .patch("fleet", &PatchParams::default(), &patch)
            .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_is_followed_by_another() {
    let pair = Pair::start().await;
    let (leader, other) = pair.leader_and_other().await;
    pair.acts(leader).await;
    leader.signal("KILL");
    pair.acts(other).await;
    assert_eq!(pair.holder().await, other.identity);
    pair.end().await;
}

/// By the API server's own clock, with the Lease that a controller has by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_twenty_seconds_of_a_leaders_death_another_acts() {
    let pair = Pair::with_leases_of(Terms::default().duration.as_secs()).await;
    let (leader, other) = pair.leader_and_other().await;
    pair.acts(leader).await;
    let killed = drover::clock::now();
    leader.signal("KILL");
    pair.acts(other).await;
    let history = pair.history();
    let mut acts = history.iter().filter(|write| !write.is_lease);
    let first = acts.find(|write| write.by == other.identity).unwrap();
    let after = first.received.duration_since(killed);
    assert!(after < SignedDuration::from_secs(20), "{after:?}");
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_frozen_past_its_lease_wakes_without_a_write() {
    let pair = Pair::start().await;
    let (leader, other) = pair.leader_and_other().await;
    pair.acts(leader).await;
    leader.signal("STOP");
    pair.acts(other).await;
    // It has missed changes, and reads them before it has looked at its lease.
    leader.signal("CONT");
    follows(leader).await;
    pair.acts(other).await;
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_stops_by_itself_and_comes_back_as_a_follower() {
    let pair = Pair::start().await;
    let (leader, other) = pair.leader_and_other().await;
    pair.acts(leader).await;
    leader.line.cut();
    pair.acts(other).await;
    // Cut off as it is, it knows: that it had stopped before the other began, the audit log shows.
    wait_for("it to stop", async || match leader.leads().await? {
        false => Ok(()),
        true => Err("it leads".to_owned()),
    })
    .await;
    leader.line.mend();
    follows(leader).await;
    pair.acts(other).await;
    pair.end().await;
}

/// Waits until it says that it does not lead, and that it is well.
async fn follows(controller: &ControllerProcess) {
    wait_for(&format!("{} to follow", controller.identity), async || {
        controller.page("/readyz").await?;
        match controller.leads().await? {
            false => Ok(()),
            true => Err("it leads".to_owned()),
        }
    })
    .await;
}

/// Another leads at the latest after the lease and one look at it, if nothing else is slow.
#[test]
fn by_default_a_lease_is_taken_over_within_twenty_seconds() {
    let terms = Terms::default();
    assert!(terms.renew_deadline < terms.duration);
    assert!(terms.duration + 2 * terms.retry < Duration::from_secs(20));
}

fn write(by: &str, is_lease: bool, received: i64, answered: i64) -> Write {
    let at = |ms| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms);
    Write {
        by: by.to_owned(),
        what: String::new(),
        is_lease,
        succeeded: true,
        received: at(received),
        answered: at(answered),
    }
}

#[test]
fn two_that_act_together_are_found_out() {
    let lease = |by, at| write(by, true, at, at + 1);
    let act = |by, from, to| write(by, false, from, to);
    let fine = [
        lease("a", 0),
        act("a", 2, 4),
        lease("b", 10),
        act("b", 12, 13),
    ];
    assert_eq!(one_at_a_time(&fine), Ok(()));
    for wrong in [
        vec![act("a", 2, 4)],
        vec![lease("a", 0), act("b", 2, 4)],
        vec![lease("a", 0), lease("b", 10), act("a", 12, 13)],
        vec![lease("a", 0), lease("b", 10), act("a", 9, 13)],
    ] {
        assert!(one_at_a_time(&wrong).is_err(), "{wrong:?}");
    }
}
