//! The loop: what happened goes to the engine, what it wants is carried out.
//!
//! Nothing in a turn waits for anything. A turn is begun by a record, an answer, a deadline or, at
//! the latest, a tenth of a second, a second at rest, so that polling, and with it membership, never depends on a
//! handler.

mod answers;
mod reading;
mod tale;

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

use super::Error;
use super::commit_watch::CommitWatch;
use super::dead_letter_check;
use super::dead_letters::{DeadLetters, Written};
use super::delivery::{Delivered, Deliveries};
use super::health::Health;
use super::journal::Journal;
use super::lanes::Lanes;
use super::membership::Takeover;
use super::news::News;
use super::onlooker::Onlooker;
use super::others::Others;
use super::record::Record;
use super::refusals::Refusals;
use super::second_way::SecondWay;
use super::shares::Shares;
use super::skips::Skips;
use super::status::KEPT_OUT;
use super::unread::Unread;
use crate::clock::Monotonic;
use crate::engine::{Effect, Engine, Event, Totals};
use crate::kafka::consumer::{Consumer, TopicIds};
use crate::kafka::errors::Code;
use crate::kafka::rebalance::Revocation;
use crate::kafka::{Committer, Handshake};
use crate::telemetry::worker_metrics::WorkerMetrics;
use crate::topic::{Offset, TopicPartition};

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
    pub tale: tale::Tale,
    pub lanes: Lanes,
    pub revocation: Revocation,
    /// Since when partitions with work in them are being given back.
    pub draining_since: Option<Duration>,
    /// What was committed last of each partition since it was assigned, to see that nothing goes back.
    pub commits: CommitWatch,
    pub second_way: SecondWay,
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
    /// The reports say that the handler is away.
    pub handler_away_told: bool,
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
    pub committer: Option<Committer>,
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
            tale: tale::Tale::default(),
            lanes: Lanes::default(),
            revocation: Revocation::default(),
            draining_since: None,
            commits: CommitWatch::default(),
            second_way: SecondWay::new(parts.committer),
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
            handler_away_told: false,
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
        self.second_way_turn();
        self.look_at_commit();
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
}
