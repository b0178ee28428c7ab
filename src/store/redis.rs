//! The store in a Redis, or in what speaks its language.
//!
//! A key holds `L <attempt> <delivery>` while somebody is at work and `D …` once it is done, and
//! runs out by Redis' own clock. The rules are scripts, so that reading and writing are one step;
//! all questions go over one connection, without waiting for each other.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, Script, TlsCertificates,
};

use super::link::{Failed, Link};
use super::{Error, LONGEST_QUESTION, address};
use crate::clock::Monotonic;
use crate::idempotency::{Claimed, Holder};
use crate::worker_config::Redis as To;

/// `KEYS[1]`, attempt, delivery, lease in milliseconds. Gives 0 for ours, 1 for done, 2 for held,
/// and what is left.
const CLAIM: &str = r"
local held = redis.call('GET', KEYS[1])
if held then
  local state, attempt, delivery = string.match(held, '^([LD]) (%d+) (.*)$')
  if not state then
    return redis.error_reply('DROVERKEY the key of this record holds something else; choose another scope or database')
  end
  if state == 'D' then return {1, 0} end
  if delivery ~= ARGV[2] or tonumber(attempt) > tonumber(ARGV[1]) then
    return {2, math.max(redis.call('PTTL', KEYS[1]), 0)}
  end
end
redis.call('SET', KEYS[1], 'L ' .. ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return {0, 0}
";

/// `KEYS[1]`, attempt, delivery, retention in milliseconds. Gives 1 if the claim was still ours.
const CONFIRM: &str = r"
local held = redis.call('GET', KEYS[1])
local holder = ARGV[1] .. ' ' .. ARGV[2]
redis.call('SET', KEYS[1], 'D ' .. holder, 'PX', ARGV[3])
if held == 'L ' .. holder or held == 'D ' .. holder then return 1 end
return 0
";

/// `KEYS[1]`, attempt, delivery.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == 'L ' .. ARGV[1] .. ' ' .. ARGV[2] then
  redis.call('DEL', KEYS[1])
end
return 0
";

pub(super) struct Redis {
    name: String,
    prefix: String,
    claim: Script,
    confirm: Script,
    release: Script,
    link: Link<MultiplexedConnection>,
}

impl Redis {
    pub(super) fn open(to: To, scope: &str, clock: Monotonic) -> Self {
        let prefix = format!("drover:{scope}:");
        let name = format!("redis at {}", to.address);
        let probe = format!("{prefix}probe");
        Self {
            name,
            prefix,
            claim: Script::new(CLAIM),
            confirm: Script::new(CONFIRM),
            release: Script::new(RELEASE),
            link: Link::new(clock, async move || connect(&to, &probe).await),
        }
    }

    pub(super) async fn claim(
        &self,
        key: &str,
        holder: &Holder,
        lease: Duration,
    ) -> Result<Claimed, Error> {
        let (state, left_ms): (u8, u64) = self.ask(&self.claim, key, holder, Some(lease)).await?;
        Ok(match state {
            0 => Claimed::Ours,
            1 => Claimed::Done,
            _ => Claimed::Held {
                left: Duration::from_millis(left_ms),
            },
        })
    }

    pub(super) async fn confirm(
        &self,
        key: &str,
        holder: &Holder,
        retention: Duration,
    ) -> Result<bool, Error> {
        let ours: u8 = self
            .ask(&self.confirm, key, holder, Some(retention))
            .await?;
        Ok(ours == 1)
    }

    pub(super) async fn release(&self, key: &str, holder: &Holder) -> Result<(), Error> {
        let _: u8 = self.ask(&self.release, key, holder, None).await?;
        Ok(())
    }

    pub(super) fn trouble(&self) -> Option<Error> {
        let why = self.link.trouble()?;
        Some(Error::new(&self.name, Failed::Server(why)))
    }

    async fn ask<T: ::redis::FromRedisValue>(
        &self,
        script: &Script,
        key: &str,
        holder: &Holder,
        stays: Option<Duration>,
    ) -> Result<T, Error> {
        let mut asking = script.key(format!("{}{key}", self.prefix));
        asking.arg(holder.attempt).arg(&holder.delivery);
        if let Some(stays) = stays {
            asking.arg(millis(stays));
        }
        let answer = self
            .link
            .ask(async |mut connection| asking.invoke_async(&mut connection).await.map_err(failed));
        answer
            .await
            .map_err(|failed| Error::new(&self.name, failed))
    }
}

/// Connects, and writes once: a replica, a full memory or a user without rights would answer a ping.
async fn connect(to: &To, probe: &str) -> Result<MultiplexedConnection, String> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(LONGEST_QUESTION))
        // `Link` has a deadline of its own.
        .set_response_timeout(None);
    let client = client(to)?;
    let connected = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = connected.await.map_err(words)?;
    let mut write = ::redis::cmd("SET");
    write.arg(probe).arg("P").arg("PX").arg(1000);
    write.exec_async(&mut connection).await.map_err(words)?;
    Ok(connection)
}

fn client(to: &To) -> Result<Client, String> {
    let (host, port) = address::parts(&to.address)?;
    let mut settings = RedisConnectionInfo::default().set_db(i64::from(to.database));
    if let Some(username) = &to.username {
        settings = settings.set_username(username);
    }
    if let Some(file) = &to.password_file {
        settings = settings.set_password(address::password(file)?);
    }
    let plain = |addr: ConnectionAddr| addr.into_connection_info().map_err(words);
    match &to.ca_file {
        None => {
            let info = plain(ConnectionAddr::Tcp(host, port))?.set_redis_settings(settings);
            Client::open(info).map_err(words)
        }
        Some(file) => {
            let addr = ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            };
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(address::certificates(file)?),
            };
            let info = plain(addr)?.set_redis_settings(settings);
            Client::build_with_tls(info, certificates).map_err(words)
        }
    }
}

/// In the server's words, or the client's.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn words(error: RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some("MOVED" | "ASK" | "CROSSSLOT"), _) => {
            "it is a Redis Cluster, which is not supported; name a server that is none".to_owned()
        }
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// Answers that are no single question's fault.
const OF_THE_SERVER: [&str; 16] = [
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "NOSCRIPT",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNKILLABLE",
];

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: RedisError) -> Failed {
    let of_question = error
        .code()
        .is_some_and(|code| !OF_THE_SERVER.contains(&code));
    let why = words(error);
    if of_question {
        Failed::Question(why)
    } else {
        Failed::Server(why)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
