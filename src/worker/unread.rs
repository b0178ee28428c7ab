//! What becomes of a partition that Kafka does not let us read on: it stalls, is named, and is
//! never jumped over.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use tracing::debug;

use super::Error;
use super::consume::Loop;
use super::delivery::answer::failure;
use crate::engine::{Barred, Event};
use crate::kafka::consumer::TopicIds;
use crate::kafka::errors::{Code, ReadError};
use crate::kafka::topic_change::TopicChange;
use crate::report::unread;
use crate::topic::{Offset, TopicPartition};

/// How long Kafka may take to say what offsets it has.
const ASK: Duration = Duration::from_secs(10);

/// How often they are asked for, and when again.
const TIMES: u32 = 5;
const AGAIN: Duration = Duration::from_secs(1);

/// Partitions whose offsets are asked for at once: a leader that does not answer keeps a thread for all of that time, and
/// many partitions may be out of range together.
static ASKED_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Between two looks whether topics are still the ones that they were. librdkafka says it itself before
/// it reads another one, where brokers are asked for records by the topic's id, which those of Kafka 3.1
/// and later are. Others are asked by its name: there it is only found out by looking, so it must be soon.
const LOOK_AT_TOPICS: Duration = Duration::from_secs(10);

/// What was found out in a thread that may block.
#[derive(Debug)]
pub(super) enum Unread {
    /// Why a partition cannot be read on.
    Why {
        partition: TopicPartition,
        at: Option<Offset>,
        class: &'static str,
        message: String,
    },
    /// The topics' ids.
    TopicIds(TopicIds),
}

impl Loop {
    /// Kafka, or librdkafka, gave an error in the place of a partition's records.
    pub fn not_read(
        &mut self,
        partition: TopicPartition,
        at: Option<Offset>,
        code: Code,
        reason: &str,
    ) -> Result<(), Error> {
        // An error without a place among the records is no record.
        match ReadError::of(code) {
            ReadError::OutOfRange if self.lanes.holds(&partition) => {
                self.out_of_range(partition, at, reason);
                Ok(())
            }
            ReadError::Unreadable if at.is_some() && self.lanes.holds(&partition) => {
                let message = if reason.is_empty() {
                    code.to_string()
                } else {
                    reason.to_owned()
                };
                self.bar(partition, at, unread::UNREADABLE, &message, true);
                Ok(())
            }
            _ if code == Code::TopicAuthorizationFailed => {
                self.refused(code, Some(&partition.topic), reason);
                Ok(())
            }
            _ => self.trouble(code, false, reason),
        }
    }

    /// Reads a partition again from a record that could not be read.
    pub fn reread(&mut self, partition: TopicPartition, from: Offset) {
        if let Err(error) = self.consumer.seek(&partition, from) {
            let message = format!("read it again: {error}");
            self.bar(partition, Some(from), unread::UNREADABLE, &message, true);
        }
    }

    /// What was found out since the last turn.
    pub fn unread_turn(&mut self) {
        while let Ok(found) = self.unread.1.try_recv() {
            match found {
                Unread::Why {
                    partition,
                    at,
                    class,
                    message,
                } if self.lanes.holds(&partition) && !self.recreated.contains(&partition) => {
                    self.bar(partition, at, class, &message, false);
                }
                Unread::Why { .. } => {}
                Unread::TopicIds(ids) => self.compare_topic_ids(&ids),
            }
        }
    }

    /// Offsets of a topic that was deleted and made anew say nothing of its records: partitions of
    /// it stall.
    pub fn compare_topic_ids(&mut self, ids: &TopicIds) {
        let differs = |(partition, id): &(&TopicPartition, &String)| {
            let now = ids.get(&*partition.topic);
            now.is_some_and(|now| now != *id)
        };
        let recreated: Vec<_> = self.topic_ids.iter().filter(differs).collect();
        let recreated: Vec<_> = recreated.into_iter().map(|(p, _)| p.clone()).collect();
        for partition in recreated {
            // Told once: the engine keeps it, and the next owner finds the old id in our report.
            self.topic_ids.remove(&partition);
            self.recreated.insert(partition.clone());
            let message = "the topic is another one than the offset was committed for: it was deleted and made anew, or the group's offsets were copied from another cluster";
            self.bar(partition, None, unread::TOPIC_RECREATED, message, false);
        }
    }

    /// librdkafka is about to read another topic under the same name, from where it was in the old one.
    /// None of its records has come yet.
    pub fn topic_changed(&mut self, change: TopicChange<'_>) {
        let ids = TopicIds::from([(change.topic.to_owned(), change.id.to_owned())]);
        self.compare_topic_ids(&ids);
        self.ids_read.extend(ids);
    }

    /// Looks now and then whether topics are still the ones that they were.
    pub fn look_at_topics(&mut self) {
        if self.now < self.topic_ids_due || self.stopping || self.topic_ids.is_empty() {
            return;
        }
        self.topic_ids_due = self.now + LOOK_AT_TOPICS;
        let partitions: Vec<_> = self.topic_ids.keys().cloned().collect();
        let asking = self.consumer.topic_ids(&partitions, ASK);
        let (sender, wake) = (self.unread.0.clone(), self.wake.clone());
        while self.watches.try_join_next().is_some() {}
        self.watches.spawn(async move {
            if let Ok(ids) = spawn_blocking(asking).await {
                // Nobody listens once the loop is over.
                let _ = sender.send(Unread::TopicIds(ids));
                wake.notify_one();
            }
        });
    }

    fn bar(
        &mut self,
        partition: TopicPartition,
        at: Option<Offset>,
        class: &'static str,
        message: &str,
        again: bool,
    ) {
        self.tell(Event::Barred(Barred {
            partition,
            at,
            failure: failure(class, None, message),
            again,
        }));
        self.act();
    }

    /// The partition is stopped at once; why is asked for.
    fn out_of_range(&mut self, partition: TopicPartition, at: Option<Offset>, reason: &str) {
        if self.recreated.contains(&partition) {
            return; // that the new topic does not have it says less
        }
        if at.is_none() {
            // Committed offsets could be read neither by us nor, in time, by librdkafka, and it
            // reads such a partition only after it is assigned anew.
            self.health.fatal(&format!(
                "{partition} has no offset to begin at: {reason}; a new start asks again"
            ));
        }
        self.bar(
            partition.clone(),
            at,
            unread::OFFSET_OUT_OF_RANGE,
            reason,
            false,
        );
        let Some(offset) = at else { return };
        let asking = self.consumer.watermarks(&partition, ASK);
        let (sender, wake) = (self.unread.0.clone(), self.wake.clone());
        while self.watches.try_join_next().is_some() {}
        self.watches.spawn(async move {
            // Right after its leader has changed a broker may not say, or not yet know better.
            for _ in 0..TIMES {
                match in_turn(asking.clone()).await {
                    Ok(Ok((oldest, next))) => {
                        if let Some((class, message)) = explained(offset, oldest, next) {
                            // Nobody listens once the loop is over.
                            let _ = sender.send(Unread::Why {
                                partition,
                                at,
                                class,
                                message,
                            });
                            return wake.notify_one();
                        }
                    }
                    Ok(Err(error)) => {
                        debug!(%error, %partition, "ask for the offsets that there are");
                    }
                    Err(error) => debug!(%error, "ask for the offsets that there are"),
                }
                sleep(AGAIN).await;
            }
        });
    }
}

/// Asks in a thread that may block, with few others.
async fn in_turn<T: Send + 'static>(
    question: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    // It is never closed.
    let turn = ASKED_AT_ONCE.acquire().await.ok();
    spawn_blocking(move || {
        let answer = question();
        drop(turn);
        answer
    })
    .await
}

/// Why a log from `oldest` to before `next` does not have `offset`; none if it has.
fn explained(offset: Offset, oldest: Offset, next: Offset) -> Option<(&'static str, String)> {
    if offset < oldest {
        let lost = oldest.0 - offset.0;
        let message =
            format!("offset {offset} is deleted; the log begins at {oldest}: {lost} lost");
        Some((unread::OFFSETS_EXPIRED, message))
    } else if offset > next {
        let message = format!("offset {offset} is behind the end of the log, {next}");
        Some((unread::OFFSET_BEYOND_END, message))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;
    use crate::worker::BLOCKING_THREADS;

    #[test]
    fn threads_are_left_however_many_partitions_are_out_of_range() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .unwrap();
        let (answers, answer) = mpsc::channel::<()>();
        let answer = Arc::new(Mutex::new(answer));
        runtime.block_on(async {
            let mut questions = JoinSet::new();
            for _ in 0..2 * BLOCKING_THREADS {
                let answer = Arc::clone(&answer);
                questions.spawn(in_turn(move || answer.lock().unwrap().recv()));
            }
            tokio::task::yield_now().await;
            let look_up = timeout(Duration::from_secs(20), spawn_blocking(|| ())).await;
            drop(answers);
            while questions.join_next().await.is_some() {}
            look_up.expect("a thread").unwrap();
        });
    }

    #[test]
    fn an_offset_is_before_the_log_or_behind_it() {
        let explained = |offset, oldest, next| {
            let found = super::explained(Offset(offset), Offset(oldest), Offset(next));
            found.map(|(class, _)| class)
        };
        assert_eq!(explained(5, 10, 20), Some(unread::OFFSETS_EXPIRED));
        assert_eq!(explained(21, 10, 20), Some(unread::OFFSET_BEYOND_END));
        assert_eq!(explained(20, 10, 20), None);
        assert_eq!(explained(10, 10, 20), None);
    }
}
