//! Leaving the group in order, so that it waits for nobody who is gone.
//!
//! A group that rebalances waits for each member that it knows of, so a member that goes without its
//! leave being heard holds all others up until its session has run out: no partition moves, and no
//! commit of theirs gets through. librdkafka leaves only from a group at rest. Therefore the client is
//! served as before until it has left, and closed only then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::Options;
use super::consume::Loop;
use crate::clock::Monotonic;
use crate::engine::Remembered;
use crate::kafka::Polled;
use crate::kafka::client_config::Connection;
use crate::kafka::consumer::{Begin, Consumer, log_line};
use crate::kafka::security::Security;
use crate::kafka::static_member::Name;
use crate::telemetry::spans::Spans;
use crate::topic::TopicPartition;
use crate::worker_config::{GroupProtocol, WorkerConfig};

/// How long the commit of what was drained may take.
const COMMIT: Duration = Duration::from_secs(5);
/// How long the last spans may take to be exported, beside leaving the group.
const EXPORT: Duration = Duration::from_secs(1);
/// How long a broker may take to hear that we leave, and closing, in which librdkafka has been seen to
/// hang. With the flush of the producer it fits into what the pod's grace period has for leaving.
const CLOSE: Duration = Duration::from_secs(4);
/// How long brokers may take to let go a member by its name.
const BY_NAME: Duration = Duration::from_secs(3);
/// What closing has if the broker took all of that.
const SHORTEST_CLOSE: Duration = Duration::from_millis(500);
/// How long the wish to join, which follows at once when the coordinator is there, may take to be
/// answered by a group that takes us and waits for nobody.
const JOIN: Duration = Duration::from_secs(3);
/// Between two looks at whether we are still in the group.
const LOOK: Duration = Duration::from_millis(20);
/// Events taken at once, so that timers have their turn.
const EVENTS: usize = 1024;

/// What a static member is called, where brokers can be told without librdkafka.
fn name(config: &WorkerConfig, options: &Options, security: &Security) -> Option<Name> {
    let connection = Connection {
        bootstrap_servers: &config.bootstrap_servers,
        client_id: &options.pod,
        properties: &config.properties,
        security,
    };
    let name = || Name::of(&connection, &config.group_id, &options.pod);
    // The mock knows no names.
    (!options.mock_kafka).then(name).flatten()
}

/// Hands over what is still on its way and leaves the group. That may begin as late after the wish to stop as a drain
/// and its commit could have taken. What it knows of the partitions that it had is left for its successor.
pub(super) async fn end(
    mut consuming: Loop,
    spans: Option<Spans>,
    config: &WorkerConfig,
    options: &Options,
    security: &Security,
) -> Remembered {
    let is_static = options.is_static && config.group_protocol == GroupProtocol::Classic;
    let name = is_static.then(|| name(config, options, security)).flatten();
    let may_wait_for_others = is_static && name.is_none() && !consuming.health.is_kept_out();
    consuming.health.turns_no_more();
    consuming.publish_last();
    consuming.answer_takeover();
    consuming.watches.shutdown().await;
    consuming.kafka_watch.shutdown().await;
    let is_heard = consuming.stopping && !consuming.health.kafka_is_missing();
    let by = if consuming.stopping {
        consuming.stopping_since + config.drain_deadline + COMMIT
    } else {
        consuming.clock.elapsed()
    };
    let Loop {
        consumer,
        engine,
        deliveries,
        dead_letters,
        clock,
        wake,
        ..
    } = consuming;
    futures::join!(deliveries.close(), dead_letters.close());
    let topic = config.topics.first().map_or("", String::as_str);
    let leaving = Leaving {
        consumer,
        clock,
        wake,
        any: TopicPartition::new(topic, 0),
        name,
        may_wait_for_others,
    };
    let exporting = async {
        if let Some(spans) = spans {
            spans.close(EXPORT).await;
        }
    };
    let leaving = async {
        if is_heard {
            leaving.leave(by).await;
        } else {
            leaving.close(by).await;
        }
    };
    futures::join!(leaving, exporting);
    engine.into_remembered()
}

/// A consumer that has nothing left to do but to go.
struct Leaving {
    consumer: Consumer,
    clock: Monotonic,
    wake: Arc<Notify>,
    /// A partition of the group's; any will do.
    any: TopicPartition,
    /// Who it is to its group, where that is enough to leave; none of one that is not static.
    name: Option<Name>,
    /// Where the wish to join has no answer yet, it may be waiting for others, who drain: a static member is given
    /// its id only when all have joined. Not so if something else is known to keep it out, or if its name is enough.
    may_wait_for_others: bool,
}

impl Leaving {
    /// Leaves the group and closes the client. A rebalance that is under way is waited for until
    /// `by`.
    async fn leave(self, by: Duration) {
        let left = self.out_of_the_group(by).await;
        if left {
            info!("left the group");
        } else {
            warn!("leaving the group takes too long; its session will run out instead");
        }
        self.close(by).await;
    }

    /// Ends the client without a word to the group beyond what librdkafka says by itself.
    async fn close(self, by: Duration) {
        let time = (by + CLOSE).saturating_sub(self.clock.elapsed());
        let time = time.clamp(SHORTEST_CLOSE, CLOSE);
        let consumer = self.consumer;
        let closed = timeout(time, spawn_blocking(move || consumer.close())).await;
        if closed.is_err() {
            debug!("the Kafka client does not close");
        }
    }

    async fn out_of_the_group(&self, by: Duration) -> bool {
        self.be_known(by).await;
        let is_known = self.consumer.must_leave();
        self.consumer.unsubscribe();
        if !is_known && self.name.is_some() {
            return self.leave_by_name().await;
        }
        loop {
            self.serve();
            if !self.consumer.must_leave() {
                break;
            }
            if self.clock.elapsed() >= by {
                return self.leave_by_name().await;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
        let soon = self.clock.elapsed() + CLOSE;
        self.coordinator_answers(soon).await
    }

    /// Asks the coordinator to let go whoever bears our name: also in a group that waits for others, where librdkafka
    /// does not ask, and where it does not know our id.
    async fn leave_by_name(&self) -> bool {
        let Some(name) = &self.name else {
            return false;
        };
        let mut asking = std::pin::pin!(timeout(BY_NAME, name.leave()));
        let outcome = loop {
            self.serve();
            tokio::select! {
                outcome = &mut asking => break outcome,
                () = sleep(LOOK) => {}
            }
        };
        match outcome {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => debug!(%error, "leave the group by name"),
            Err(_) => debug!("the group's coordinator does not answer"),
        }
        false
    }

    /// Its first wish to join may be on its way, or about to be: librdkafka must have the answer, to
    /// know as whom to leave. A group that has given out an id waits for whoever got it.
    async fn be_known(&self, by: Duration) {
        if self.consumer.must_leave() {
            return;
        }
        self.coordinator_answers(by).await;
        let soon = by.min(self.clock.elapsed() + JOIN);
        let mut waits = self.may_wait_for_others;
        while !self.consumer.must_leave() && self.clock.elapsed() < if waits { by } else { soon } {
            waits &= self.serve();
            sleep(LOOK).await;
        }
    }

    /// Waits until all that was asked of the coordinator before is answered.
    async fn coordinator_answers(&self, by: Duration) -> bool {
        let time = by.saturating_sub(self.clock.elapsed());
        let asking = self.consumer.coordinator(&self.any, time);
        match spawn_blocking(asking).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                debug!(%error, "the group's coordinator does not answer");
                false
            }
            Err(_) => false,
        }
    }

    /// Answers what the group gives and takes until it lets us go; everything else is too late. False if the
    /// client is in trouble.
    fn serve(&self) -> bool {
        let mut well = true;
        for _ in 0..EVENTS {
            let Some(event) = self.consumer.poll() else {
                break;
            };
            let answered = match event.read() {
                Polled::Assign(partitions) => {
                    let bare = partitions.into_iter().map(|p| (p, Begin::Committed));
                    self.consumer.assign(&bare.collect::<Vec<_>>())
                }
                Polled::Revoke(partitions) => self.consumer.unassign(&partitions),
                Polled::Log {
                    level,
                    facility,
                    text,
                } => {
                    log_line(level, &facility, &text);
                    Ok(())
                }
                Polled::Error { .. } => {
                    well = false;
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(error) = answered {
                warn!(%error, "answer the group while leaving it");
            }
        }
        well
    }
}
