//! Tells that something has arrived in partitions where nothing is expected, at once and without
//! asking over and over.
//!
//! One read is under way at each broker, and waits there for the first record of any partition. What
//! is read is thrown away: it only says where to look. Nothing depends on it; whoever watches tails
//! asks for offsets as well, only less often.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::admin::Error;
use super::client_config::{self, Connection};
use super::errors::without_values;
use super::native::tails::Tails as Native;
use super::native::{Polled, Queue};
use super::security::Security;
use crate::topic::{Offset, TopicPartition};

/// How long a read waits at a broker. A partition that is new joins with the next read.
pub const READ: Duration = Duration::from_secs(5);
/// How long the thread waits before it looks by itself whether it is still needed.
const WAIT_MS: c_int = 10_000;

/// Partitions to watch, each from the next offset on.
pub type Ends = BTreeMap<TopicPartition, Offset>;

/// Watches the ends of partitions. Dropping it ends its thread and its client.
pub struct Tails {
    // Before the channel, whose end tells the thread that nobody holds the queue any more.
    queue: Arc<Queue>,
    wishes: Sender<Wish>,
}

enum Wish {
    Watch(Ends),
    End,
}

impl Tails {
    /// Opens a client; `properties` are librdkafka's. `arrived` is called, in a thread of its own,
    /// with each partition in which something has arrived, once: it is not watched after that.
    ///
    /// # Errors
    /// If librdkafka refuses a property, or the system has no thread to give.
    pub fn open(
        bootstrap_servers: &str,
        properties: &BTreeMap<String, String>,
        security: &Security,
        arrived: impl FnMut(TopicPartition) + Send + 'static,
    ) -> Result<Self, Error> {
        let connection = Connection {
            bootstrap_servers,
            client_id: "drover-controller-tails",
            properties,
            security,
        };
        let config = client_config::tails(&connection, READ);
        let failed = |error: &dyn std::fmt::Display| Error::Config(error.to_string());
        let native =
            Native::open(&config).map_err(|error| Error::Config(without_values(&error)))?;
        let queue = native.queue();
        let (wishes, wished) = channel();
        let mut watch = Watch {
            native,
            watched: BTreeSet::new(),
            arrived,
        };
        std::thread::Builder::new()
            .name("kafka-tails".to_owned())
            // The client ends here too, which waits for librdkafka's threads.
            .spawn(move || watch.serve(&wished))
            .map_err(|error| failed(&error))?;
        Ok(Self { queue, wishes })
    }

    /// Watches these from now on, and no others. One that is watched already goes on as it is.
    pub fn watch(&self, ends: Ends) {
        // The thread is gone only if it has panicked; then nothing is watched, and nothing lost.
        let _ = self.wishes.send(Wish::Watch(ends));
        self.queue.interrupt();
    }
}

impl Drop for Tails {
    fn drop(&mut self) {
        let _ = self.wishes.send(Wish::End);
        self.queue.interrupt();
    }
}

/// The thread's own.
struct Watch<F> {
    native: Native,
    watched: BTreeSet<TopicPartition>,
    arrived: F,
}

impl<F: FnMut(TopicPartition)> Watch<F> {
    fn serve(&mut self, wished: &Receiver<Wish>) {
        let queue = self.native.queue();
        loop {
            // Only the last wish counts.
            let mut wanted = None;
            while let Ok(wish) = wished.try_recv() {
                match wish {
                    Wish::Watch(ends) => wanted = Some(ends),
                    Wish::End => {
                        // The queue must not be held by anybody when the client goes.
                        while wished.recv().is_ok() {}
                        return;
                    }
                }
            }
            if let Some(wanted) = wanted {
                self.follow(&wanted);
            }
            let Some(event) = queue.wait(WAIT_MS) else {
                continue;
            };
            let seen = match event.read() {
                Polled::Message(message) => {
                    let (topic, partition) = (message.topic(), message.partition());
                    Some(TopicPartition::new(topic, partition))
                }
                _ => None,
            };
            drop(event);
            if let Some(partition) = seen {
                self.saw(partition);
            }
        }
    }

    fn follow(&mut self, wanted: &Ends) {
        let superfluous = |partition: &&TopicPartition| !wanted.contains_key(*partition);
        let superfluous: Vec<_> = self.watched.iter().filter(superfluous).cloned().collect();
        for partition in superfluous {
            self.native.end(&partition);
            self.watched.remove(&partition);
        }
        for (partition, end) in wanted {
            if !self.watched.contains(partition) && self.native.begin(partition, *end) {
                self.watched.insert(partition.clone());
            }
        }
    }

    fn saw(&mut self, partition: TopicPartition) {
        // More of what one read has brought may still be in the queue.
        if self.watched.remove(&partition) {
            self.native.end(&partition);
            (self.arrived)(partition);
        }
    }
}

impl<F> Drop for Watch<F> {
    fn drop(&mut self) {
        for partition in &self.watched {
            self.native.end(partition);
        }
    }
}
