//! What comes through librdkafka's queue: records, changes of the assignment, answers to commits, errors and logs.

use tracing::{debug, warn};

use super::{Loop, TURN};
use crate::engine::{Event, Incoming};
use crate::kafka::consumer::log_line;
use crate::kafka::topic_change::TopicChange;
use crate::kafka::{Message, Polled};
use crate::topic::TopicPartition;
use crate::worker::Error;
use crate::worker::record::Record;
use crate::worker::skips::is_meant;

/// Events taken from Kafka in one turn: enough to be worth the turn, few enough that handlers'
/// answers do not wait, and that what is copied is sent while it is still in the processor's cache.
const EVENTS: usize = 64;
/// The same while the handler is busy anyway: what the group wants comes through the same queue, behind
/// all the records that were read ahead.
const EVENTS_WHILE_BUSY: usize = 256;

impl Loop {
    /// Takes what Kafka has; true if that was more than one turn takes.
    pub(super) fn poll(&mut self) -> Result<bool, Error> {
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
                Polled::Committed {
                    number,
                    error,
                    partitions,
                } => {
                    if self.second_way.is_answered(number) {
                        self.committed(error, &partitions);
                        self.act();
                    }
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
