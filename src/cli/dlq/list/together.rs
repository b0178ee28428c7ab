//! Dead letters of many KafkaConsumers: those with the same Kafka are asked for together and read by one client, so that
//! a hundred fleets take hardly longer than one.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::sync::{Mutex, oneshot};

use super::{Counts, Found, LOOK, Means, within};
use crate::api::KafkaConsumer;
use crate::cli::dlq::place::dead_letter_topic;
use crate::cli::progress::Reading;
use crate::cli::readable::Readable;
use crate::kafka::admin::{Admin, Error};
use crate::kafka::scan::{Ranges, Scan, Step};
use crate::redrive::letter::Letter;
use crate::redrive::place::{Life, Log, Noted, Place, logs};

/// Kafkas that are asked at the same time, and groups of one where each is asked for by itself.
const AT_ONCE: usize = 8;

/// What was found of one, or why it is not known.
type Told = Result<Found, String>;
/// Namespace and name.
type Name = (String, String);

/// Those who wait to be told.
pub(super) struct Together(Mutex<BTreeMap<Name, oneshot::Receiver<Told>>>);

impl Together {
    /// What was found of this one; none if it is to be asked for by itself.
    pub async fn take(&self, consumer: &KafkaConsumer) -> Option<Told> {
        let waits = self.0.lock().await.remove(&name(consumer))?;
        waits.await.ok()
    }
}

/// Those with the same Kafka.
pub(super) type Batch = Vec<Asked>;

/// One of them.
pub(super) struct Asked {
    consumer: KafkaConsumer,
    tell: oneshot::Sender<Told>,
}

/// Puts together those that have the same Kafka and the same credentials there.
pub(super) fn batches(fleets: &[Readable]) -> (Together, Vec<Batch>) {
    let mut waiting = BTreeMap::new();
    let mut batches: BTreeMap<String, Batch> = BTreeMap::new();
    let readable = fleets.iter().filter(|fleet| fleet.wrong.is_none());
    for consumer in readable.map(|fleet| &fleet.consumer) {
        if dead_letter_topic(consumer).is_none() {
            continue;
        }
        let (tell, told) = oneshot::channel();
        waiting.insert(name(consumer), told);
        let batch = batches.entry(kafka(consumer)).or_default();
        batch.push(Asked {
            consumer: consumer.clone(),
            tell,
        });
    }
    let batches = batches.into_values().collect();
    (Together(Mutex::new(waiting)), batches)
}

fn name(consumer: &KafkaConsumer) -> Name {
    let namespace = consumer.namespace().unwrap_or_default();
    (namespace, consumer.name_any())
}

/// Which Kafka it is, and who we are there: Secrets of the same name are others in another namespace.
fn kafka(consumer: &KafkaConsumer) -> String {
    let kafka = &consumer.spec.kafka;
    let secrets = json!([kafka.tls, kafka.sasl]);
    let namespace = match kafka.tls.is_some() || kafka.sasl.is_some() {
        true => json!(consumer.namespace()),
        false => Value::Null,
    };
    json!([
        kafka.bootstrap_servers,
        kafka.properties,
        secrets,
        namespace
    ])
    .to_string()
}

/// Asks for all of them, and tells each as soon as it is known. Never comes back.
pub(super) async fn ask(means: &Means<'_>, batches: Vec<Batch>) -> Infallible {
    // One line says how far reading has come.
    let is_shown = AtomicBool::new(false);
    let asked = stream::iter(batches);
    let asked = asked.for_each_concurrent(AT_ONCE, |batch| of_one_kafka(means, batch, &is_shown));
    asked.await;
    std::future::pending().await
}

/// One of a batch that waits for its topic to be read.
struct Waiting {
    place: Place,
    tell: oneshot::Sender<Told>,
}

async fn of_one_kafka(means: &Means<'_>, batch: Batch, is_shown: &AtomicBool) {
    let Some(first) = batch.first() else { return };
    let first = means.connection.to(means.cluster, first.consumer.clone());
    let opened = match first.await {
        Ok(first) => {
            let admin = means.brokers.admin(&first).await;
            admin.map(|admin| (admin, first.security))
        }
        Err(error) => Err(error),
    };
    let (admin, security) = match opened {
        Ok(opened) => opened,
        Err(error) => return tell_all(batch.into_iter().map(|asked| asked.tell), &error),
    };
    let mut waiting = Vec::new();
    for Asked { consumer, tell } in batch {
        let connection = means.connection.of(Some(consumer), security.clone());
        match connection.and_then(|connection| means.place.of(connection)) {
            Ok((place, _)) => waiting.push(Waiting { place, tell }),
            Err(error) => tell_all([tell], &error),
        }
    }
    let Some(timeout) = waiting.first().map(|first| first.place.reach.timeout) else {
        return;
    };
    let topics: BTreeSet<String> = waiting.iter().map(|it| it.place.topic.clone()).collect();
    let logs = match logs(&admin, &topics, timeout).await {
        Ok(logs) => logs,
        Err(error) => {
            for Waiting { place, tell } in waiting {
                tell_all([tell], &place.no_log(&error));
            }
            return;
        }
    };
    let mut known = Vec::new();
    for it in waiting {
        match logs.get(&it.place.topic) {
            Some(Ok((log, life))) => known.push((it, log, life)),
            Some(Err(error)) => tell_all([it.tell], &it.place.no_log(error)),
            None => tell_all([it.tell], &it.place.no_log(&Error::Missing)),
        }
    }
    let noted = noted(&admin, &known).await;
    let mut ranges = Ranges::new();
    let mut topics: BTreeMap<String, Vec<Counting>> = BTreeMap::new();
    for (Waiting { place, tell }, log, _) in known {
        let noted = noted.get(&place.topic).cloned().flatten();
        let counts = Counts::of(&place, noted, means.filter);
        ranges.insert(place.topic.clone(), within(means.filter, log));
        let counting = topics.entry(place.topic.clone()).or_default();
        counting.push(Counting {
            place,
            tell,
            counts,
        });
    }
    let shown = !is_shown.swap(true, Ordering::Relaxed);
    // Its panic would be told by those that are asked for by themselves then.
    let _ = tokio::task::spawn_blocking(move || read(ranges, topics, shown)).await;
    if shown {
        is_shown.store(false, Ordering::Relaxed);
    }
}

/// The same for all of them.
fn tell_all(these: impl IntoIterator<Item = oneshot::Sender<Told>>, error: &anyhow::Error) {
    for tell in these {
        // Whoever does not want it any more has gone.
        let _ = tell.send(Err(format!("{error:#}")));
    }
}

/// What was replayed, by topic; none where that is not to be known.
async fn noted(admin: &Admin, known: &[(Waiting, &Log, &Life)]) -> BTreeMap<String, Option<Noted>> {
    let Some(timeout) = known.first().map(|(it, ..)| it.place.reach.timeout) else {
        return BTreeMap::new();
    };
    let places: BTreeMap<&String, (&Place, &Log, &Life)> = known
        .iter()
        .map(|(it, log, life)| (&it.place.topic, (&it.place, *log, *life)))
        .collect();
    let groups = places.values().map(|(place, log, _)| {
        let partitions = place.partitions(log.keys().copied());
        (place.group(), partitions)
    });
    let (mut together, _) = admin.committed_together(&groups.collect(), timeout).await;
    let each = places.into_iter().map(|(topic, (place, log, life))| {
        let committed = together.remove(&place.group());
        async move {
            let noted = match committed {
                Some(committed) => place.noted(log, life, committed),
                None => place.marks(admin, log, life).await,
            };
            // Whoever may not read the group may still look at the letters.
            (topic.clone(), noted.ok())
        }
    });
    let each: Vec<_> = each.collect();
    stream::iter(each).buffer_unordered(AT_ONCE).collect().await
}

/// One that is read.
struct Counting {
    place: Place,
    tell: oneshot::Sender<Told>,
    counts: Counts,
}

/// Blocking. Those that are not told are to be asked for by themselves.
fn read(ranges: Ranges, mut topics: BTreeMap<String, Vec<Counting>>, shown: bool) {
    let Some(first) = topics.values().flatten().next() else {
        return;
    };
    let patience = Some(first.place.reach.timeout);
    let opened = Scan::of_topics(&first.place.reach.kafka(), ranges.clone(), patience);
    let mut scan = match opened {
        Ok(scan) => scan.whole(),
        Err(error) => return tell_why(topics.into_values().flatten(), &error),
    };
    // Where nothing is to be read, that is all.
    let mut ended: Vec<String> = ranges
        .into_iter()
        .filter(|(_, ranges)| ranges.values().all(std::ops::Range::is_empty))
        .map(|(topic, _)| topic)
        .collect();
    let mut reading = shown.then(|| Reading::of(&scan));
    loop {
        for topic in ended {
            let these = topics.remove(&topic).into_iter().flatten();
            match scan.failed(&topic) {
                Some(error) => tell_why(these, error),
                None => these.for_each(Counting::done),
            }
        }
        if topics.values().flatten().all(|it| it.tell.is_closed()) {
            // All are told, or nobody reads any more.
            return;
        }
        let step = scan.step(LOOK, |message| {
            let letter = Letter::of(message);
            for counting in topics.get_mut(message.topic()).into_iter().flatten() {
                counting.counts.take(&letter);
            }
        });
        match step {
            Ok(Step::End) => return,
            Ok(_) => {}
            Err(error @ (Error::Unreachable(_) | Error::Config(_))) => {
                return tell_why(topics.into_values().flatten(), &error);
            }
            // It may be about one of them only.
            Err(_) => return,
        }
        if let Some(reading) = &mut reading {
            reading.look(&scan);
        }
        ended = scan.ended();
    }
}

impl Counting {
    fn done(self) {
        // Whoever does not want it any more has gone.
        let _ = self.tell.send(Ok(self.counts.found(self.place.topic)));
    }
}

fn tell_why(these: impl Iterator<Item = Counting>, error: &Error) {
    for it in these {
        tell_all([it.tell], &it.place.cannot_read(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(number: usize, namespace: &str, change: impl FnOnce(&mut Value)) -> Readable {
        let mut document = json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": format!("fleet-{number}"), "namespace": namespace },
            "spec": { "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } },
                "delivery": { "deadLetter": { "topic": format!("dead-{number}") } } },
        });
        change(&mut document);
        Readable {
            consumer: serde_json::from_value(document).unwrap(),
            wrong: None,
            malformed: false,
        }
    }

    #[test]
    fn those_with_the_same_kafka_and_credentials_are_asked_for_together() {
        let sasl = |document: &mut Value| {
            document["spec"]["kafka"]["sasl"] = json!({
                "mechanism": "Plain", "username": "ann", "passwordSecret": { "name": "kafka", "key": "password" },
            });
        };
        let mut fleets: Vec<Readable> = (0..100).map(|n| fleet(n, "shop", |_| {})).collect();
        fleets.extend((100..110).map(|n| fleet(n, "crm", |_| {})));
        let elsewhere = |document: &mut Value| {
            document["spec"]["kafka"]["bootstrapServers"] = json!("other:9092");
        };
        fleets.push(fleet(110, "shop", elsewhere));
        // Secrets of the same name are others.
        fleets
            .extend([(111, "shop"), (112, "shop"), (113, "crm")].map(|(n, at)| fleet(n, at, sasl)));
        let none = |document: &mut Value| document["spec"]["delivery"] = json!({});
        fleets.push(fleet(114, "shop", none));
        let mut broken = fleet(115, "shop", |_| {});
        broken.wrong = Some("spec.topics must be a list".to_owned());
        fleets.push(broken);
        let (together, batches) = batches(&fleets);
        let mut sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 2, 110]);
        assert_eq!(together.0.into_inner().len(), 114);
    }

    #[tokio::test]
    async fn of_one_that_is_told_nothing_it_is_known_that_it_is_to_be_asked_for_by_itself() {
        let fleets = [fleet(0, "shop", |_| {}), fleet(1, "shop", |_| {})];
        let (together, mut batches) = batches(&fleets);
        let mut batch = batches.remove(0);
        tell_all([batch.remove(0).tell], &anyhow::anyhow!("no broker"));
        drop(batch);
        let told = together.take(&fleets[0].consumer).await;
        assert_eq!(told.unwrap().err().unwrap(), "no broker");
        assert!(together.take(&fleets[1].consumer).await.is_none());
    }
}
