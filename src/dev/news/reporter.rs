//! Keeps book of what an onlooker sees, and tells it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;

use super::{Broken, Content, Failed, News, Place, Summary};
use crate::dev::Teller;
use crate::engine::{DeadLetterReason, Failure, Verdict};
use crate::topic::{Offset, TopicPartition};
use crate::worker::delivery::answer::class;
use crate::worker::onlooker::Sight;
use crate::worker::record::Record;
use crate::worker_config::WorkerConfig;

/// Tells what happens to records, and counts it.
pub(in crate::dev) struct Reporter {
    tell: Teller,
    values: bool,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    summary: Summary,
    attempts: u32,
    dead_letter_topic: String,
    /// Given to the handler and not finished, with the last attempt.
    open: HashMap<Place, u32>,
    stalled: BTreeSet<Place>,
    /// Of those open, whose last attempt cost none.
    unspent: BTreeSet<Place>,
    /// On their way to the dead-letter topic.
    letters: HashMap<Place, (DeadLetterReason, u32, Failed)>,
}

impl Reporter {
    pub fn new(tell: Teller, values: bool) -> Self {
        Self {
            tell,
            values,
            book: Mutex::default(),
        }
    }

    /// A worker with this configuration begins; what the last one left open comes again.
    pub fn expect(&self, config: &WorkerConfig) {
        let mut book = self.book();
        book.attempts = config.attempts_in_all();
        book.dead_letter_topic = config.dead_letter_topic.clone().unwrap_or_default();
        book.stalled.clear();
        book.letters.clear();
    }

    /// What was done until now.
    pub fn summary(&self) -> Summary {
        let book = self.book();
        Summary {
            unfinished: book.open.len() as u64,
            stalled: book.stalled.iter().cloned().collect(),
            ..book.summary.clone()
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what was seen.
    pub fn see(&self, sight: &Sight<'_>) {
        let news = self.book().note(sight, self.values);
        if let Some(news) = news {
            (self.tell)(&news);
        }
    }
}

impl Book {
    fn note(&mut self, sight: &Sight<'_>, values: bool) -> Option<News> {
        Some(match sight {
            Sight::Assigned(partitions) => News::Assigned {
                partitions: partitions.iter().map(place_of).collect(),
            },
            Sight::GivenBack(partitions) => News::GivenBack {
                partitions: partitions.iter().map(place_of).collect(),
            },
            Sight::Delivering { record, attempt } => {
                let place = of_record(record);
                let known = self.open.insert(place.clone(), *attempt);
                self.summary.records += u64::from(known.is_none());
                News::Record {
                    place,
                    attempt: *attempt,
                    content: known.is_none().then(|| content(record, values)),
                }
            }
            Sight::Answered {
                partition,
                offset,
                verdict,
                took,
                again_in,
            } => {
                let place = at(partition, *offset);
                let attempt = self.open.get(&place).copied().unwrap_or(1);
                if costs_nothing(verdict) {
                    self.unspent.insert(place.clone());
                } else {
                    self.unspent.remove(&place);
                }
                self.count(&place, verdict);
                let (outcome, failure) = outcome(verdict);
                News::Answer {
                    place,
                    attempt,
                    attempts: self.attempts,
                    outcome,
                    took_ms: millis(*took),
                    again_in_ms: again_in.map(millis),
                    failure: failure.map(Failed::from),
                }
            }
            Sight::DeadLettering {
                record,
                reason,
                attempts,
                failure,
            } => {
                let letter = (*reason, *attempts, Failed::from(*failure));
                self.letters.insert(of_record(record), letter);
                return None;
            }
            Sight::DeadLettered { record, result } => {
                let place = of_record(record);
                let (reason, attempts, failure) = self.letters.remove(&place)?;
                match result {
                    Ok(()) => {
                        self.finish(&place);
                        self.summary.dead_lettered += 1;
                        News::DeadLetter {
                            place,
                            dead_letter_topic: self.dead_letter_topic.clone(),
                            reason: reason.word(),
                            attempts,
                            failure,
                        }
                    }
                    Err(error) => News::DeadLetterRefused {
                        place,
                        error: error.clone(),
                    },
                }
            }
            Sight::PassedOver {
                partition,
                offset,
                failure,
            } => {
                let place = at(partition, *offset);
                self.finish(&place);
                self.summary.skipped += 1;
                News::PassedOver {
                    place,
                    failure: Failed::from(*failure),
                }
            }
            Sight::Stalled {
                partition,
                offset,
                attempts,
                failure,
            } => {
                let place = at(partition, *offset);
                // Each further attempt is told as an answer.
                if !self.stalled.insert(place.clone()) {
                    return None;
                }
                // The engine counts the attempt that was none.
                let attempts = match self.open.get(&place) {
                    Some(attempt) if self.unspent.contains(&place) => attempt - 1,
                    _ => *attempts,
                };
                News::Stalled {
                    place,
                    attempts,
                    failure: Failed::from(*failure),
                }
            }
            Sight::Unstalled { partition, offset } => {
                let place = at(partition, *offset);
                self.stalled.remove(&place);
                News::Unstalled { place }
            }
            Sight::BreakerOpened { bad, of, failure } => News::Breaker {
                open: true,
                why: Some(Broken {
                    bad: *bad,
                    of: *of,
                    failure: Failed::from(*failure),
                }),
            },
            Sight::BreakerClosed => News::Breaker {
                open: false,
                why: None,
            },
        })
    }

    fn count(&mut self, place: &Place, verdict: &Verdict) {
        let summary = &mut self.summary;
        match verdict {
            Verdict::Done => summary.done += 1,
            Verdict::Skip => summary.skipped += 1,
            Verdict::Duplicate => summary.duplicates += 1,
            // Nobody was there to ask for less.
            Verdict::SlowDown { failure, .. }
                if [class::CONNECT, class::START].contains(&failure.class) => {}
            Verdict::SlowDown { .. } => summary.slow_downs += 1,
            // No handler was asked.
            Verdict::Undeliverable { .. } | Verdict::NotYet(_) => {}
            Verdict::Postponed { .. } | Verdict::Cancelled => {}
            Verdict::Retry(_) | Verdict::Reject(_) | Verdict::Misconfigured(_) => {
                summary.failed_attempts += 1;
            }
        }
        if matches!(verdict, Verdict::Done | Verdict::Skip | Verdict::Duplicate) {
            self.finish(place);
        }
    }

    fn finish(&mut self, place: &Place) {
        self.open.remove(place);
        self.stalled.remove(place);
        self.unspent.remove(place);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The record's next attempt has the same number.
fn costs_nothing(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Misconfigured(_) | Verdict::NotYet(_) | Verdict::Postponed { .. }
    )
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        Self {
            class: failure.class,
            status: failure.status,
            message: failure.message.clone(),
        }
    }
}

/// `topic/partition`.
pub(in crate::dev) fn place_of(partition: &TopicPartition) -> String {
    format!("{}/{}", partition.topic, partition.partition)
}

fn at(partition: &TopicPartition, offset: Offset) -> Place {
    Place {
        topic: partition.topic.to_string(),
        partition: partition.partition,
        offset: offset.0,
    }
}

fn of_record(record: &Record) -> Place {
    Place {
        topic: record.topic.to_string(),
        partition: record.partition,
        offset: record.offset.0,
    }
}

fn content(record: &Record, values: bool) -> Content {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = record.value.as_deref();
    let is_text = value.is_none_or(|bytes| std::str::from_utf8(bytes).is_ok());
    let shown = |bytes: &[u8]| match is_text {
        true => text(bytes),
        false => base64::engine::general_purpose::STANDARD.encode(bytes),
    };
    Content {
        key: record.key.as_deref().map(text),
        key_bytes: record.key.as_deref().map(<[u8]>::len),
        value: value.filter(|_| values).map(shown),
        base64: values && !is_text,
        bytes: value.map(<[u8]>::len),
        headers: record.headers.iter().map(|h| text(&h.name)).collect(),
    }
}

fn outcome(verdict: &Verdict) -> (&'static str, Option<&Failure>) {
    match verdict {
        Verdict::Done => ("done", None),
        Verdict::Skip => ("skip", None),
        Verdict::Duplicate => ("duplicate", None),
        Verdict::Cancelled => ("cancelled", None),
        Verdict::Retry(failure) => ("retry", Some(failure)),
        Verdict::Reject(failure) => ("reject", Some(failure)),
        Verdict::Misconfigured(failure) => ("misconfigured", Some(failure)),
        Verdict::NotYet(failure) => ("notYet", Some(failure)),
        Verdict::SlowDown { failure, .. } => ("slowDown", Some(failure)),
        Verdict::Undeliverable { failure, .. } => ("undeliverable", Some(failure)),
        Verdict::Postponed { failure, .. } => ("postponed", failure.as_ref()),
    }
}
