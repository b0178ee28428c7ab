//! The store in a table of a PostgreSQL.
//!
//! One row for each key; each question is one statement, and so one transaction. Rows run out by the
//! server's own clock and are swept out in small batches. All questions go over one connection,
//! without waiting for each other's answers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::config::{ChannelBinding, Config, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use super::link::{Failed, Link};
use super::{Error, LONGEST_QUESTION, address};
use crate::clock::Monotonic;
use crate::foreign;
use crate::idempotency::{Claimed, Holder};
use crate::worker_config::Postgres as To;

/// Between two sweeps. Every worker sweeps; none waits for a row that another has in hand.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Rows swept out by one statement.
const SWEEP_ROWS: i64 = 1000;

pub(super) struct Postgres {
    name: String,
    scope: String,
    link: Rc<Link<Rc<Session>>>,
    _sweeper: JoinSet<()>,
}

/// A connection with its statements.
struct Session {
    client: Client,
    claim: Statement,
    confirm: Statement,
    release: Statement,
    sweep: Statement,
    _driver: JoinSet<()>,
}

impl Postgres {
    pub(super) fn open(to: To, scope: &str, clock: Monotonic) -> Self {
        let name = format!("postgres at {}, database {}", to.address, to.database);
        let link = Rc::new(Link::new(clock, async move || {
            connect(&to).await.map(Rc::new)
        }));
        let mut sweeper = JoinSet::new();
        sweeper.spawn_local(sweep(Rc::clone(&link)));
        Self {
            name,
            scope: scope.to_owned(),
            link,
            _sweeper: sweeper,
        }
    }

    pub(super) async fn claim(
        &self,
        key: &str,
        holder: &Holder,
        lease: Duration,
    ) -> Result<Claimed, Error> {
        let (attempt, lease) = (attempt(holder), millis(lease));
        let asked: [&(dyn ToSql + Sync); 5] =
            [&self.scope, &key, &holder.delivery, &attempt, &lease];
        let row = self.ask(|session| &session.claim, &asked).await?;
        // No row: another worker's has come between the two halves of the statement.
        let Some(row) = row else {
            return Ok(Claimed::Held {
                left: Duration::ZERO,
            });
        };
        let (state, left_ms): (i32, i64) = (row.get(0), row.get(1));
        Ok(match state {
            0 => Claimed::Ours,
            1 => Claimed::Done,
            _ => Claimed::Held {
                left: Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)),
            },
        })
    }

    pub(super) async fn confirm(
        &self,
        key: &str,
        holder: &Holder,
        retention: Duration,
    ) -> Result<bool, Error> {
        let (attempt, retention) = (attempt(holder), millis(retention));
        let asked: [&(dyn ToSql + Sync); 5] =
            [&self.scope, &key, &holder.delivery, &attempt, &retention];
        let row = self.ask(|session| &session.confirm, &asked).await?;
        Ok(row.is_some_and(|row| row.get(0)))
    }

    pub(super) async fn release(&self, key: &str, holder: &Holder) -> Result<(), Error> {
        let attempt = attempt(holder);
        let asked: [&(dyn ToSql + Sync); 4] = [&self.scope, &key, &holder.delivery, &attempt];
        self.ask(|session| &session.release, &asked).await?;
        Ok(())
    }

    pub(super) fn trouble(&self) -> Option<Error> {
        let why = self.link.trouble()?;
        Some(Error::new(&self.name, Failed::Server(why)))
    }

    async fn ask(
        &self,
        statement: impl Fn(&Session) -> &Statement,
        asked: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        let answer = self.link.ask(async |session: Rc<Session>| {
            let rows = session.client.query(statement(&session), asked).await;
            Ok(rows.map_err(failed)?.into_iter().next())
        });
        answer
            .await
            .map_err(|failed| Error::new(&self.name, failed))
    }
}

async fn connect(to: &To) -> Result<Session, String> {
    let config = config(to)?;
    let tls = match &to.ca_file {
        None => None,
        Some(file) => Some(tls(&address::certificates(file)?)?),
    };
    let mut limited = config.clone();
    limited.options(LIMITS);
    let dialled = match dial(&limited, tls.clone()).await {
        // A pooler, which cannot give each of its clients' sessions limits of their own.
        Err(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => {
            dial(&config, tls).await
        }
        dialled => dialled,
    };
    let (client, driver) = dialled.map_err(words)?;
    let table = quoted(&to.table);
    ensure_table(&client, to, &table).await?;
    let prepare = async |sql: &str| {
        let sql = sql.replace("{table}", &table);
        client.prepare(&sql).await.map_err(words)
    };
    Ok(Session {
        claim: prepare(CLAIM).await?,
        confirm: prepare(CONFIRM).await?,
        release: prepare(RELEASE).await?,
        sweep: prepare(SWEEP).await?,
        client,
        _driver: driver,
    })
}

/// Milliseconds. Nobody holds a row of ours for long: who waits for one waits for a lock that is somebody else's, and all
/// that is asked behind it waits as well. The second is below what a question waits for its answer. Without them the
/// server would go on waiting for whoever has gone, with a session for each. As options of the connection and not by
/// `SET`, which behind a pooler would be the next client's as well.
const LIMITS: &str = "-c lock_timeout=100 -c statement_timeout=1500";

fn config(to: &To) -> Result<Config, String> {
    let (host, port) = address::parts(&to.address)?;
    let mut config = Config::new();
    config
        .host(host)
        .port(port)
        .dbname(&to.database)
        .user(&to.username)
        .application_name("drover-worker")
        .connect_timeout(LONGEST_QUESTION);
    if let Some(file) = &to.password_file {
        config.password(address::password(file)?);
    }
    if to.ca_file.is_some() {
        config.ssl_mode(SslMode::Require);
    } else {
        config
            .ssl_mode(SslMode::Disable)
            .channel_binding(ChannelBinding::Disable);
    }
    Ok(config)
}

/// A client, and what carries its bytes.
async fn dial(
    config: &Config,
    tls: Option<rustls::ClientConfig>,
) -> Result<(Client, JoinSet<()>), tokio_postgres::Error> {
    let mut driver = JoinSet::new();
    let client = if let Some(tls) = tls {
        let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await?;
        driver.spawn_local(drive(connection));
        client
    } else {
        let (client, connection) = config.connect(NoTls).await?;
        driver.spawn_local(drive(connection));
        client
    };
    Ok((client, driver))
}

/// What the table looks like; `docs/idempotency.md` has the same for those who make it themselves.
const CREATE: &str = "
CREATE TABLE IF NOT EXISTS {table} (
  scope text NOT NULL, key text NOT NULL,
  delivery text NOT NULL, attempt bigint NOT NULL,
  done boolean NOT NULL, expires_at timestamptz NOT NULL,
  PRIMARY KEY (scope, key))";
const CREATE_INDEX: &str = "CREATE INDEX IF NOT EXISTS {index} ON {table} (expires_at)";

/// Gives 0 for ours, 1 for done, 2 for held, and what is left. The second half reads what was there
/// when the statement began, so it believes a mark only if that has not run out.
const CLAIM: &str = "
WITH ours AS (
  INSERT INTO {table} AS held (scope, key, delivery, attempt, done, expires_at)
  VALUES ($1, $2, $3, $4, false, clock_timestamp() + $5::bigint * interval '1 millisecond')
  ON CONFLICT (scope, key) DO UPDATE
    SET delivery = excluded.delivery, attempt = excluded.attempt, done = false,
        expires_at = excluded.expires_at
    WHERE held.expires_at <= clock_timestamp()
       OR (NOT held.done AND held.delivery = excluded.delivery AND held.attempt <= excluded.attempt)
  RETURNING 1)
SELECT 0 AS state, 0::bigint AS left_ms FROM ours
UNION ALL
SELECT CASE WHEN done AND expires_at > clock_timestamp() THEN 1 ELSE 2 END,
       ceil(extract(epoch FROM expires_at - clock_timestamp()) * 1000)::bigint
FROM {table} WHERE scope = $1 AND key = $2 AND NOT EXISTS (SELECT 1 FROM ours)";

/// Gives true if the claim was still ours.
const CONFIRM: &str = "
WITH marked AS (
  INSERT INTO {table} (scope, key, delivery, attempt, done, expires_at)
  VALUES ($1, $2, $3, $4, true, clock_timestamp() + $5::bigint * interval '1 millisecond')
  ON CONFLICT (scope, key) DO UPDATE
    SET delivery = excluded.delivery, attempt = excluded.attempt, done = true,
        expires_at = excluded.expires_at
  RETURNING 1)
SELECT EXISTS (
  SELECT 1 FROM {table} WHERE scope = $1 AND key = $2 AND delivery = $3 AND attempt = $4
    AND expires_at > clock_timestamp())
FROM marked";

const RELEASE: &str = "
DELETE FROM {table} WHERE scope = $1 AND key = $2 AND delivery = $3 AND attempt = $4 AND NOT done";

const SWEEP: &str = "
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM {table} WHERE expires_at <= clock_timestamp() LIMIT $1 FOR UPDATE SKIP LOCKED))";

/// Makes the table where it is not there. Who may not make it may use it all the same.
async fn ensure_table(client: &Client, to: &To, table: &str) -> Result<(), String> {
    let there = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
        .await
        .map_err(words)?;
    if there.get(0) {
        return Ok(());
    }
    let index = to.table.rsplit('.').next().unwrap_or(&to.table);
    let index = quoted(&format!("{}_expiry", &index[..index.len().min(56)]));
    for sql in [CREATE, CREATE_INDEX] {
        let sql = sql.replace("{table}", table).replace("{index}", &index);
        match client.batch_execute(&sql).await {
            Ok(()) => {}
            // Another worker makes it at this moment.
            Err(error) if at_once(&error) => {}
            Err(error) => {
                return Err(format!(
                    "table {} is not there and cannot be made: {}; make it as docs/idempotency.md says",
                    to.table,
                    words(error)
                ));
            }
        }
    }
    Ok(())
}

fn at_once(error: &tokio_postgres::Error) -> bool {
    let codes = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// Names that the resource allows hold no quotes.
fn quoted(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(|part| format!("\"{part}\"")).collect();
    parts.join(".")
}

fn tls(certificates: &[u8]) -> Result<rustls::ClientConfig, String> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(certificates) {
        let certificate = certificate
            .map_err(|error| format!("the CA's certificates: {}", foreign::pem_error(&error)))?;
        let added = roots.add(certificate);
        added.map_err(|error| format!("the CA's certificates: {error}"))?;
    }
    if roots.is_empty() {
        return Err("the CA's file holds no certificate in PEM".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Carries a connection's bytes until it ends; who asks is told of its end as well.
async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        debug!(error = words(error), "the connection to PostgreSQL ended");
    }
}

/// Takes out what has run out, now and then, in batches that hold nobody up.
async fn sweep(link: Rc<Link<Rc<Session>>>) {
    loop {
        sleep(SWEEP_EVERY).await;
        loop {
            let swept = link.ask(async |session: Rc<Session>| {
                let swept = session.client.execute(&session.sweep, &[&SWEEP_ROWS]);
                swept.await.map_err(failed)
            });
            match swept.await {
                Ok(rows) if i64::try_from(rows).is_ok_and(|rows| rows >= SWEEP_ROWS) => {}
                Ok(_) => break,
                Err(error) => {
                    debug!(?error, "sweep the idempotency table");
                    break;
                }
            }
        }
    }
}

/// In the server's words where it said something, else with the cause behind the client's.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn words(error: tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What a lock, a time-out, a deadlock or the row itself stops is one question's misfortune.
fn failed(error: tokio_postgres::Error) -> Failed {
    let alone = error.code().is_some_and(|code| {
        let (class, code) = (code.code().get(..2), code.code());
        matches!(class, Some("22" | "23" | "40")) || matches!(code, "55P03" | "57014")
    });
    let why = words(error);
    if alone {
        Failed::Question(why)
    } else {
        Failed::Server(why)
    }
}

fn attempt(holder: &Holder) -> i64 {
    i64::try_from(holder.attempt).unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1)
}
