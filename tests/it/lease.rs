//! Leadership against a real API server, with a line between that can be cut.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use std::sync::Arc;
use std::time::Duration;

use drover::clock::Monotonic;
use drover::k8s::client::{self, CallError, Fence};
use drover::k8s::lease::{Candidate, Pulse, Role, Terms};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::control_plane::control_plane;
use crate::support::line::{Line, server};
use crate::support::operator::wait_for;

const TERMS: Terms = Terms {
    duration: Duration::from_secs(3),
    renew_deadline: Duration::from_millis(1_500),
    retry: Duration::from_millis(200),
};

async fn config() -> Config {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(control_plane().kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap()
}

/// A candidate at work.
struct Running {
    role: watch::Receiver<Role>,
    fence: Fence,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(config: Config, namespace: &str, identity: &str) -> Self {
        Self::start_with(config, namespace, identity, TERMS)
    }

    fn start_with(config: Config, namespace: &str, identity: &str, terms: Terms) -> Self {
        let clock = Monotonic::start();
        let fence = Fence::closed(clock);
        let client = client::build(config, Arc::new(|_| {}), None).unwrap();
        let lease = (namespace, "leader");
        let candidate = Candidate::new(
            client,
            lease,
            identity.to_owned(),
            terms,
            clock,
            fence.clone(),
        );
        let (sender, role) = watch::channel(Role::Unknown);
        let stop = CancellationToken::new();
        let task = tokio::spawn(candidate.campaign(sender, Pulse::default(), stop.clone()));
        Self {
            role,
            fence,
            stop,
            task,
        }
    }

    async fn becomes(&mut self, wanted: Role) {
        let deadline = Duration::from_secs(30);
        let changed = tokio::time::timeout(deadline, self.role.wait_for(|role| *role == wanted));
        changed
            .await
            .unwrap_or_else(|_| panic!("never became {wanted:?}"))
            .unwrap();
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn cuttable(line: &Line) -> Config {
    let mut config = config().await;
    config.cluster_url = format!("https://{}", line.address).parse().unwrap();
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_cannot_renew_stops_before_its_lease_ends_and_comes_back() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let line = Line::to(server(&config().await)).await;
    let mut leader = Running::start(cuttable(&line).await, &namespace, "a");
    leader.becomes(Role::Leading).await;
    assert!(leader.fence.is_open());

    line.cut();
    let cut_at = Instant::now();
    leader.becomes(Role::Unknown).await;
    assert!(!leader.fence.is_open());
    assert!(cut_at.elapsed() < TERMS.duration, "{:?}", cut_at.elapsed());

    line.mend();
    leader.becomes(Role::Leading).await;
    assert!(leader.fence.is_open());
    leader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_candidates_never_act_together() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let line = Line::to(server(&config().await)).await;
    let mut first = Running::start(cuttable(&line).await, &namespace, "a");
    first.becomes(Role::Leading).await;
    let mut second = Running::start(config().await, &namespace, "b");
    second
        .becomes(Role::Following {
            leader: "a".to_owned(),
        })
        .await;

    let fences = (first.fence.clone(), second.fence.clone());
    let watching = tokio::spawn(async move {
        let mut together = 0;
        loop {
            if fences.0.is_open() && fences.1.is_open() {
                together += 1;
            }
            assert_eq!(together, 0, "both may write");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    line.cut();
    second.becomes(Role::Leading).await;
    assert!(!first.fence.is_open());
    line.mend();
    first
        .becomes(Role::Following {
            leader: "b".to_owned(),
        })
        .await;

    // A leader that goes in order is followed at once, not after its lease.
    let leases = Api::<Lease>::namespaced(client, &namespace);
    let stopped_at = Instant::now();
    second.stop().await;
    first.becomes(Role::Leading).await;
    assert!(
        stopped_at.elapsed() < TERMS.duration,
        "{:?}",
        stopped_at.elapsed()
    );
    let spec = leases.get("leader").await.unwrap().spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
    assert!(!watching.is_finished(), "both could write at one time");
    watching.abort();
    first.stop().await;
}

/// As people do to free a leadership that seems stuck, or as when a namespace is restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_deleted_is_not_taken_while_its_holder_may_act() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let line = Line::to(server(&config().await)).await;
    let mut first = Running::start(cuttable(&line).await, &namespace, "a");
    first.becomes(Role::Leading).await;
    let mut second = Running::start(config().await, &namespace, "b");
    let following = |leader: &str| Role::Following {
        leader: leader.to_owned(),
    };
    second.becomes(following("a")).await;
    let fences = (first.fence.clone(), second.fence.clone());
    let watching = tokio::spawn(async move {
        loop {
            assert!(
                !(fences.0.is_open() && fences.1.is_open()),
                "both may write"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });

    let leases = Api::<Lease>::namespaced(client, &namespace);
    let deleted = leases.get("leader").await.unwrap().metadata.uid;
    leases
        .delete("leader", &DeleteParams::default())
        .await
        .unwrap();
    // Its holder makes it anew, and goes on.
    wait_for("another lease of the same leader", async || {
        let lease = leases.get_opt("leader").await.unwrap();
        let lease = lease.filter(|lease| lease.metadata.uid != deleted);
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        match holder.as_deref() {
            Some("a") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    first.becomes(Role::Leading).await;
    second.becomes(following("a")).await;

    // One that does not hear of it acts until its deadline, so that is waited for.
    line.cut();
    leases
        .delete("leader", &DeleteParams::default())
        .await
        .unwrap();
    second.becomes(Role::Leading).await;
    assert!(!first.fence.is_open());
    line.mend();
    first.becomes(following("b")).await;
    assert!(!watching.is_finished(), "both could write at one time");
    watching.abort();
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_touches_the_lease_does_not_end_a_leader() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let mut leader = Running::start(config().await, &namespace, "a");
    leader.becomes(Role::Leading).await;
    let leases = Api::<Lease>::namespaced(client, &namespace);
    let touched = Patch::Merge(json!({ "metadata": { "annotations": { "touched": "1" } } }));
    let touched = leases
        .patch("leader", &PatchParams::default(), &touched)
        .await
        .unwrap();
    let version = |lease: &Lease| lease.metadata.resource_version.clone();
    wait_for("a renewal after that", async || {
        let now = leases.get("leader").await.unwrap();
        if version(&now) == version(&touched) {
            Err("none yet".to_owned())
        } else {
            Ok(())
        }
    })
    .await;
    assert!(!leader.role.has_changed().unwrap() && leader.fence.is_open());
    leader.stop().await;
    let left = leases.get("leader").await.unwrap().spec.unwrap();
    assert_eq!(left.holder_identity.as_deref(), Some(""));
}

/// As when it is stopped while a renewal is under way, whose answer it never gets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_has_not_seen_the_latest_version_gives_the_lease_back_all_the_same() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let seldom = Terms {
        duration: Duration::from_secs(600),
        renew_deadline: Duration::from_secs(500),
        retry: Duration::from_secs(400),
    };
    let mut leader = Running::start_with(config().await, &namespace, "a", seldom);
    leader.becomes(Role::Leading).await;
    let leases = Api::<Lease>::namespaced(client, &namespace);
    let touched = Patch::Merge(json!({ "metadata": { "annotations": { "touched": "1" } } }));
    leases
        .patch("leader", &PatchParams::default(), &touched)
        .await
        .unwrap();
    leader.stop().await;
    let left = leases.get("leader").await.unwrap().spec.unwrap();
    assert_eq!(left.holder_identity.as_deref(), Some(""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_fence_refuses_writes_and_lets_reads_through() {
    let namespace = {
        let client = control_plane().client().await;
        control_plane().namespace(&client).await
    };
    let clock = Monotonic::start();
    let fence = Fence::closed(clock);
    let client: Client =
        client::build(config().await, Arc::new(|_| {}), Some(fence.clone())).unwrap();
    let config_maps = Api::<ConfigMap>::namespaced(client, &namespace);
    let config_map: ConfigMap =
        serde_json::from_value(json!({ "metadata": { "name": "x" } })).unwrap();

    let params = PostParams::default();
    let error = config_maps.create(&params, &config_map).await.unwrap_err();
    let kube::Error::Service(source) = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(source.downcast_ref(), Some(CallError::Fenced)),
        "{source:?}"
    );
    assert!(config_maps.get_opt("x").await.unwrap().is_none());

    fence.open_until(clock.elapsed() + Duration::from_secs(60));
    config_maps.create(&params, &config_map).await.unwrap();
}
