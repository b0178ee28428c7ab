//! What conditions say where a word is not enough: what, why and what to do.

use super::{Facts, NOT_MOVING, Spec, own_consumer};
use crate::api::StuckRecord;
use crate::api::names::{NOT_IN_PODS, WORKER_CONTAINER};
use crate::fleet::{Fleet, Problem};
use crate::plural::{are, noun};
use crate::report::{IDEMPOTENCY_STORE, WORKER_KILLED, unread};
use crate::scaling::Sample;

/// The note, and what was written in vain: `kubectl scale` and `kubectl apply` do not say that it changes nothing.
pub(super) fn with_unused(fleet: &Fleet, note: &str) -> String {
    let fields: Vec<&str> = fleet.unused.iter().map(|unused| unused.field).collect();
    let Some((last, others)) = fields.split_last() else {
        return note.to_owned();
    };
    let named = match others {
        [] => (*last).to_owned(),
        others => format!("{} and {last}", others.join(", ")),
    };
    let verb = are(fields.len());
    format!("{note}; {named} {verb} not used in mode {:?}", fleet.mode)
}

/// What spec.template has and does not exist.
pub(super) fn unknown_fields_text(fields: &[String]) -> String {
    const SHOWN: usize = 3;
    if fields.is_empty() {
        return String::new();
    }
    let shown: Vec<&str> = fields.iter().take(SHOWN).map(String::as_str).collect();
    let more = match fields.len() {
        ..=SHOWN => String::new(),
        all => format!("; and {} more: drover validate names all", all - SHOWN),
    };
    format!("{NOT_IN_PODS}{}{more}", shown.join("; "))
}

/// Every problem at once, as far as a message has room.
pub(super) fn problems_text(problems: &[Problem], facts: &Facts<'_>) -> String {
    const ROOM: usize = 4000;
    let mut text = String::new();
    for problem in problems {
        // Most begin with it.
        let line = match problem.message.starts_with(&problem.field) {
            true => format!("{}; ", problem.message),
            false => format!("{}: {}; ", problem.field, problem.message),
        };
        let room = ROOM.saturating_sub(text.len());
        if line.len() > room {
            if text.is_empty() {
                text.extend(line.chars().take(room / 4));
                text.push_str("…; ");
            }
            text.push_str("and more; ");
            break;
        }
        text.push_str(&line);
    }
    text.push_str(if facts.workload.is_some() {
        "the children are left as they were"
    } else {
        "nothing was created"
    });
    text
}

/// Kafka does not answer.
pub(super) fn unreachable_text(facts: &Facts<'_>, reason: &str, error: &str) -> String {
    let servers = match facts.spec {
        Spec::Good(fleet) => fleet.bootstrap_servers.as_str(),
        Spec::Bad(_) => "spec.kafka.bootstrapServers",
    };
    // What else goes wrong says itself what to do.
    let remedy = match reason {
        "Unreachable" => format!(
            "; check that Kafka runs and can be reached from the controller{}",
            or_another_port(facts)
        ),
        "Later" | "Other" => {
            "; check that Kafka runs and can be reached from the controller".to_owned()
        }
        "BrokersSuspected" => {
            "; see what answers at that address, such as a proxy: `drover lag` from a pod shows whether that crashes, too".to_owned()
        }
        "ClientConfig" => {
            "; correct the Secrets that spec.kafka names, or spec.kafka.properties".to_owned()
        }
        _ => String::new(),
    };
    format!("offsets cannot be read from {servers}: {error}; the size is left as it is{remedy}")
}

/// A port that wants more than we say hangs up, as one does behind which nobody is.
fn or_another_port(facts: &Facts<'_>) -> &'static str {
    let Spec::Good(fleet) = facts.spec else {
        return "";
    };
    let security = &fleet.security;
    let logs_in = security.sasl.is_some() || security.oauth.is_some();
    match (security.tls.is_some(), logs_in) {
        (true, true) => "",
        (true, false) => ", and whether its port wants a login (spec.kafka.sasl)",
        (false, true) => ", and whether its port wants TLS (spec.kafka.tls)",
        (false, false) => {
            ", and whether its port wants TLS or a login (spec.kafka.tls, spec.kafka.sasl)"
        }
    }
}

/// Without numbers, which would be news at each look.
pub(super) fn nothing_stuck_text(sample: &Sample) -> &'static str {
    let mut beyond = sample.partitions.values().flatten();
    match beyond.any(|seen| seen.beyond.is_some_and(|beyond| beyond.later.is_some())) {
        true => {
            "no record is stuck; some failed and wait for a later attempt, as spec.delivery.retry.then has it: drover lag says how many, and until when"
        }
        false => "no record is reported as stuck",
    }
}

/// What kind of trouble it is: of a record that cannot be handled, or one that cannot be read.
pub(super) fn stalled_reason(record: &StuckRecord) -> &'static str {
    let class = record.error.split(' ').next().unwrap_or_default();
    let unread = unread::ALL.into_iter().find(|unread| *unread == class);
    unread.unwrap_or("RecordStuck")
}

/// The first of `count` records that nothing gets past, and how to get past it.
pub(super) fn stalled_text(facts: &Facts<'_>, record: &StuckRecord, count: usize) -> String {
    let StuckRecord {
        topic,
        partition,
        offset,
        attempts,
        error,
    } = record;
    let others = match count {
        0 | 1 => String::new(),
        more => format!(" ({} more in status.stuck)", more - 1),
    };
    let tried = match attempts {
        0 => String::new(),
        attempts => format!(" after {attempts} {}", noun("attempt", *attempts)),
    };
    if error.starts_with(IDEMPOTENCY_STORE) {
        return format!(
            "nothing gets past {topic}[{partition}] offset {offset}{others}: the idempotency store does not answer; bring it back and it goes on by itself (the workers' log and /readyz have its words), or choose spec.idempotency.onStoreError: Deliver"
        );
    }
    if error.starts_with(WORKER_KILLED) {
        return format!(
            "nothing gets past {topic}[{partition}] offset {offset}{others}: each time that a command has this record, and nothing else, its container is killed, so that pods of this revision are not given it again; raise the memory limit of the container named {WORKER_CONTAINER}, or mend the command: new pods try it again (kubectl rollout restart as well); or name a dead-letter topic in spec.delivery.deadLetter; if the record is not worth it, {}",
            skip(facts, record)
        );
    }
    let remedy = match stalled_reason(record) {
        unread::BREAKER_OPEN => {
            "the breaker is open: none is dead-lettered, and records are tried one at a time, so that those not tried yet wait as well; all go on by themselves once the handler takes them: mend it, or raise spec.delivery.deadLetter.breaker.percent".to_owned()
        }
        unread::RETRIES_FULL => {
            "its partition has no room for more of them, so that other records are tried one at a time: mend the handler and it goes on by itself; shorten spec.delivery.retry.then where so many fail".to_owned()
        }
        unread::UNREADABLE => format!(
            "it is read again and again and goes on by itself once that works; look at the disks of the brokers and the network between; to give it up, {}",
            reset(facts, record, &Place::Behind)
        ),
        unread::OFFSETS_EXPIRED => format!(
            "what was deleted is lost; to go on with the oldest record that is left, {}, and let the topic's retention be longer than a fleet may stand still",
            reset(facts, record, &Place::Oldest)
        ),
        unread::TOPIC_RECREATED => format!(
            "no record is passed over without your word: to begin anew, {}; where offsets were copied from another cluster together with the records, write each partition's as it is: drover reset with --topic, --partition and --to",
            reset(facts, record, &Place::OldestOfAll)
        ),
        unread::OFFSET_BEYOND_END | unread::OFFSET_OUT_OF_RANGE => format!(
            "no record is passed over without your word: to begin anew, {}",
            reset(facts, record, &Place::Oldest)
        ),
        _ if error.starts_with("DeadLetter") && error.contains("MessageTimedOut") => {
            "nobody takes the copy: look whether the dead-letter topic is still there (DeadLetterWritable says what is known of it), with a leader and enough replicas in sync; then it goes on by itself".to_owned()
        }
        _ if error.starts_with("DeadLetter") => {
            "it goes on by itself once the dead-letter topic takes the copy".to_owned()
        }
        _ if error == "Protocol" => {
            "the handler does not answer in what spec.handler.http.protocol says: set that to Http1, or let the handler speak HTTP/2 without TLS (h2c, prior knowledge)".to_owned()
        }
        _ if error == "Redirect 304" => {
            "that says that nothing has changed, which a POST does not ask, and no dead letter is made of it: something before the handler, such as a cache, answers; let POSTs through to it, or let it answer 2xx".to_owned()
        }
        _ if error.starts_with("Redirect") => {
            "redirects are not followed, since a redirected POST loses its body, and no dead letter is made of it: set spec.handler.http.url to where it leads, as the worker's log says; if that is a login, name spec.handler.http.authorizationSecret".to_owned()
        }
        _ if error.starts_with("UnknownResult") => {
            "the handler's answer is none that is known, and no dead letter is made of it: the worker's log has it; mend the handler and it goes on by itself".to_owned()
        }
        _ if error == "UnknownKeyId" => {
            "it names a key that is not here, and no handler is asked: name that key, too, in spec.encryption.activeRecord.primaryKeySecrets; the pods are rolled, and it goes on by itself. If all records do, compare hashDigest and the salt with the application's: the key's id is made with both".to_owned()
        }
        _ if error == "AuthFailed" => format!(
            "none of the keys opens it, and no handler is asked: if it is so of all records, compare spec.encryption.activeRecord.hashDigest and the salt with the application's, else name the key that is missing in primaryKeySecrets; the pods are rolled, and it is tried again{}; if the record is not worth it, {}",
            or_a_dead_letter(facts),
            skip(facts, record)
        ),
        _ if error == NOT_MOVING && !own_consumer(facts) => {
            let whose = whose(facts);
            format!(
                "no worker says that it failed: the group may be sharing its partitions out, or the pod that has it hangs; drover lag {whose} says who has it, drover logs {whose} what it does"
            )
        }
        _ if own_consumer(facts) => {
            "look at what your consumer logs of this partition; mend it and it goes on by itself".to_owned()
        }
        _ => format!(
            "mend the handler and it goes on by itself{}; if the record is not worth it, {}",
            or_a_dead_letter(facts),
            skip(facts, record)
        ),
    };
    format!(
        "nothing gets past {topic}[{partition}] offset {offset}{tried}: {error}{others}; {remedy}"
    )
}

/// As commands want it.
fn whose(facts: &Facts<'_>) -> String {
    match facts.spec {
        Spec::Good(fleet) => format!("{} -n {}", fleet.name, fleet.namespace),
        Spec::Bad(_) => "NAME".to_owned(),
    }
}

/// What would get a record out of the way that the handler does not take, where that is not so already.
fn or_a_dead_letter(facts: &Facts<'_>) -> &'static str {
    match facts.spec {
        Spec::Good(fleet) if fleet.delivery.used_dead_letter_topic().is_some() => "",
        Spec::Good(fleet) if fleet.delivery.dead_letter_topic.is_some() => {
            ", or let spec.delivery.onExhausted be DeadLetter"
        }
        _ => ", or name a dead-letter topic in spec.delivery.deadLetter",
    }
}

/// The command that gives the record up.
fn skip(facts: &Facts<'_>, record: &StuckRecord) -> String {
    let whose = whose(facts);
    let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
    format!(
        "drover skip {whose} --topic {topic} --partition {partition} --offset {offset} --reason WHY"
    )
}

/// Where a group is to go on.
pub(super) enum Place {
    /// At the oldest record of the partition.
    Oldest,
    /// At the oldest record of each partition of the topic.
    OldestOfAll,
    /// Behind the record.
    Behind,
}

/// How to set a group's offsets, in whole commands: only while it has no members.
pub(super) fn reset(facts: &Facts<'_>, record: &StuckRecord, place: &Place) -> String {
    let whose = whose(facts);
    let (servers, group) = match facts.spec {
        Spec::Good(fleet) => (fleet.bootstrap_servers.as_str(), fleet.group_id.as_str()),
        Spec::Bad(_) => ("SERVERS", "GROUP"),
    };
    let (topic, partition) = (&record.topic, record.partition);
    let (ours, theirs) = match place {
        Place::OldestOfAll => (String::new(), String::new()),
        Place::Oldest | Place::Behind => {
            (format!(" --partition {partition}"), format!(":{partition}"))
        }
    };
    let (to, as_theirs) = match place {
        Place::Oldest | Place::OldestOfAll => ("earliest".to_owned(), "--to-earliest".to_owned()),
        Place::Behind => {
            let next = record.offset.saturating_add(1);
            (next.to_string(), format!("--to-offset {next}"))
        }
    };
    format!(
        "set spec.paused to true (drover pause {whose}), wait until no pod is left, run drover reset {whose} --topic {topic}{ours} --to {to} (or kafka-consumer-groups --bootstrap-server {servers} --group {group} --topic {topic}{theirs} --reset-offsets {as_theirs} --execute), and drover resume {whose}"
    )
}

/// The handler takes nothing. No seconds are said: a status that changes each second is written each second.
pub(super) fn turned_away_text(facts: &Facts<'_>, seconds: f64) -> String {
    let since = match seconds {
        ..300.0 => "a minute",
        ..3600.0 => "five minutes",
        _ => "an hour",
    };
    let whose = match facts.spec {
        Spec::Good(fleet) => format!("{} -n {}", fleet.name, fleet.namespace),
        Spec::Bad(_) => "NAME".to_owned(),
    };
    format!(
        "records wait, and for more than {since} the handler has taken none and asked for less (429, 503 or slow-down); look at it, and at what stands before it, such as an ingress or a mesh with nobody behind it; drover logs {whose} has its answers; it goes on by itself"
    )
}
