//! Whether Kafka and the handler can be reached: a log line for each change, unless there are many, and
//! a look now and then while one of them cannot.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::consume::Loop;
use super::delivery::exec;
use super::delivery::http::target::Target;
use super::health::{Doubt, Health};
use super::news::News;
use crate::clock::Monotonic;
use crate::telemetry::worker_metrics::WorkerMetrics;
use crate::worker_config::Handler;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Between two looks at an own handler that nothing is delivered to.
const LOOK_AT_REST: Duration = Duration::from_secs(5);
/// What lasts is told again after this long, so that a log of the last minute or two has it.
const TELL_SOON_AGAIN: Duration = Duration::from_secs(60);
/// What has lasted for so long is told more seldom.
const SOON: Duration = Duration::from_secs(600);
/// After this long, so that a log of the last ten minutes has it.
const TELL_AGAIN: Duration = Duration::from_secs(300);
/// So many looks in vain are not believed where only a connection has ended.
const UNBELIEVED: u32 = 2;
/// How long a look may take.
const LOOK: Duration = Duration::from_secs(3);

/// The handler was reached, or could not be for the reason given.
pub(super) fn handler(health: &Health, trouble: Option<&str>) {
    if health.handler(trouble)
        && let Some(untold) = health.handler_news(News::change)
    {
        tell_of_handler(trouble, untold);
    }
}

/// A connection to the handler broke, `took` after its request was begun. While others are answered that is no handler that
/// is not there.
pub(super) fn connection_broke(health: &Health, why: &str, took: Duration) {
    if !health.handler_was_reached_within(took) {
        handler(health, Some(why));
    }
}

/// `untold` changes came before, and none of them was told.
fn tell_of_handler(trouble: Option<&str>, untold: u32) {
    match (trouble, untold) {
        (None, 0) => info!("the handler is reachable"),
        (Some(why), 0) => warn!(why, "the handler cannot be reached; still trying"),
        (None, _) => info!(
            untold,
            "the handler comes and goes; at the moment it is reachable"
        ),
        (Some(why), _) => warn!(
            untold,
            why, "the handler comes and goes; at the moment it cannot be reached, still trying"
        ),
    }
}

/// A broker was heard of, or cannot be reached for the reason given.
pub(super) fn kafka(health: &Health, trouble: Option<&str>) {
    if health.kafka(trouble) {
        match trouble {
            None => info!("Kafka is reachable again"),
            Some(why) => warn!(why, "Kafka cannot be reached; still trying"),
        }
    }
}

/// The idempotency store can be used, or cannot for the reason given.
pub(super) fn store(health: &Health, trouble: Option<&str>, records_wait: bool) {
    if health.store(trouble, records_wait) {
        match trouble {
            None => info!("the idempotency store answers again"),
            Some(why) if records_wait => {
                warn!(
                    why,
                    "the idempotency store does not answer; records wait, still trying"
                );
            }
            Some(why) => {
                warn!(
                    why,
                    "the idempotency store does not answer; records are delivered without protection"
                );
            }
        }
    }
}

/// What has lasted for so long, and was told last when it had lasted for `told`.
fn is_to_be_told_again(lasts: Duration, told: Duration) -> bool {
    let wait = if told < SOON {
        TELL_SOON_AGAIN
    } else {
        TELL_AGAIN
    };
    lasts.saturating_sub(told) >= wait
}

/// Waits until something listens at the handler's address, and has been seen there for as long as `proof`.
pub(super) async fn wait_for_handler(place: &Place, proof: Duration, health: &Health) {
    let clock = Monotonic::start();
    let (mut there_since, mut told_at) = (None, None);
    loop {
        let now = clock.elapsed();
        match place.look().await {
            Ok(()) => {
                let is_news = there_since.is_none();
                if now.saturating_sub(*there_since.get_or_insert(now)) >= proof {
                    break;
                }
                if is_news {
                    let seconds = proof.as_secs();
                    info!(
                        seconds,
                        "the handler is back; it has to stay so long before the group is joined"
                    );
                    health.handler(Some(&format!(
                        "it is back, and has to stay for {seconds} s before records are taken, since it went before"
                    )));
                }
            }
            Err(why) => {
                there_since = None;
                health.handler(Some(&why));
                if told_at.is_none_or(|told| is_to_be_told_again(now, told)) {
                    info!(
                        why,
                        "waits for the handler at {place} before joining the group"
                    );
                    told_at = Some(now);
                }
            }
        }
        sleep(LOOK_AGAIN / 10).await;
    }
    handler(health, None);
    health.handler_is_back();
}

/// Looks at the handler at the start and whenever it is missing, and at one of this pod's `own` also while nothing is
/// delivered: deliveries tell of it as well, but there may be none.
pub(super) async fn watch_handler(
    place: Place,
    own: bool,
    health: Arc<Health>,
    metrics: Arc<WorkerMetrics>,
) {
    let clock = Monotonic::start();
    let (mut since, mut told_at) = (Duration::ZERO, Duration::ZERO);
    let mut said = health.handler_trouble();
    if health.handler_is_missing()
        && let Err(why) = place.look().await
    {
        warn!(why, "the handler cannot be reached; still trying");
        health.handler(Some(&why));
        said = Some(why);
    }
    loop {
        // One that is at work may have no room for another connection.
        let at_rest = metrics.in_flight.get() == 0 && health.handler_untried_for() >= LOOK_AT_REST;
        if own && at_rest && !health.handler_is_missing() {
            handler(&health, place.look().await.err().as_deref());
        }
        if health.handler_is_missing() {
            // That a command is there does not say that it runs: what deliveries said of it only they take back.
            let by_look = matches!(place, Place::Http(_)) || health.handler_trouble() == said;
            match place.look().await {
                Ok(()) if by_look => handler(&health, None),
                Ok(()) => {}
                // In the words of the last look; told in the log already.
                Err(why) => {
                    health.handler(Some(&why));
                    said = Some(why);
                }
            }
        }
        let trouble = health.handler_trouble();
        if let Some(untold) = health.handler_news(News::overdue) {
            tell_of_handler(trouble.as_deref(), untold);
        }
        let now = clock.elapsed();
        match trouble {
            None => (since, told_at) = (now, Duration::ZERO),
            Some(why) if is_to_be_told_again(now.saturating_sub(since), told_at) => {
                warn!(why, "the handler can still not be reached");
                told_at = now.saturating_sub(since);
            }
            Some(_) => {}
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Where the handler is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// An HTTP server.
    Http(Box<Target>),
    /// A command.
    Exec(Vec<String>),
}

impl Place {
    /// The place of a handler; the error says what is wrong with it.
    pub fn of(handler: &Handler) -> Result<Self, String> {
        match handler {
            Handler::Http(http) => Target::of(http).map(|target| Self::Http(Box::new(target))),
            Handler::Exec(exec) => Ok(Self::Exec(exec.command.clone())),
        }
    }

    /// It is in the same pod, and may start later than the worker.
    pub fn is_waited_for(&self, handler: &Handler) -> bool {
        match handler {
            Handler::Http(http) => http.in_pod,
            // If it is not there now, it will not be there later; the probe says so.
            Handler::Exec(_) => false,
        }
    }

    /// Whether it is there now.
    pub async fn look(&self) -> Result<(), String> {
        match self {
            Self::Http(target) => target.look(LOOK).await,
            Self::Exec(command) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                exec::find(command.first().map_or("", String::as_str), &path)
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(target) => write!(f, "{}", target.address),
            Self::Exec(command) => f.write_str(command.first().map_or("", String::as_str)),
        }
    }
}

impl Loop {
    /// librdkafka says that no broker can be reached. With one broker a connection that was merely
    /// idle looks the same, so it is only believed after a look of our own; then looked at until
    /// one answers, since a worker without records hears of no recovery.
    ///
    /// It says so once, and not where brokers go and come in some orders: so there is a look when a connection ends as well,
    /// which is believed more slowly, as the broker that is asked may be the one that is gone.
    pub fn watch_kafka(&mut self, why: String, doubt: Doubt) {
        self.health.doubt_kafka(doubt);
        while self.kafka_watch.try_join_next().is_some() {}
        if !self.kafka_watch.is_empty() || self.stopping {
            return;
        }
        let look = self.consumer.looker(LOOK);
        let health = Arc::clone(&self.health);
        let handshake = self.handshake.clone();
        self.kafka_watch.spawn(async move {
            let clock = Monotonic::start();
            let mut told_at = Duration::ZERO;
            let mut unbelieved = UNBELIEVED;
            loop {
                let mut doubt = health.take_doubt();
                let look = look.clone();
                let answer = spawn_blocking(move || look.look()).await;
                if matches!(answer, Ok(Err(_))) {
                    // What has come up meanwhile is of the same outage.
                    doubt = doubt.max(health.take_doubt());
                }
                if doubt == Some(Doubt::AllBrokers) {
                    unbelieved = 0;
                }
                match answer {
                    Ok(Ok(())) => {
                        kafka(&health, None);
                        if !health.kafka_is_doubted() {
                            return;
                        }
                        // It has answered, and may have gone since.
                        unbelieved = UNBELIEVED;
                    }
                    Ok(Err(error)) if unbelieved > 0 => {
                        debug!(%error, "Kafka has not answered; looking again");
                        unbelieved -= 1;
                    }
                    Ok(Err(error)) => {
                        debug!(%error, "Kafka cannot be reached");
                        // That no broker is left says less than what became of a connection, and
                        // that, of TLS, less than a handshake.
                        let last = health.last_connection();
                        let last = last.as_deref().unwrap_or(&why);
                        let explained = match &handshake {
                            Some(handshake) => handshake.explain(last).await,
                            None => None,
                        };
                        let why = explained.as_deref().unwrap_or(last);
                        kafka(&health, Some(why));
                        if is_to_be_told_again(clock.elapsed(), told_at) {
                            warn!(why, "Kafka can still not be reached");
                            told_at = clock.elapsed();
                        }
                    }
                    Err(error) => debug!(%error, "look at Kafka"),
                }
                sleep(LOOK_AGAIN).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_breaks_while_others_are_answered_is_no_handler_that_is_away() {
        let clock = Monotonic::start();
        let health = Health::new(clock);
        connection_broke(&health, "reset", Duration::MAX);
        assert!(health.handler_is_missing(), "nobody was ever answered");
        handler(&health, None);
        connection_broke(&health, "reset", Duration::from_secs(60));
        assert!(!health.handler_is_missing(), "another was, meanwhile");
        assert!(health.handler_untried_for() < Duration::from_secs(60));
        let then = clock.elapsed();
        while clock.elapsed() == then {}
        connection_broke(&health, "reset", Duration::ZERO);
        assert!(health.handler_is_missing(), "it was there before, and now");
    }

    #[test]
    fn what_lasts_is_told_each_minute_for_ten_and_then_each_five() {
        let (mut told, mut minutes) = (Duration::ZERO, Vec::new());
        for second in (0..=1800).step_by(2) {
            let lasts = Duration::from_secs(second);
            if is_to_be_told_again(lasts, told) {
                told = lasts;
                minutes.push(second / 60);
            }
        }
        assert_eq!(minutes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30]);
    }
}
