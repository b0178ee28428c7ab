//! The controller's view of Kafka: which fleets are watched, what is known of their offsets, and
//! whether a group has a place to begin.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::context::Context;
use super::credentials::Credentials;
use super::error::Error;
use super::fleets::{FleetKey, FleetMemory};
use super::place::Move;
use super::workload::Workload;
use crate::api::Handler as HandlerSpec;
use crate::clock;
use crate::fleet::{Fleet, Handler, Known};
use crate::lag::{self, Latest, Need, Pace, Source, Start, TopicState};
use crate::scaling::{Decision, PodStart, Sample, Watch};

/// Which of a user's properties tell how a cluster is reached. The others are the workers', and
/// must not keep fleets from sharing a client.
const CONNECTION: [&str; 7] = [
    "broker.address.",
    "client.dns.",
    "enable.ssl.",
    "sasl.",
    "security.",
    "socket.",
    "ssl.",
];
/// A reading that failed for a cause that passes by itself is worth a word only after this long.
const PASSING: Duration = Duration::from_secs(10);
/// A worker is ready within this time of its container's start, unless it waits for something.
const WORKER_STARTS: SignedDuration = SignedDuration::from_secs(30);
/// Members that left without a word are none any more after this time: a session, and a drain before it.
const MEMBERS_LEAVE: Duration = Duration::from_secs(120);
/// A node that has still to be made for a pod is part of its start.
const FOR_A_NODE: &str = "Unschedulable";

/// Why offsets cannot be read at present.
pub struct Away<'a> {
    /// Stable CamelCase word.
    pub reason: &'static str,
    /// In words.
    pub error: &'a lag::Error,
}

/// Watches the fleet's offsets from now on; costs nothing if it is watched already.
///
/// # Errors
/// If what the connection needs is not known; what was watched before goes on.
pub fn register(
    context: &Context,
    key: &FleetKey,
    fleet: &Fleet,
    credentials: &Credentials,
) -> Result<(), Error> {
    let security = credentials.security(fleet, &context.token_hosts)?;
    let properties = fleet.properties.iter();
    let need = Need {
        source: Source {
            bootstrap_servers: fleet.bootstrap_servers.clone(),
            properties: properties
                .filter(|(name, _)| CONNECTION.iter().any(|prefix| name.starts_with(prefix)))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            security,
        },
        topics: fleet.topics.clone(),
        group_id: fleet.group_id.clone(),
        dead_letter_topic: fleet.delivery.used_dead_letter_topic().map(str::to_owned),
        own_consumer: matches!(fleet.handler, Handler::Consumer { .. }),
    };
    context.lag.register(key, &need);
    Ok(())
}

/// Reads as often as the decision asks for.
pub fn pace(context: &Context, key: &FleetKey, decision: &Decision) {
    let pace = match decision.watch {
        Watch::Growing => Pace::Quick,
        Watch::Closely => Pace::Close,
        Watch::ForArrivals => Pace::Asleep,
        Watch::Usual => Pace::Usual,
    };
    context.lag.set_pace(key, pace);
}

/// The topics, as validation takes them.
pub fn topics(latest: &Latest) -> BTreeMap<String, Known<u32>> {
    let known = |state: &TopicState| match state {
        TopicState::Exists(partitions) => Known::Found(*partitions),
        TopicState::Missing => Known::Missing,
        TopicState::Unknown(_) => Known::Unknown,
    };
    let topics = latest.topics.iter();
    topics
        .map(|(topic, state)| (topic.clone(), known(state)))
        .collect()
}

/// Kafka has said all that a fleet begins with, or has failed to: its offsets, or that a topic is
/// not there.
pub fn answered(latest: &Latest) -> bool {
    let absent = |state: &TopicState| !matches!(state, TopicState::Exists(_));
    latest.offsets.is_some() || latest.failure.is_some() || latest.topics.values().any(absent)
}

/// When a failure that lasts will be worth a word, if it is not yet.
pub fn away_in(latest: &Latest) -> Option<Duration> {
    let failure = latest.failure.as_ref()?;
    let lasts = clock::now().duration_since(failure.since);
    let lasts = Duration::try_from(lasts).unwrap_or_default();
    away(latest)
        .is_none()
        .then(|| PASSING.saturating_sub(lasts))
}

/// Whether Kafka does not let us in as we are.
pub fn kept_out(latest: &Latest) -> bool {
    latest.failure.as_ref().is_some_and(|failure| {
        matches!(
            failure.error,
            lag::Error::Tls(_) | lag::Error::Authentication(_) | lag::Error::Token(_)
        )
    })
}

/// Why offsets cannot be read at present; none while they can, or before anyone tried.
pub fn away(latest: &Latest) -> Option<Away<'_>> {
    let failure = latest.failure.as_ref()?;
    let lasts = clock::now().duration_since(failure.since);
    if passes(&failure.error, latest.offsets.is_some())
        && lasts < PASSING.try_into().unwrap_or_default()
    {
        return None;
    }
    Some(Away {
        reason: failure.error.label(),
        error: &failure.error,
    })
}

/// Whether an error may be gone at the next reading. One answer that comes too late says nothing
/// of a Kafka that has answered before; of one that never has it is all that is known.
fn passes(error: &lag::Error, answered_before: bool) -> bool {
    match error {
        lag::Error::Later(_) | lag::Error::Moved | lag::Error::Missing => true,
        lag::Error::Unreachable(_)
        | lag::Error::Tls(_)
        | lag::Error::Authentication(_)
        | lag::Error::Token(_) => answered_before,
        _ => false,
    }
}

/// The newest offsets, together with what the cluster made of the fleet.
pub fn sample(latest: &Latest, workload: &Workload, handler: &HandlerSpec) -> Option<Sample> {
    let offsets = latest.offsets.as_ref()?;
    let held_up = held_up(latest, workload, handler, clock::now());
    Some(offsets.sample(
        starts(workload, handler),
        workload.size,
        workload.ready,
        workload.rolling,
        held_up,
    ))
}

/// How pods began. Kubernetes tells whole seconds, so a pod was ready before the one was over that is told.
fn starts(workload: &Workload, handler: &HandlerSpec) -> Vec<PodStart> {
    let starts = workload.beginnings.iter().map(|it| {
        // What waits for a handler elsewhere does not start all that time.
        let waited = |ready: &Timestamp| {
            is_elsewhere(handler)
                && it
                    .runs
                    .is_some_and(|runs| ready.duration_since(runs) > WORKER_STARTS)
        };
        let ready = it.ready.filter(|ready| !waited(ready));
        PodStart {
            made: it.made,
            ready: ready.and_then(|ready| ready.checked_add(SignedDuration::from_secs(1)).ok()),
        }
    });
    starts.collect()
}

fn is_elsewhere(handler: &HandlerSpec) -> bool {
    handler.http.as_ref().is_some_and(|http| http.url.is_some())
}

/// Whether what keeps pods from being ready is not their start, which would be learned: they are not let in, Kafka is
/// away, the dead-letter topic will not do; or Drover's worker, which is started in a moment, waits for a handler
/// elsewhere.
fn held_up(latest: &Latest, workload: &Workload, handler: &HandlerSpec, now: Timestamp) -> bool {
    let waits = workload.waiting_since.filter(|_| is_elsewhere(handler));
    let dead_letter = latest.dead_letter.as_ref();
    let mut troubles = workload.troubles.iter();
    troubles.any(|trouble| trouble.reason != FOR_A_NODE)
        || latest.failure.is_some()
        || dead_letter.is_some_and(|known| known.flaw().is_some())
        || waits.is_some_and(|since| now.duration_since(since) > WORKER_STARTS)
}

/// Whether the group has a place to begin, so that lag means something and a pod may start. Gives
/// it one where it has none.
///
/// # Errors
/// If Kafka refuses the first offsets.
pub fn ready(
    context: &Context,
    key: &FleetKey,
    fleet: &Fleet,
    latest: &Latest,
    moves: &Move,
    (size, pods): (u32, u32),
    memory: &mut FleetMemory,
) -> Result<bool, Error> {
    let forgotten = latest.offsets.as_ref().is_some_and(|read| read.forgotten);
    if size > 0 && !moves.elsewhere {
        // Where pods run, what they read is their business.
        memory.group = Group::Begun;
    } else if forgotten && memory.group == Group::Begun {
        memory.group = Group::Unknown;
    }
    let offsets = match &latest.offsets {
        _ if memory.group == Group::Begun => return Ok(true),
        Some(offsets) if latest.failure.is_none() => offsets,
        _ => return Ok(false),
    };
    if moves.has_begun(offsets) {
        memory.group = Group::Begun;
        context.lag.has_begun(key);
        return Ok(true);
    }
    if memory.group == Group::Given {
        // These offsets were read before ours were written.
        return Ok(false);
    }
    if !moves.added.is_empty() && pods > 0 {
        // They leave; until then nobody else may commit for their group.
        return Ok(false);
    }
    let fence = context.fence.clone();
    let start = context
        .lag
        .begin(key, fleet.start_at, &moves.added, move || fence.is_open());
    let Some(start) = start else {
        // It wakes us when it is over.
        memory.group = Group::Beginning;
        return Ok(false);
    };
    match start {
        Ok(Start::Written(first)) => {
            info!(group = fleet.group_id, start_at = %fleet.start_at, partitions = first.len(), "first offsets written");
            memory.group = Group::Given;
            Ok(false)
        }
        Ok(Start::Restored(again)) => {
            warn!(
                group = fleet.group_id,
                partitions = again.len(),
                "Kafka had forgotten the group's offsets, as it does with groups without members; they are written again"
            );
            memory.group = Group::Given;
            Ok(false)
        }
        // One that was killed is a member until its session is over.
        Ok(Start::HasMembers(_)) if !moves.added.is_empty() && !memory.waited(context) => {
            memory.group = Group::Unknown;
            Ok(false)
        }
        Ok(Start::Resumes | Start::HasMembers(_)) => {
            memory.group = Group::Begun;
            Ok(true)
        }
        Err(source) => Err(Error::FirstOffsets {
            group: fleet.group_id.clone(),
            source,
        }),
    }
}

impl FleetMemory {
    /// Whether members of a fleet without pods are none of its own any more.
    fn waited(&self, context: &Context) -> bool {
        let now = context.clock.elapsed();
        let since = self.place.as_ref().map(|(_, since)| *since);
        since.is_some_and(|since| now > since + MEMBERS_LEAVE)
    }
}

/// Whether a group has offsets to begin at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// It is not known yet.
    #[default]
    Unknown,
    /// It has none, or had none: its first ones are being written.
    Beginning,
    /// We wrote its first offsets, and have not read them back yet.
    Given,
    /// It has offsets or members.
    Begun,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lag::{Failure, Offsets};

    fn failing(error: lag::Error, since_secs: i64, answered_before: bool) -> Latest {
        let offsets = Offsets {
            at: clock::now(),
            partitions: crate::topic::ByPartition::default(),
            pods: BTreeMap::new(),
            dead_letter: None,
            handler: None,
            oldest: None,
            foreign: 0,
            members: None,
            forgotten: false,
        };
        Latest {
            offsets: answered_before.then(|| Arc::new(offsets)),
            failure: Some(Failure {
                since: clock::now() - jiff::SignedDuration::from_secs(since_secs),
                error,
            }),
            ..Latest::default()
        }
    }

    fn unreachable() -> lag::Error {
        lag::Error::Unreachable("timed out".to_owned())
    }

    #[test]
    fn one_answer_that_comes_too_late_is_not_worth_a_word() {
        let latest = failing(unreachable(), 1, true);
        assert!(away(&latest).is_none());
        let again = away_in(&latest).expect("it is looked at again");
        assert!(again <= PASSING, "{again:?}");
        // A broker that has just started finds its coordinators.
        let moved = failing(lag::Error::Moved, 1, false);
        assert!(away(&moved).is_none());
        assert!(away(&failing(lag::Error::Moved, 11, false)).is_some());
    }

    #[test]
    fn a_kafka_that_stays_away_is_told_and_so_is_one_that_never_answered() {
        let lasting = failing(unreachable(), 11, true);
        assert_eq!(away(&lasting).expect("told").reason, "Unreachable");
        let never = failing(unreachable(), 0, false);
        assert_eq!(away(&never).expect("told").reason, "Unreachable");
    }

    #[test]
    fn what_is_no_start_of_a_pod_is_not_taken_for_one() {
        let read = failing(unreachable(), 0, true);
        let well = Latest {
            failure: None,
            ..read.clone()
        };
        let elsewhere: HandlerSpec =
            serde_json::from_value(serde_json::json!({ "http": { "url": "http://users" } }))
                .unwrap();
        let in_pod: HandlerSpec =
            serde_json::from_value(serde_json::json!({ "http": { "port": 8080 } })).unwrap();
        let now = clock::now();
        let waits = |secs| Workload {
            waiting: 1,
            waiting_since: Some(now - SignedDuration::from_secs(secs)),
            ..Workload::default()
        };
        let trouble = |reason: &str| Workload {
            troubles: vec![crate::controller::workload::Trouble {
                reason: reason.to_owned(),
                message: String::new(),
                container: None,
            }],
            ..Workload::default()
        };
        for (latest, workload, handler, expected) in [
            (&well, Workload::default(), &elsewhere, false),
            (&well, waits(20), &elsewhere, false),
            (&well, waits(40), &elsewhere, true),
            // It may take that long to start.
            (&well, waits(40), &in_pod, false),
            (&read, Workload::default(), &in_pod, true),
            (&well, trouble("QuotaExceeded"), &in_pod, true),
            (&well, trouble("Unschedulable"), &in_pod, false),
        ] {
            let held = held_up(latest, &workload, handler, now);
            assert_eq!(held, expected, "{workload:?}");
        }
    }

    #[test]
    fn a_pod_s_start_is_told_unless_it_waited_for_a_handler_elsewhere() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let workload = |ready| Workload {
            beginnings: vec![crate::controller::workload::Beginning {
                made: time(0),
                runs: Some(time(5)),
                ready,
            }],
            ..Workload::default()
        };
        let handler = |http: serde_json::Value| -> HandlerSpec {
            serde_json::from_value(serde_json::json!({ "http": http })).unwrap()
        };
        let elsewhere = handler(serde_json::json!({ "url": "http://users" }));
        let in_pod = handler(serde_json::json!({ "port": 8080 }));
        for (ready, handler, expected) in [
            (Some(time(20)), &elsewhere, Some(time(21))),
            (Some(time(200)), &elsewhere, None),
            (Some(time(200)), &in_pod, Some(time(201))),
            (None, &in_pod, None),
        ] {
            let [start] = starts(&workload(ready), handler)[..] else {
                panic!("one pod");
            };
            assert_eq!((start.made, start.ready), (time(0), expected), "{ready:?}");
        }
    }

    #[test]
    fn wrong_credentials_are_told_at_once() {
        let refused = lag::Error::NotAuthorized("SASL".to_owned().into());
        assert!(away(&failing(refused, 0, true)).is_some());
    }
}
