//! A Kafka consumer as an application writes its own, for `handler.consumer`: Drover only runs and
//! scales it. It knows nothing of Drover.
//!
//! One record at a time; an offset is committed only after its record was handled; what fails is
//! tried again; SIGTERM and SIGINT finish the record at hand, commit and leave the group.
//!
//! Environment: `KAFKA_BOOTSTRAP_SERVERS`, `KAFKA_GROUP_ID`, `KAFKA_TOPICS` (with commas), which
//! Drover sets; `HANDLER_DELAY` (5ms) a record takes; `WITNESS_URL`, where each record is POSTed
//! (the handler example; optional).

mod witness;

use std::env;
use std::time::Duration;

use anyhow::Context;
use drover::api::Span;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::signal::unix::{SignalKind, signal};

use witness::WitnessClient;

/// The wait before a record that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest that leaving the group may take.
const LEAVING: Duration = Duration::from_secs(10);

/// One wait for what the group wants.
const TURN: Duration = Duration::from_millis(100);

type OwnConsumer = StreamConsumer<CommitBeforeGivingBack>;

/// Commits what is done before partitions go to somebody else.
struct CommitBeforeGivingBack;

impl ClientContext for CommitBeforeGivingBack {}

impl ConsumerContext for CommitBeforeGivingBack {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = rebalance {
            // Not waited for: the answer could depend on the rebalance that waits for us. The
            // broker takes it before what follows on the same connection.
            let _ = consumer.commit_consumer_state(CommitMode::Async);
        }
    }
}

struct Work {
    delay: Duration,
    witness: Option<WitnessClient>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let consumer = subscribe()?;
    let work = Work {
        delay: env::var("HANDLER_DELAY")
            .map_or(Ok(Span::millis(5)), |text| text.parse())
            .context("HANDLER_DELAY")?
            .0,
        witness: env::var("WITNESS_URL")
            .ok()
            .map(|url| WitnessClient::new(&url))
            .transpose()?,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut handled: u64 = 0;
    loop {
        // Only the wait for a record is cut short by a signal, never the work on it.
        let message = tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            message = consumer.recv() => message,
        };
        match message {
            Ok(message) => {
                while let Err(error) = work.handle(&message).await {
                    eprintln!("offset {}: {error:#}; trying again", message.offset());
                    tokio::select! {
                        _ = terminate.recv() => return stop(consumer, handled).await,
                        _ = interrupt.recv() => return stop(consumer, handled).await,
                        _ = tokio::time::sleep(PAUSE) => {}
                    }
                }
                commit(&consumer, &message);
                handled += 1;
            }
            Err(error) => eprintln!("{error}"),
        }
    }
    stop(consumer, handled).await
}

fn subscribe() -> anyhow::Result<OwnConsumer> {
    let servers = variable("KAFKA_BOOTSTRAP_SERVERS")?;
    let group = variable("KAFKA_GROUP_ID")?;
    let topics = variable("KAFKA_TOPICS")?;
    let topics: Vec<&str> = topics.split(',').map(str::trim).collect();
    let consumer: OwnConsumer = ClientConfig::new()
        .set("bootstrap.servers", &servers)
        .set("group.id", &group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        // Only `commit` says what is done: the last commit must not cover a record that failed.
        .set("enable.auto.offset.store", "false")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create_with_context(CommitBeforeGivingBack)
        .context("make the consumer")?;
    consumer.subscribe(&topics).context("subscribe")?;
    println!("consuming {} as {group}", topics.join(", "));
    Ok(consumer)
}

impl Work {
    async fn handle(&self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        match &self.witness {
            // The witness takes the time that the work would take.
            Some(witness) => witness.tell(message).await,
            None => {
                tokio::time::sleep(self.delay).await;
                Ok(())
            }
        }
    }
}

/// A commit that fails is not fatal: the next one covers it, or the record comes again.
fn commit(consumer: &OwnConsumer, message: &BorrowedMessage<'_>) {
    let committed = consumer
        .store_offset_from_message(message)
        .and_then(|()| consumer.commit_consumer_state(CommitMode::Async));
    if let Err(error) = committed {
        eprintln!("commit offset {}: {error}", message.offset());
    }
}

/// Leaves the group; what is done is committed on the way, when the partitions are given back.
async fn stop(consumer: OwnConsumer, handled: u64) -> anyhow::Result<()> {
    println!("stopping after {handled} records");
    consumer.unsubscribe();
    let given_back = async {
        // Giving back happens inside of polling; a record that still comes is somebody else's.
        while consumer.assignment().is_ok_and(|held| held.count() > 0) {
            let _ = tokio::time::timeout(TURN, consumer.recv()).await;
        }
    };
    let _ = tokio::time::timeout(LEAVING / 2, given_back).await;
    let leaving = tokio::task::spawn_blocking(move || drop(consumer));
    if tokio::time::timeout(LEAVING / 2, leaving).await.is_err() {
        eprintln!("the broker does not answer; leaving without it");
        std::process::exit(1);
    }
    Ok(())
}

fn variable(name: &str) -> anyhow::Result<String> {
    env::var(name)
        .with_context(|| format!("{name} is not set; Drover sets it for handler.consumer"))
}
