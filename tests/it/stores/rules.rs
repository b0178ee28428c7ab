//! Every store keeps the rules of `drover::idempotency`.

use drover::idempotency::{self, Claimed, Entry, Holder};
use drover::store::Store;
use drover::worker_config::StoreKind;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;

use super::servers::{
    PASSWORD, Server, postgres, postgres_client, postgres_store, redis, redis_store,
};
use super::{LEASE, RETENTION, Runtime, claim, holder, open, told};

#[derive(Clone, Debug)]
enum Step {
    Claim,
    Confirm,
    Release,
    /// What is there runs out, without anybody waiting for it.
    RunOut,
}

type Move = (Step, usize, u64, usize);

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let step = prop_oneof![
        4 => Just(Step::Claim),
        2 => Just(Step::Confirm),
        2 => Just(Step::Release),
        1 => Just(Step::RunOut),
    ];
    proptest::collection::vec((step, 0usize..3, 0u64..3, 0usize..2), 1..40)
}

/// The kind of a claim's outcome; what is left of a lease is the store's own matter.
fn kind(claimed: Claimed) -> &'static str {
    match claimed {
        Claimed::Ours => "ours",
        Claimed::Done => "done",
        Claimed::Held { left } => {
            assert!(left <= LEASE, "{left:?}");
            "held"
        }
    }
}

/// Plays random moves on a store and on the rules themselves; both must say the same.
fn keeps_the_rules(kind_of: &StoreKind, run_out: impl AsyncFn(&str)) {
    let runtime = Runtime::new();
    let store = runtime.block_on(async {
        let store = open(kind_of);
        // The first question makes the table.
        claim(&store, "first", &holder("a", 1)).await;
        store
    });
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let case = std::cell::Cell::new(0);
    let result = runner.run(&moves(), |moves| {
        case.set(case.get() + 1);
        runtime.block_on(play(&store, case.get(), &moves, &run_out));
        Ok(())
    });
    result.unwrap();
}

async fn play(store: &Store, case: u32, moves: &[Move], run_out: &impl AsyncFn(&str)) {
    let now = Duration::ZERO;
    let mut entries: [Option<Entry>; 2] = [None, None];
    for (step, who, attempt, key) in moves {
        let holder = holder(["a", "b", "c"][*who], *attempt);
        let text = format!("case {case} key {key}");
        let entry = &mut entries[*key];
        match step {
            Step::Claim => {
                let (wanted, after) = idempotency::claim(entry.as_ref(), &holder, LEASE, now);
                let claimed = claim(store, &text, &holder).await;
                assert_eq!(kind(claimed), kind(wanted), "{moves:?}");
                *entry = after.or(entry.take());
            }
            Step::Confirm => {
                let (ours, after) = idempotency::confirm(entry.as_ref(), &holder, RETENTION, now);
                let confirmed = store.confirm(&text, &holder).await;
                assert_eq!(confirmed, Ok(ours), "{moves:?}");
                *entry = Some(after);
            }
            Step::Release => {
                if idempotency::release(entry.as_ref(), &holder) {
                    *entry = None;
                }
                assert_eq!(store.release(&text, &holder).await, Ok(()));
            }
            Step::RunOut => {
                run_out(&text).await;
                *entry = None;
            }
        }
    }
}

#[test]
fn redis_keeps_the_rules() {
    let server = redis(&[]);
    let url = redis_url(&server);
    keeps_the_rules(&redis_store(&server), async |key| {
        let client = ::redis::Client::open(url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut delete = ::redis::cmd("DEL");
        delete.arg(format!("drover:shop.orders:{key}"));
        delete.exec_async(&mut connection).await.unwrap();
    });
}

fn redis_url(server: &Server) -> String {
    format!(
        "redis://:{}@{}/1",
        PASSWORD.replace(' ', "%20"),
        server.address()
    )
}

#[test]
fn postgres_keeps_the_rules() {
    let server = postgres(&[]);
    keeps_the_rules(&postgres_store(&server), async |key| {
        let client = postgres_client(&server, "drover").await;
        let sql = "UPDATE drover_idempotency SET expires_at = now() - interval '1 second'
                   WHERE scope = 'shop.orders' AND key = $1";
        client.execute(sql, &[&key]).await.unwrap();
    });
}

/// Two workers, each with many deliveries of the same keys: one claim of each goes through.
fn one_of_many_gets_each_key(kind: &StoreKind) {
    let runtime = Runtime::new();
    runtime.block_on(async {
        let (one, two) = (open(kind), open(kind));
        for key in 0..50 {
            let key = format!("key {key}");
            let claims = (0..16).map(|n| {
                let (store, key) = (if n % 2 == 0 { &one } else { &two }, &key);
                async move { claim(store, key, &holder(&format!("delivery {n}"), 1)).await }
            });
            let claimed = futures::future::join_all(claims).await;
            let ours = claimed.iter().filter(|c| **c == Claimed::Ours).count();
            assert_eq!(ours, 1, "{claimed:?}");
        }
    });
}

#[test]
fn one_of_many_gets_each_key_of_a_redis() {
    let server = redis(&[]);
    one_of_many_gets_each_key(&redis_store(&server));
}

#[test]
fn one_of_many_gets_each_key_of_a_postgres() {
    let server = postgres(&[]);
    one_of_many_gets_each_key(&postgres_store(&server));
}

/// Whoever holds a claim and is never heard of again does not hold it for ever; and what is done is
/// forgotten after its time.
fn what_runs_out_is_free_again(kind: &StoreKind) {
    let runtime = Runtime::new();
    runtime.block_on(async {
        let mut short = told(kind.clone());
        short.lease = Duration::from_millis(300);
        short.retention = Duration::from_millis(300);
        let brief = Store::open(&short, drover::clock::Monotonic::start());
        let other = open(kind);
        let until_ours = async |key: &str, by: &Holder| {
            while claim(&other, key, by).await != Claimed::Ours {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert_eq!(
            claim(&brief, "lease", &holder("dead", 1)).await,
            Claimed::Ours
        );
        until_ours("lease", &holder("next", 1)).await;
        // The one who was thought dead did it after all: that is what is true, and it is told that
        // somebody else may have done it too.
        assert_eq!(brief.confirm("lease", &holder("dead", 1)).await, Ok(false));

        assert_eq!(claim(&brief, "mark", &holder("a", 1)).await, Claimed::Ours);
        assert_eq!(brief.confirm("mark", &holder("a", 1)).await, Ok(true));
        until_ours("mark", &holder("b", 1)).await;
    });
}

#[test]
fn what_runs_out_is_free_again_in_redis() {
    let server = redis(&[]);
    what_runs_out_is_free_again(&redis_store(&server));
}

#[test]
fn what_runs_out_is_free_again_in_postgres() {
    let server = postgres(&[]);
    what_runs_out_is_free_again(&postgres_store(&server));
}
