//! What the probes are told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::aside::Absence;
use super::news::News;
use crate::clock::Monotonic;
use crate::telemetry::http::Probes;

/// The loop turns at least every tenth of a second; silent for this long, it is stuck.
const SILENCE: Duration = Duration::from_secs(30);
/// The loop has not begun: the worker waits for its handler or its dead-letter topic, for as long as
/// that takes. A restart would not help.
const NOT_BEGUN: u64 = u64::MAX;

/// How the worker is. Written by the loop, read by the admin port.
pub struct Health {
    clock: Monotonic,
    turned_at: AtomicU64,
    joined: AtomicBool,
    outvoted: AtomicBool,
    troubles: Mutex<Troubles>,
    handler_news: Mutex<News>,
}

/// What makes it doubtful that Kafka is there, the weightiest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// A connection has ended, or a request was not answered in time: it may be one broker's matter.
    Connection,
    /// librdkafka has no broker left.
    AllBrokers,
}

/// Of a handler that nothing has asked for so far.
const NOT_TRIED: &str = "not tried yet";

#[derive(Default)]
struct Troubles {
    kafka: Option<String>,
    /// Has come up since Kafka was last looked at.
    doubt: Option<Doubt>,
    /// What a connection to Kafka last ended with.
    connection: Option<String>,
    topic: Option<String>,
    beginning: Option<String>,
    commits: Option<String>,
    handler: Option<String>,
    handler_absence: Absence,
    /// When it was last tried, and when it was last there.
    handler_tried_at: Duration,
    handler_reached_at: Duration,
    store: Option<String>,
    /// Nothing is delivered without the store.
    store_is_needed: bool,
    dead_letters: Option<String>,
    refused: Option<String>,
    fatal: Option<String>,
    stopping: bool,
}

impl Health {
    /// A worker that begins.
    pub fn new(clock: Monotonic) -> Self {
        let troubles = Troubles {
            handler: Some(NOT_TRIED.to_owned()),
            ..Troubles::default()
        };
        Self {
            clock,
            turned_at: AtomicU64::new(NOT_BEGUN),
            joined: AtomicBool::new(false),
            outvoted: AtomicBool::new(false),
            troubles: Mutex::new(troubles),
            handler_news: Mutex::default(),
        }
    }

    /// The loop has turned.
    pub fn turned(&self, now: Duration) {
        self.turned_at.store(millis(now), Relaxed);
    }

    /// The loop is over: what follows has its own limits.
    pub fn turns_no_more(&self) {
        self.turned_at.store(NOT_BEGUN, Relaxed);
    }

    /// The group has answered, if only with nothing to do.
    pub fn joined(&self) {
        self.joined.store(true, Relaxed);
    }

    /// The group does not take us while it has members that use another assignor, or protocol. They
    /// are those before a roll-out that changes it, and they go only when their successors are ready:
    /// so this is as good as being a member. True if it is news.
    pub fn outvoted(&self) -> bool {
        !self.outvoted.swap(true, Relaxed)
    }

    /// Kafka cannot be reached, for the reason given; or can. True if that is news.
    pub fn kafka(&self, trouble: Option<&str>) -> bool {
        let mut troubles = self.troubles();
        if trouble.is_none() {
            troubles.connection = None;
        }
        replace(&mut troubles.kafka, trouble)
    }

    /// Kafka may be gone: somebody should look.
    pub fn doubt_kafka(&self, doubt: Doubt) {
        let mut troubles = self.troubles();
        troubles.doubt = troubles.doubt.max(Some(doubt));
    }

    /// Somebody begins to look, for what has come up until now.
    pub fn take_doubt(&self) -> Option<Doubt> {
        self.troubles().doubt.take()
    }

    /// Something has come up since somebody last began to look.
    pub fn kafka_is_doubted(&self) -> bool {
        self.troubles().doubt.is_some()
    }

    /// A connection to Kafka has ended, or could not be made. That says more than that no broker
    /// is left.
    pub fn connection_ended(&self, why: &str) {
        self.troubles().connection = Some(why.to_owned());
    }

    /// See [`Health::connection_ended`].
    pub fn last_connection(&self) -> Option<String> {
        self.troubles().connection.clone()
    }

    /// A topic is not there; or is. True if that is news.
    pub fn topic(&self, trouble: Option<&str>) -> bool {
        replace(&mut self.troubles().topic, trouble)
    }

    /// Offsets cannot be committed until somebody mends it; or can. True if that is news.
    pub fn commits(&self, trouble: Option<&str>) -> bool {
        replace(&mut self.troubles().commits, trouble)
    }

    /// Kafka does not say where reading of new partitions begins; or says it. True if that is news.
    pub fn beginning(&self, trouble: Option<&str>) -> bool {
        replace(&mut self.troubles().beginning, trouble)
    }

    /// The dead-letter topic will not do; or will. True if that is news.
    pub fn dead_letters(&self, trouble: Option<&str>) -> bool {
        replace(&mut self.troubles().dead_letters, trouble)
    }

    /// Kafka refuses us something; or nothing any more.
    pub fn refused(&self, what: Option<&str>) {
        replace(&mut self.troubles().refused, what);
    }

    /// No broker answered when one was last asked.
    pub fn kafka_is_missing(&self) -> bool {
        self.troubles().kafka.is_some()
    }

    /// See [`Health::joined`].
    pub fn is_member(&self) -> bool {
        self.joined.load(Relaxed)
    }

    /// Something is known that keeps us from being taken into the group.
    pub fn is_kept_out(&self) -> bool {
        let troubles = self.troubles();
        let of_kafka = [&troubles.topic, &troubles.refused, &troubles.fatal];
        of_kafka.iter().any(|trouble| trouble.is_some()) || self.outvoted.load(Relaxed)
    }

    /// The handler cannot be connected to; or can. True if that is news.
    pub fn handler(&self, trouble: Option<&str>) -> bool {
        let now = self.clock.elapsed();
        let mut troubles = self.troubles();
        let is_absent = trouble.is_some();
        troubles.handler_absence.set(is_absent, now);
        troubles.handler_tried_at = now;
        if !is_absent {
            troubles.handler_reached_at = now;
        }
        replace(&mut troubles.handler, trouble)
    }

    /// The handler was there, for whoever asked it, after so long a time ago.
    pub fn handler_was_reached_within(&self, time: Duration) -> bool {
        let since = self.clock.elapsed().saturating_sub(time);
        let troubles = self.troubles();
        troubles.handler.is_none() && troubles.handler_reached_at >= since
    }

    /// How long the handler has not been tried.
    pub fn handler_untried_for(&self) -> Duration {
        let now = self.clock.elapsed();
        now.saturating_sub(self.troubles().handler_tried_at)
    }

    /// How long the handler was out of reach lately.
    pub fn handler_absence(&self) -> Duration {
        let now = self.clock.elapsed();
        self.troubles().handler_absence.so_far(now)
    }

    /// What is to be told of the handler's changes in the log.
    pub fn handler_news<T>(&self, look: impl FnOnce(&mut News, Duration) -> T) -> T {
        let mut news = self.handler_news.lock();
        let news = news.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
        look(news, self.clock.elapsed())
    }

    /// Why the handler cannot be connected to, if so.
    pub fn handler_trouble(&self) -> Option<String> {
        self.troubles().handler.clone()
    }

    /// The same, once it was tried.
    pub fn handler_away(&self) -> Option<String> {
        self.handler_trouble().filter(|why| why != NOT_TRIED)
    }

    /// The handler could not be connected to when it was last tried, or was not tried yet.
    pub fn handler_is_missing(&self) -> bool {
        self.troubles().handler.is_some()
    }

    /// The idempotency store cannot be used; or can. True if that is news.
    pub fn store(&self, trouble: Option<&str>, is_needed: bool) -> bool {
        let mut troubles = self.troubles();
        troubles.store_is_needed = is_needed;
        replace(&mut troubles.store, trouble)
    }

    /// The Kafka client can do nothing any more.
    pub fn fatal(&self, trouble: &str) {
        self.troubles().fatal = Some(trouble.to_owned());
    }

    /// The worker drains.
    pub fn stopping(&self) {
        self.troubles().stopping = true;
    }

    /// The worker has left the group without being told to stop, and joins again later. What is wrong with its handler
    /// stays so.
    pub fn begins_anew(&self) {
        self.joined.store(false, Relaxed);
        self.outvoted.store(false, Relaxed);
        let mut troubles = self.troubles();
        let handler = troubles.handler.take();
        *troubles = Troubles {
            handler,
            ..Troubles::default()
        };
    }

    /// The handler was waited for, and is there: what was before is not held against it.
    pub fn handler_is_back(&self) {
        let now = self.clock.elapsed();
        self.troubles().handler_absence.forget(now);
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probes for Health {
    fn live(&self) -> Result<(), String> {
        if let Some(fatal) = &self.troubles().fatal {
            return Err(format!("the Kafka client has failed for good: {fatal}"));
        }
        let silence = silence(self.turned_at.load(Relaxed), self.clock.elapsed());
        if silence > SILENCE {
            return Err(format!(
                "the loop has not turned for {} s",
                silence.as_secs()
            ));
        }
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        let troubles = self.troubles();
        let mut missing = Vec::new();
        if troubles.stopping {
            missing.push("the worker is draining before it stops".to_owned());
        }
        let untried = troubles.handler.as_deref() == Some(NOT_TRIED);
        if let Some(why) = troubles.handler.as_ref().filter(|_| !untried) {
            missing.push(format!("handler not reachable: {why}"));
        }
        if let Some(why) = &troubles.kafka {
            missing.push(format!("Kafka not reachable: {why}"));
        }
        if let Some(why) = &troubles.refused {
            missing.push(format!("Kafka refuses this worker: {why}"));
        }
        if let Some(why) = &troubles.topic {
            missing.push(format!("topic not there: {why}"));
        }
        if let Some(why) = &troubles.beginning {
            missing.push(format!("committed offsets cannot be read: {why}"));
        }
        if let Some(why) = troubles.store.as_ref().filter(|_| troubles.store_is_needed) {
            missing.push(format!("idempotency store does not answer: {why}"));
        }
        if let Some(why) = &troubles.dead_letters {
            missing.push(format!("no record is taken: {why}"));
        }
        if let Some(why) = &troubles.commits {
            missing.push(format!("offsets cannot be committed: {why}"));
        }
        if untried {
            // Whatever else is in the way comes before it.
            missing.push(format!("handler {NOT_TRIED}"));
        }
        if !self.is_member() && !self.outvoted.load(Relaxed) {
            missing.push("not yet a member of the consumer group".to_owned());
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing.join("\n"))
        }
    }
}

/// How long the loop has not turned, by the time at which it last did.
fn silence(turned_at_ms: u64, now: Duration) -> Duration {
    match turned_at_ms {
        NOT_BEGUN => Duration::ZERO,
        millis => now.saturating_sub(Duration::from_millis(millis)),
    }
}

/// News is only whether there is trouble: its words may differ from try to try.
fn replace(held: &mut Option<String>, trouble: Option<&str>) -> bool {
    let news = held.is_some() != trouble.is_some();
    if held.as_deref() != trouble {
        *held = trouble.map(str::to_owned);
    }
    news
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_ready_when_handler_and_group_are_there() {
        let health = Health::new(Monotonic::start());
        let missing = health.ready().unwrap_err();
        assert!(
            missing.contains("handler") && missing.contains("group"),
            "{missing}"
        );
        assert!(health.handler(None));
        assert!(!health.handler(None), "no news");
        health.joined();
        assert_eq!(health.ready(), Ok(()));
        health.topic(Some("orders"));
        assert_eq!(health.ready(), Err("topic not there: orders".to_owned()));
        health.topic(None);
        health.store(Some("refused"), false);
        assert_eq!(health.ready(), Ok(()), "delivered without it");
        health.store(Some("refused"), true);
        let missing = health.ready().unwrap_err();
        assert_eq!(missing, "idempotency store does not answer: refused");
    }

    /// librdkafka says it once. While somebody looks Kafka may answer, and then go.
    #[test]
    fn a_doubt_that_comes_up_while_somebody_looks_is_kept() {
        let health = Health::new(Monotonic::start());
        assert!(!health.kafka_is_doubted());
        health.doubt_kafka(Doubt::Connection);
        assert_eq!(health.take_doubt(), Some(Doubt::Connection));
        health.doubt_kafka(Doubt::AllBrokers);
        health.doubt_kafka(Doubt::Connection);
        health.kafka(None);
        assert!(health.kafka_is_doubted());
        assert_eq!(health.take_doubt(), Some(Doubt::AllBrokers));
        assert_eq!(health.take_doubt(), None);
    }

    #[test]
    fn a_worker_that_waits_for_others_before_it_begins_is_alive_however_long_it_takes() {
        let day = Duration::from_secs(86_400);
        assert_eq!(silence(NOT_BEGUN, day), Duration::ZERO);
        assert_eq!(silence(86_390_000, day), Duration::from_secs(10));
        assert!(silence(1_000, day) > SILENCE);
    }

    #[test]
    fn only_what_a_restart_helps_against_is_no_life() {
        let health = Health::new(Monotonic::start());
        health.kafka(Some("down"));
        health.handler(Some("down"));
        health.store(Some("down"), true);
        health.topic(Some("gone"));
        health.beginning(Some("orders[1]: NotCoordinator"));
        health.commits(Some("not authorised"));
        health.dead_letters(Some("compacted"));
        health.refused(Some("topic orders may not be read"));
        health.stopping();
        assert_eq!(health.live(), Ok(()));
        let missing = health.ready().unwrap_err();
        for part in [
            "Kafka",
            "handler",
            "topic",
            "cannot be read",
            "refuses",
            "committed",
            "no record is taken",
            "draining",
            "group",
        ] {
            assert!(missing.contains(part), "{part}: {missing}");
        }
        health.fatal("fenced");
        assert!(health.live().is_err());
    }
}
