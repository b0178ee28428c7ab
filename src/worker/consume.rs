//! The loop: what happened goes to the engine, what it wants is carried out.
//!
//! Nothing in a turn waits for anything. A turn is begun by a record, an answer, a deadline or, at
//! the latest, a tenth of a second, a second at rest, so that polling, and with it membership, never depends on a
//! handler.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::commit_watch::CommitWatch;
use super::dead_letter_check;
use super::dead_letters::{DeadLetters, Written};
use super::delivery::answer::class;
use super::delivery::{Delivered, Deliveries};
use super::health::Health;
use super::journal::Journal;
use super::lanes::Lanes;
use super::membership::Takeover;
use super::news::News;
use super::onlooker::{Onlooker, Sight};
use super::others::Others;
use super::record::Record;
use super::refusals::Refusals;
use super::shares::Shares;
use super::skips::{Skips, is_meant};
use super::status::KEPT_OUT;
use super::unread::Unread;
use super::{Error, reachability};
use crate::clock::Monotonic;
use crate::engine::{Effect, Engine, Event, Incoming, Totals, Verdict};
use crate::kafka::consumer::{Consumer, TopicIds, log_line};
use crate::kafka::errors::Code;
use crate::kafka::rebalance::Revocation;
use crate::kafka::topic_change::TopicChange;
use crate::kafka::{Handshake, Message, Polled};
use crate::telemetry::worker_metrics::{Class, WorkerMetrics};
use crate::topic::{Offset, TopicPartition};

/// Events taken from Kafka in one turn: enough to be worth the turn, few enough that handlers'
/// answers do not wait, and that what is copied is sent while it is still in the processor's cache.
const EVENTS: usize = 64;
/// The same while the handler is busy anyway: what the group wants comes through the same queue, behind
/// all the records that were read ahead.
const EVENTS_WHILE_BUSY: usize = 256;
/// Bytes of records that are enough to keep the handler busy, whatever the budget allows.
const ENOUGH: usize = 4 << 20;
/// A loop that has not turned for so long was frozen, or its machine was: others may have its
/// partitions by now. The shortest session that a broker allows is 6 s.
const SLEPT: Duration = Duration::from_secs(5);
/// The longest time between turns,
const TURN: Duration = Duration::from_millis(100);
/// and while there is nothing to do: Kafka wakes the loop with whatever it has.
const TURN_AT_REST: Duration = Duration::from_secs(1);

/// Everything that the loop holds.
pub(super) struct Loop {
    pub consumer: Consumer,
    pub engine: Engine<Box<Record>>,
    pub deliveries: Deliveries,
    pub dead_letters: DeadLetters,
    pub dead_letter_watch: dead_letter_check::Watch,
    pub refused_letters: News,
    pub lanes: Lanes,
    pub revocation: Revocation,
    /// Since when partitions with work in them are being given back.
    pub draining_since: Option<Duration>,
    /// What was committed last of each partition since it was assigned, to see that nothing goes back.
    pub commits: CommitWatch,
    /// An assignment whose committed offsets are being asked for; answered when they are there.
    pub takeover: Option<Takeover>,
    /// The group, for messages.
    pub group_id: String,
    /// See [`super::Options`].
    pub mock_kafka: bool,
    /// Records that somebody gave up.
    pub skips: Skips,
    /// What Kafka does not allow us.
    pub refusals: Refusals,
    pub takeovers: (
        mpsc::UnboundedSender<Takeover>,
        mpsc::UnboundedReceiver<Takeover>,
    ),
    pub effects: Vec<Effect<Box<Record>>>,
    pub clock: Monotonic,
    /// The time at which the turn began, which is near enough for all that happens in it.
    pub now: Duration,
    pub wake: Arc<Notify>,
    pub health: Arc<Health>,
    pub metrics: Arc<WorkerMetrics>,
    /// What the other pods see of the handler.
    pub others: Others,
    /// Where there is a rate limit: what it is shared out by.
    pub shares: Option<Shares>,
    /// Facts about partitions that cannot be read on; asked for in threads that may block.
    pub unread: (
        mpsc::UnboundedSender<Unread>,
        mpsc::UnboundedReceiver<Unread>,
    ),
    /// The id of the topic that each partition's offsets are of.
    pub topic_ids: BTreeMap<TopicPartition, String>,
    /// Partitions of topics that were made anew, which stay as they are until they are given back.
    pub recreated: BTreeSet<TopicPartition>,
    /// The ids of the topics that librdkafka reads, by their names, as it said itself.
    pub ids_read: TopicIds,
    /// When topics' ids are looked at next.
    pub topic_ids_due: Duration,
    /// When it is asked next who keeps us out of the group.
    pub kept_out_due: Duration,
    pub watches: JoinSet<()>,
    pub kafka_watch: JoinSet<()>,
    /// Where connections are encrypted: to learn why they fail.
    pub handshake: Option<Arc<Handshake>>,
    /// Partitions that are not read because the memory is used up.
    pub paused: BTreeSet<TopicPartition>,
    /// Records that nothing gets past, and the class of what is in their way.
    pub stalled: BTreeMap<(TopicPartition, Offset), &'static str>,
    /// When the log was last told that there are some.
    pub stalled_told: Duration,
    /// What the metrics were told of the engine's counters.
    pub told: Totals,
    pub stopping: bool,
    /// When that began.
    pub stopping_since: Duration,
    pub stopped: bool,
    pub status_due: Duration,
    pub last_trouble: Option<(Code, Duration)>,
    /// Bytes held beyond which nothing more is read while the handler is busy anyway.
    pub enough_bytes: usize,
    pub last_poll: Duration,
    /// What the handler's processes have, for the worker that comes after one that was killed.
    pub journal: Option<Rc<Journal>>,
    /// Who is shown what happens.
    pub onlooker: Option<Onlooker>,
    delivered: Vec<Delivered>,
    written: Vec<Written>,
}

/// What a loop is made of that it does not make itself.
pub(super) struct Parts {
    pub consumer: Consumer,
    pub engine: Engine<Box<Record>>,
    pub deliveries: Deliveries,
    pub dead_letters: DeadLetters,
    pub dead_letter_watch: dead_letter_check::Watch,
    pub clock: Monotonic,
    pub wake: Arc<Notify>,
    pub health: Arc<Health>,
    pub metrics: Arc<WorkerMetrics>,
    pub group_id: String,
    pub others: Others,
    pub shares: Option<Shares>,
    pub skips: Skips,
    pub budget_bytes: usize,
    pub handshake: Option<Handshake>,
    pub mock_kafka: bool,
}

impl Loop {
    pub fn new(parts: Parts) -> Self {
        Self {
            consumer: parts.consumer,
            engine: parts.engine,
            deliveries: parts.deliveries,
            dead_letters: parts.dead_letters,
            dead_letter_watch: parts.dead_letter_watch,
            refused_letters: News::default(),
            lanes: Lanes::default(),
            revocation: Revocation::default(),
            draining_since: None,
            commits: CommitWatch::default(),
            takeover: None,
            group_id: parts.group_id,
            mock_kafka: parts.mock_kafka,
            skips: parts.skips,
            refusals: Refusals::default(),
            takeovers: mpsc::unbounded_channel(),
            effects: Vec::new(),
            now: parts.clock.elapsed(),
            clock: parts.clock,
            wake: parts.wake,
            health: parts.health,
            metrics: parts.metrics,
            others: parts.others,
            shares: parts.shares,
            unread: mpsc::unbounded_channel(),
            topic_ids: BTreeMap::new(),
            recreated: BTreeSet::new(),
            ids_read: TopicIds::new(),
            topic_ids_due: Duration::ZERO,
            kept_out_due: parts.clock.elapsed() + KEPT_OUT,
            watches: JoinSet::new(),
            kafka_watch: JoinSet::new(),
            handshake: parts.handshake.map(Arc::new),
            paused: BTreeSet::new(),
            stalled: BTreeMap::new(),
            stalled_told: Duration::ZERO,
            told: Totals::default(),
            stopping: false,
            stopping_since: Duration::ZERO,
            stopped: false,
            status_due: Duration::ZERO,
            last_trouble: None,
            enough_bytes: (parts.budget_bytes / 4).min(ENOUGH),
            last_poll: Duration::ZERO,
            journal: None,
            onlooker: None,
            delivered: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Consumes until `shutdown` and the drain after it, or until the client fails for good.
    pub async fn run(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut cancelled = pin!(shutdown.cancelled());
        let mut timer = pin!(sleep(TURN));
        loop {
            if shutdown.is_cancelled() && !self.stopping {
                self.shut_down();
            }
            let more = self.turn()?;
            if self.stopped {
                return Ok(());
            }
            if more {
                // Connections and timers have their turn.
                tokio::task::yield_now().await;
                continue;
            }
            let latest = self.now + self.longest_wait();
            let due = [self.engine.next_deadline(), self.deliveries.due()];
            let until = due.into_iter().flatten().fold(latest, Duration::min);
            timer.as_mut().reset(self.clock.at(until).into());
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                () = &mut cancelled, if !self.stopping => {}
                () = &mut timer => {}
            }
        }
    }

    fn longest_wait(&self) -> Duration {
        let at_rest = self.engine.held_bytes() == 0
            && !self.engine.is_draining()
            && !self.revocation.is_open()
            && self.takeover.is_none()
            && !self.stopping
            && !self.health.kafka_is_missing();
        if at_rest { TURN_AT_REST } else { TURN }
    }

    /// One turn; true if Kafka had more than one turn takes.
    fn turn(&mut self) -> Result<bool, Error> {
        let before = std::mem::replace(&mut self.now, self.clock.elapsed());
        let silence = self.now.saturating_sub(before);
        if silence > SLEPT {
            warn!(
                seconds = silence.as_secs(),
                "the worker was frozen; it delivers on when the group has had time to say what is still its own"
            );
            self.tell(Event::Slept);
        }
        self.health.turned(self.now);
        self.take_answers();
        self.take_dead_letters();
        self.membership_turn();
        self.unread_turn();
        self.others_turn();
        self.shares_turn();
        let more = self.poll()?;
        if self
            .engine
            .next_deadline()
            .is_some_and(|due| due <= self.now)
        {
            self.tell(Event::Tick);
        }
        self.act();
        self.deliveries
            .send_due(self.now, self.engine.is_draining());
        self.publish();
        Ok(more)
    }

    fn shut_down(&mut self) {
        info!(
            in_flight = self.engine.in_flight(),
            "draining before leaving the group"
        );
        self.stopping = true;
        self.stopping_since = self.now;
        self.health.stopping();
        // The engine begins nothing new; there is no point in reading on.
        let all: Vec<_> = self.lanes.all().cloned().collect();
        if let Err(error) = self.consumer.pause(&all) {
            debug!(%error, "pause before draining");
        }
        self.tell(Event::Shutdown);
        self.act();
    }

    /// Tells the engine of one of several events of a turn: what it wants is added to `effects` with
    /// [`Event::Tick`] after the last.
    fn tell_one_of_many(&mut self, event: Event<Box<Record>>) {
        self.engine.hear(event, self.now, &mut self.effects);
    }

    /// Tells the engine; what it wants is added to `effects`.
    pub fn tell(&mut self, event: Event<Box<Record>>) {
        self.engine.on(event, self.now, &mut self.effects);
    }

    fn take_answers(&mut self) {
        for (ticket, hindered) in self.deliveries.take_handled() {
            self.tell(Event::Handled { ticket, hindered });
        }
        let mut delivered = std::mem::take(&mut self.delivered);
        self.deliveries.take_over(&mut delivered);
        let any = !delivered.is_empty();
        for answer in delivered.drain(..) {
            self.count(&answer);
            let Delivered {
                ticket,
                verdict,
                took,
                record,
                ..
            } = answer;
            self.show(&Sight::Answered {
                record: &record,
                verdict: &verdict,
                took,
            });
            self.tell_one_of_many(Event::Finished {
                ticket,
                verdict,
                took,
                payload: record,
            });
        }
        if any {
            self.tell(Event::Tick);
        }
        self.delivered = delivered;
        self.act();
    }

    fn count(&self, answer: &Delivered) {
        let metrics = &self.metrics;
        let failed = |class| metrics.failed.get_or_create(&Class { class }).inc();
        if !matches!(
            answer.verdict,
            Verdict::Duplicate | Verdict::Postponed { .. }
        ) {
            metrics.handler_seconds.observe(answer.took.as_secs_f64());
        }
        match &answer.verdict {
            Verdict::Done => metrics.done.inc(),
            Verdict::Skip => 0,
            Verdict::SlowDown { failure, .. }
                if [class::CONNECT, class::START].contains(&failure.class) =>
            {
                failed(failure.class)
            }
            Verdict::SlowDown { .. } => metrics.slow_downs.inc(),
            Verdict::Duplicate => metrics.duplicates.inc(),
            // Counted as a claim.
            Verdict::Postponed { .. } => 0,
            Verdict::Cancelled => metrics.cancelled.inc(),
            Verdict::Retry(failure)
            | Verdict::Reject(failure)
            | Verdict::Misconfigured(failure)
            | Verdict::Undeliverable { failure, .. }
            | Verdict::NotYet(failure) => failed(failure.class),
        };
        match (answer.reached, &answer.verdict) {
            (Some(true), _) => reachability::handler(&self.health, None),
            (Some(false), Verdict::Retry(failure) | Verdict::SlowDown { failure, .. }) => {
                reachability::handler(&self.health, Some(&failure.message));
            }
            _ => {}
        }
    }

    fn take_dead_letters(&mut self) {
        let mut written = std::mem::take(&mut self.written);
        self.dead_letters.take_over(&mut written);
        for Written {
            ticket,
            result,
            record,
        } in written.drain(..)
        {
            self.show(&Sight::DeadLettered {
                record: &record,
                result: &result,
            });
            match &result {
                Ok(()) => self.metrics.dead_lettered.inc(),
                Err(error) => {
                    self.tell_of_refusal(&record, error);
                    self.dead_letter_watch.refused.notify_one();
                    self.metrics.dead_letters_failed.inc()
                }
            };
            self.tell(Event::DeadLettered {
                ticket,
                result,
                payload: record,
            });
        }
        self.written = written;
        self.act();
    }

    /// While a dead-letter topic takes nothing, each record of many is refused again and again.
    fn tell_of_refusal(&mut self, record: &Record, error: &str) {
        let Record {
            topic,
            partition,
            offset,
            ..
        } = record;
        let record = format_args!("{topic}/{partition}/{offset}");
        match self.refused_letters.change(self.now) {
            Some(0) => warn!(
                %record,
                error, "a dead letter was not taken; its record waits and is tried again"
            ),
            Some(untold) => warn!(
                %record,
                error,
                untold,
                "dead letters were not taken; their records wait and are tried again"
            ),
            None => {}
        }
    }

    /// Takes what Kafka has; true if that was more than one turn takes.
    fn poll(&mut self) -> Result<bool, Error> {
        let most = match self.has_enough() {
            true if self.now < self.last_poll + TURN => return Ok(false),
            true => EVENTS_WHILE_BUSY,
            false => EVENTS,
        };
        self.last_poll = self.now;
        let more = self.poll_events(most)?;
        self.tell(Event::Tick);
        Ok(more && !self.has_enough())
    }

    /// Takes up to `most` events; true if there were as many.
    fn poll_events(&mut self, most: usize) -> Result<bool, Error> {
        for _ in 0..most {
            let Some(event) = self.consumer.poll() else {
                return Ok(false);
            };
            match event.read() {
                Polled::Message(message) => match message.error() {
                    None => self.read(&message),
                    Some(code) => {
                        let partition = TopicPartition::new(message.topic(), message.partition());
                        let offset = Some(message.offset()).filter(|offset| offset.0 >= 0);
                        self.not_read(partition, offset, code, "")?;
                    }
                },
                Polled::End { partition, next } => {
                    self.heard_from_kafka();
                    self.topic_allows(&partition.topic);
                    if self.lanes.holds(&partition) {
                        self.tell(Event::Position { partition, next });
                    }
                }
                // The rest may change whose records follow: what was read before comes first.
                Polled::Assign(partitions) => {
                    self.act();
                    self.assigned(partitions);
                }
                Polled::Revoke(partitions) => {
                    self.act();
                    self.revoked(partitions);
                }
                Polled::Committed { error, partitions } => {
                    self.committed(error, &partitions);
                    self.act();
                }
                Polled::Error {
                    code,
                    fatal: false,
                    place: Some((partition, offset)),
                    reason,
                } => self.not_read(partition, offset, code, &reason)?,
                Polled::Error {
                    code,
                    fatal,
                    reason,
                    ..
                } => self.trouble(code, fatal, &reason)?,
                Polled::Log {
                    level,
                    facility,
                    text,
                } => {
                    if let Some(change) = TopicChange::of(&facility, &text) {
                        self.topic_changed(change);
                    }
                    log_line(level, &facility, &text);
                }
                Polled::Other => {}
            }
        }
        Ok(true)
    }

    /// The handler has all it takes at once, and more is waiting: reading on would only fill the
    /// memory, and in the end pause partitions, which throws away what librdkafka has read ahead.
    /// Little is enough, since a turn is short.
    fn has_enough(&self) -> bool {
        let engine = self.engine.gauges();
        let waiting = engine.records.saturating_sub(engine.in_flight);
        engine.in_flight >= engine.in_flight_limit
            && (waiting >= EVENTS || engine.bytes > self.enough_bytes)
    }

    fn read(&mut self, message: &Message<'_>) {
        let Some((lane, topic)) = self.lanes.of(message) else {
            debug!(
                topic = message.topic(),
                partition = message.partition(),
                "a record of a partition that is not ours"
            );
            return;
        };
        if self.stopping {
            return;
        }
        self.metrics.received.inc();
        self.topic_allows(&topic);
        if let Some(skip) = self.skips.of(message) {
            let offset = message.offset();
            if is_meant(skip, message.timestamp()) {
                return self.tell(Event::GivenUp { lane, offset });
            }
            let partition = message.partition();
            warn!(
                %topic,
                partition,
                %offset,
                "not skipped: the record that drover skip named had another timestamp, so the topic was made anew"
            );
        }
        let record = Record::copy(message, topic);
        self.tell_one_of_many(Event::Record(Incoming {
            lane,
            offset: record.offset,
            key: record.key_hash(),
            bytes: record.footprint(),
            payload: Box::new(record),
        }));
    }
}
