//! Servers that go away, come back, refuse.

use drover::idempotency::Claimed;
use drover::worker_config::{OnStoreError, StoreKind};

use super::servers::{
    PASSWORD, Server, is_silent, postgres, postgres_client, postgres_store, redis, redis_store,
};
use super::{Runtime, claim, holder, open, told};

/// What was claimed and marked before a restart still is after it, and the store is found again.
fn survives_a_restart(mut server: Server, kind: &StoreKind) {
    let runtime = Runtime::new();
    runtime.block_on(async {
        let store = open(kind);
        assert_eq!(claim(&store, "held", &holder("a", 1)).await, Claimed::Ours);
        assert_eq!(claim(&store, "done", &holder("a", 1)).await, Claimed::Ours);
        assert_eq!(store.confirm("done", &holder("a", 1)).await, Ok(true));
        server.stop();
        assert!(is_silent(&server));
        let error = loop {
            if let Err(error) = store.claim("other", &holder("b", 1)).await {
                break error.to_string();
            }
        };
        assert!(error.contains(&server.address()), "{error}");
        assert!(!error.contains(PASSWORD), "{error}");
        assert!(store.trouble().is_some());

        server.start_again();
        assert_eq!(claim(&store, "done", &holder("b", 1)).await, Claimed::Done);
        assert!(matches!(
            claim(&store, "held", &holder("b", 1)).await,
            Claimed::Held { .. }
        ));
        // The same delivery goes on.
        assert_eq!(claim(&store, "held", &holder("a", 2)).await, Claimed::Ours);
        assert_eq!(store.trouble(), None);
    });
}

#[test]
fn a_redis_that_keeps_its_data_survives_a_restart() {
    let server = redis(&[]);
    let kind = redis_store(&server);
    survives_a_restart(server, &kind);
}

#[test]
fn a_postgres_survives_a_restart() {
    let server = postgres(&[]);
    let kind = postgres_store(&server);
    survives_a_restart(server, &kind);
}

/// The words that a store has for its trouble.
fn trouble(runtime: &Runtime, kind: &StoreKind) -> String {
    runtime.block_on(async {
        let store = open(kind);
        loop {
            if let Err(error) = store.claim("key", &holder("a", 1)).await {
                return error.to_string();
            }
        }
    })
}

#[test]
fn a_wrong_password_is_told_without_it() {
    let wrong = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(wrong.path(), "wrong horse").unwrap();
    let runtime = Runtime::new();
    let (redis, postgres) = (redis(&[]), postgres(&[]));
    let mut kinds = [redis_store(&redis), postgres_store(&postgres)];
    for kind in &mut kinds {
        match kind {
            StoreKind::Redis(to) => to.password_file = Some(wrong.path().to_owned()),
            StoreKind::Postgres(to) => to.password_file = Some(wrong.path().to_owned()),
            StoreKind::Memory { .. } => {}
        }
        let words = trouble(&runtime, kind);
        assert!(words.to_lowercase().contains("password"), "{words}");
        assert!(!words.contains("horse"), "{words}");
        assert!(!format!("{kind:?}").contains("horse"));
    }
}

/// And the one who has them is another than the default user.
#[test]
fn the_rights_that_the_document_names_are_enough_for_a_redis_user() {
    let document = include_str!("../../../docs/idempotency.md");
    let rights = document.split("The user needs `").nth(1).unwrap();
    let rights = rights.split('`').next().unwrap();
    let server = redis(&[]);
    let StoreKind::Redis(mut to) = redis_store(&server) else {
        panic!("no redis");
    };
    to.username = Some("drover".to_owned());
    let kind = StoreKind::Redis(to);
    Runtime::new().block_on(async {
        let url = format!(
            "redis://:{}@{}",
            PASSWORD.replace(' ', "%20"),
            server.address()
        );
        let client = ::redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut user = ::redis::cmd("ACL");
        user.arg("SETUSER").arg("drover").arg("on").arg("~drover:*");
        user.arg(format!(">{PASSWORD}"));
        for command in rights.split_whitespace() {
            user.arg(format!("+{}", command.to_lowercase()));
        }
        user.exec_async(&mut connection).await.unwrap();
        let store = open(&kind);
        for (key, attempt) in [("one", 1), ("two", 2)] {
            assert_eq!(
                claim(&store, key, &holder("a", attempt)).await,
                Claimed::Ours
            );
        }
        assert_eq!(store.confirm("one", &holder("a", 1)).await, Ok(true));
        assert_eq!(store.release("two", &holder("a", 2)).await, Ok(()));
        assert_eq!(claim(&store, "one", &holder("b", 1)).await, Claimed::Done);
        assert_eq!(claim(&store, "two", &holder("b", 1)).await, Claimed::Ours);
    });
}

#[test]
fn a_redis_that_may_not_be_written_to_is_no_store() {
    // A replica of nobody: it answers, but takes nothing.
    let server = redis(&["--replicaof", "127.0.0.1", "1"]);
    let words = trouble(&Runtime::new(), &redis_store(&server));
    assert!(words.contains("READONLY"), "{words}");
}

#[test]
fn a_key_that_holds_something_else_is_not_taken_for_a_mark() {
    let server = redis(&[]);
    let kind = redis_store(&server);
    Runtime::new().block_on(async {
        let url = format!(
            "redis://:{}@{}/1",
            PASSWORD.replace(' ', "%20"),
            server.address()
        );
        let client = ::redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut set = ::redis::cmd("SET");
        set.arg("drover:shop.orders:key").arg("mine");
        set.exec_async(&mut connection).await.unwrap();
        let store = open(&kind);
        let error = store.claim("key", &holder("a", 1)).await.unwrap_err();
        assert!(
            error.to_string().contains("holds something else"),
            "{error}"
        );
        // It may be a piece of a record's value, and this goes to the log.
        assert!(!error.to_string().contains("orders:key"), "{error}");
        // It is that key's misfortune alone.
        for number in 0..50 {
            let error = store.claim("key", &holder("a", 1)).await.unwrap_err();
            assert!(error.to_string().contains("holds"), "{error}");
            let other = store
                .claim(&format!("other-{number}"), &holder("a", 1))
                .await;
            assert_eq!(other, Ok(Claimed::Ours));
            assert_eq!(store.trouble(), None);
        }
    });
}

/// Sessions of workers that the server has.
async fn sessions(client: &tokio_postgres::Client) -> i64 {
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'drover-worker'";
    client.query_one(asked, &[]).await.unwrap().get(0)
}

#[test]
fn a_row_that_somebody_holds_is_that_records_misfortune_alone() {
    let server = postgres(&[]);
    let kind = postgres_store(&server);
    Runtime::new().block_on(async {
        let store = open(&kind);
        assert_eq!(claim(&store, "held", &holder("a", 1)).await, Claimed::Ours);
        let mut client = postgres_client(&server, "drover").await;
        let locked = client.transaction().await.unwrap();
        let lock = "SELECT 1 FROM drover_idempotency WHERE key = 'held' FOR UPDATE";
        locked.query_one(lock, &[]).await.unwrap();
        for number in 0..10 {
            let error = store.claim("held", &holder("a", 2)).await.unwrap_err();
            assert!(error.to_string().contains("lock timeout"), "{error}");
            let other = store
                .claim(&format!("other-{number}"), &holder("a", 1))
                .await;
            assert_eq!(other, Ok(Claimed::Ours));
        }
        assert_eq!(store.trouble(), None);
        assert_eq!(sessions(locked.client()).await, 1);
        locked.rollback().await.unwrap();
        assert_eq!(claim(&store, "held", &holder("a", 2)).await, Claimed::Ours);
    });
}

#[test]
fn a_table_that_somebody_holds_costs_the_server_no_sessions() {
    let server = postgres(&[]);
    let kind = postgres_store(&server);
    Runtime::new().block_on(async {
        let store = open(&kind);
        assert_eq!(claim(&store, "first", &holder("a", 1)).await, Claimed::Ours);
        let mut client = postgres_client(&server, "drover").await;
        let locked = client.transaction().await.unwrap();
        let lock = "LOCK TABLE drover_idempotency IN ACCESS EXCLUSIVE MODE";
        locked.batch_execute(lock).await.unwrap();
        let mut most = 0;
        // Long enough for the connection to be given up and made anew, more than once.
        while store.trouble().is_none() || most == 0 {
            store.claim("other", &holder("a", 1)).await.unwrap_err();
            most = most.max(sessions(locked.client()).await);
        }
        for _ in 0..20 {
            store.claim("other", &holder("a", 1)).await.unwrap_err();
            most = most.max(sessions(locked.client()).await);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert!(most <= 2, "{most} sessions");
        locked.rollback().await.unwrap();
        assert_eq!(claim(&store, "other", &holder("a", 1)).await, Claimed::Ours);
    });
}

#[test]
fn a_role_that_may_not_make_the_table_is_told_what_to_do_and_may_use_one_that_is_there() {
    let server = postgres(&[]);
    let StoreKind::Postgres(mut to) = postgres_store(&server) else {
        panic!("no postgres");
    };
    let runtime = Runtime::new();
    runtime.block_on(async {
        let client = postgres_client(&server, "drover").await;
        let role = format!("CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'");
        client.batch_execute(&role).await.unwrap();
    });
    to.username = "guest".to_owned();
    let kind = StoreKind::Postgres(to);
    let words = trouble(&runtime, &kind);
    assert!(
        words.contains("docs/idempotency.md") && words.contains("permission denied"),
        "{words}"
    );

    // As the document says.
    let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/idempotency.md");
    let document = std::fs::read_to_string(document).unwrap();
    let sql = document
        .split("```sql")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    runtime.block_on(async {
        let client = postgres_client(&server, "drover").await;
        client
            .batch_execute(&sql.replace("ROLE_NAME", "guest"))
            .await
            .unwrap();
        let store = open(&kind);
        assert_eq!(claim(&store, "key", &holder("a", 1)).await, Claimed::Ours);
        assert_eq!(store.confirm("key", &holder("a", 1)).await, Ok(true));
        assert_eq!(store.release("key", &holder("a", 1)).await, Ok(()));
    });
}

#[test]
fn many_workers_may_begin_at_once_on_an_empty_database() {
    let server = postgres(&[]);
    let kind = postgres_store(&server);
    Runtime::new().block_on(async {
        let stores: Vec<_> = (0..16).map(|_| open(&kind)).collect();
        let claims = stores.iter().enumerate().map(|(n, store)| async move {
            claim(store, &format!("key {n}"), &holder("a", 1)).await
        });
        for claimed in futures::future::join_all(claims).await {
            assert_eq!(claimed, Claimed::Ours);
        }
    });
}

#[test]
fn what_is_asked_of_a_memory_needs_no_server() {
    let runtime = Runtime::new();
    runtime.block_on(async {
        let store = open(&StoreKind::Memory { max_entries: 10 });
        assert_eq!(claim(&store, "key", &holder("a", 1)).await, Claimed::Ours);
        assert_eq!(store.confirm("key", &holder("a", 1)).await, Ok(true));
        assert_eq!(claim(&store, "key", &holder("b", 1)).await, Claimed::Done);
        assert_eq!(store.trouble(), None);
    });
    assert_eq!(
        told(StoreKind::Memory { max_entries: 1 }).on_store_error,
        OnStoreError::Stall
    );
}
