//! What a resource's status says, on good and bad days.
//!
//! Pure: facts in, status out. Writing it is `controller::publish`'s work. Unknown numbers are
//! absent, never zero.

mod beyond_end;
mod conditions;
mod due;
mod handler;
mod numbers;
mod pods;
mod sharing;
#[cfg(test)]
mod tests;
mod texts;
mod told;
mod unattended;

pub use due::Due;
pub use sharing::Sharing;
pub use told::Told;
pub use unattended::unattended;

use jiff::Timestamp;

use super::size::{By, Order};
use super::workload::Workload;
use crate::api::names::condition::SCALING_LIMITED;
use crate::api::{KafkaConsumerStatus, ScalingStatus, SizeCost, StuckRecord};
use crate::fleet::{Fleet, Handler, Problem};
use crate::lag::dead_letter_topic;
use crate::report::unread;
use crate::scaling::{Decision, Outlook, PartitionSample, Prospect, Sample};

/// Everything that a status speaks of.
pub struct Facts<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// `metadata.generation` of the resource.
    pub generation: Option<i64>,
    /// What status said before.
    pub previous: &'a KafkaConsumerStatus,
    /// What the spec came to.
    pub spec: Spec<'a>,
    /// The label selector of the pods.
    pub selector: String,
    /// What kept the children from being as they should, if anything.
    pub trouble: Option<&'a Trouble>,
    /// What the cluster made of the fleet; none before the Deployment exists.
    pub workload: Option<&'a Workload>,
    /// What is known of Kafka.
    pub kafka: Kafka<'a>,
    /// What is known of the dead-letter topic; none before Kafka was asked.
    pub dead_letter: Option<&'a dead_letter_topic::Facts>,
    /// What a worker reported to be wrong with it, in a word.
    pub dead_letter_told: Option<&'a str>,
    /// Why a worker does not reach its handler, as it reported.
    pub handler_told: Option<&'a str>,
    /// Who else has the fleet's group.
    pub sharing: Sharing<'a>,
    /// What spec.template has and does not exist, each in a sentence.
    pub unknown_fields: &'a [String],
    /// What the policy wants; none where nothing could be decided.
    pub decision: Option<&'a Decision>,
    /// What size the fleet is given, and by whom.
    pub order: Option<&'a Order>,
    /// This process has not told anything of the fleet yet.
    pub resumes: bool,
    /// The reasons are of the kinds that `previous` has; only their numbers may differ.
    pub same_reasons: bool,
}

/// What a spec came to.
#[derive(Clone, Copy)]
pub enum Spec<'a> {
    /// A fleet.
    Good(&'a Fleet),
    /// Problems, at least one.
    Bad(&'a [Problem]),
}

/// What kept the children from being as they should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Stable CamelCase word.
    pub reason: &'static str,
    /// What, why and what to do.
    pub message: String,
}

/// What is known of Kafka.
#[derive(Clone)]
pub enum Kafka<'a> {
    /// Nothing was asked, or nothing was answered yet.
    Unasked,
    /// The last attempts failed.
    Unreachable {
        /// Stable CamelCase word.
        reason: &'static str,
        /// In words.
        error: String,
    },
    /// Offsets are read.
    Read(&'a Sample),
}

/// At most this many stuck records are listed.
const MAX_STUCK: usize = 10;

/// The status that the facts come to.
pub fn status(facts: &Facts<'_>) -> KafkaConsumerStatus {
    let previous = facts.previous;
    let known = match &facts.kafka {
        Kafka::Read(_) => facts.decision.map(|decision| &decision.outlook),
        Kafka::Unasked | Kafka::Unreachable { .. } => None,
    };
    let mut status = KafkaConsumerStatus {
        observed_generation: facts.generation,
        replicas: facts.workload.map(|workload| number(workload.replicas)),
        ready_replicas: facts.workload.map(|workload| number(workload.ready)),
        selector: Some(facts.selector.clone()),
        group_id: match facts.spec {
            Spec::Good(fleet) => Some(fleet.group_id.clone()),
            Spec::Bad(_) => previous.group_id.clone(),
        },
        lag: known.and_then(|outlook| i64::try_from(outlook.lag?).ok()),
        delay: known.and_then(|outlook| Some(numbers::delay(outlook.delay?))),
        // How many partitions there are does not change because Kafka does not answer.
        partitions: known
            .map(|outlook| number(outlook.partitions))
            .or(previous.partitions),
        scaling: scaling(facts),
        stuck: stuck(facts),
        conditions: Vec::new(),
    };
    status.conditions = conditions::conditions(facts, &status.stuck);
    if facts.same_reasons {
        keep_texts(previous, &mut status);
    }
    status
}

/// Sentences about the size hold numbers that move although nothing happens ("idle for 31 s"). They
/// stay as they were unless something else is new.
fn keep_texts(previous: &KafkaConsumerStatus, next: &mut KafkaConsumerStatus) {
    let mut quiet = next.clone();
    let (Some(scaling), Some(before)) = (&mut quiet.scaling, &previous.scaling) else {
        return;
    };
    scaling.reasons.clone_from(&before.reasons);
    scaling.sizes.clone_from(&before.sizes);
    scaling.next_at = before.next_at;
    for condition in &mut quiet.conditions {
        let mut olds = previous.conditions.iter();
        let old = olds.find(|old| old.type_ == condition.type_);
        if let Some(old) = old
            && condition.type_ == SCALING_LIMITED
            && old.reason == condition.reason
        {
            condition.message.clone_from(&old.message);
        }
    }
    if quiet == *previous {
        *next = quiet;
    }
}

/// Learned numbers outlive the moment: they are what a restarted controller resumes from.
fn scaling(facts: &Facts<'_>) -> Option<ScalingStatus> {
    let previous = facts.previous.scaling.clone().unwrap_or_default();
    let wanted = facts
        .order
        .map(|order| number(order.wanted))
        .or(previous.wanted);
    let since = if wanted == previous.wanted {
        previous.since
    } else {
        Some(facts.now)
    };
    let outlook = facts.decision.map(|decision| &decision.outlook);
    let scaling = ScalingStatus {
        wanted,
        since,
        next_at: next_at(facts),
        reasons: match facts.order {
            Some(order) => order.reasons.clone(),
            None => previous.reasons,
        },
        arrival_per_second: outlook
            .and_then(|outlook| arrival(outlook, previous.arrival_per_second))
            // A controller that starts again has to look for some seconds before it knows; not to
            // know yet is no news.
            .or(previous
                .arrival_per_second
                .filter(|_| facts.resumes && outlook.is_some())),
        capacity_per_pod: outlook
            .and_then(|outlook| outlook.capacity_per_pod)
            .map(numbers::rate)
            .or(previous.capacity_per_pod),
        start_up_seconds: outlook
            .and_then(|outlook| outlook.start_up)
            .map(numbers::seconds)
            .or(previous.start_up_seconds),
        sizes: match outlook {
            // As with arrivals: not to know yet is no news.
            Some(outlook) if outlook.prospects.is_empty() && facts.resumes => previous.sizes,
            Some(outlook) => outlook.prospects.iter().map(size_cost).collect(),
            None => previous.sizes,
        },
    };
    (scaling != ScalingStatus::default()).then_some(scaling)
}

/// When what holds the size has passed; none of a size that somebody else sets. The API keeps whole seconds.
fn next_at(facts: &Facts<'_>) -> Option<Timestamp> {
    let by_policy = facts.order.is_some_and(|order| order.by == By::Policy);
    let at = facts.decision.filter(|_| by_policy)?.next_at?;
    Timestamp::from_second(at.as_second().saturating_add(1)).ok()
}

/// What arrives. That nothing does is no news of a fleet at rest of which nothing was told before: it would
/// be the second of two writes that each new fleet costs.
fn arrival(outlook: &Outlook, told: Option<f64>) -> Option<f64> {
    let rate = numbers::rate(outlook.arrival_per_second?);
    let at_rest = rate == 0.0 && outlook.lag == Some(0);
    (!at_rest || told.is_some()).then_some(rate)
}

fn size_cost(prospect: &Prospect) -> SizeCost {
    SizeCost {
        replicas: number(prospect.replicas),
        cost: numbers::rate(prospect.cost),
        delay: numbers::delay(prospect.delay),
    }
}

fn stuck(facts: &Facts<'_>) -> Vec<StuckRecord> {
    let Kafka::Read(sample) = &facts.kafka else {
        // What was stuck is stuck until somebody says otherwise.
        return facts.previous.stuck.clone();
    };
    let silent = facts
        .decision
        .map(|decision| decision.outlook.stuck.as_slice());
    let partitions = sample.partitions.iter();
    partitions
        .filter_map(|(partition, seen)| {
            let seen = seen.as_ref()?;
            let (offset, attempts, error) = match &seen.stuck {
                Some(stuck) => (stuck.offset, stuck.attempts, stuck.error.clone()),
                None if expired(facts, seen) => (
                    seen.committed.unwrap_or_default().0,
                    0,
                    format!(
                        "{} the log begins at {}",
                        unread::OFFSETS_EXPIRED,
                        seen.start
                    ),
                ),
                // A consumer of the user's own does not report, nor does a worker that hangs: that it does not move is
                // seen.
                None if silent?.contains(partition) => {
                    let tried = seen.beyond.map_or(0, |beyond| beyond.tried);
                    (seen.position().0, tried, not_moving(seen))
                }
                None => return None,
            };
            Some(StuckRecord {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset,
                attempts,
                error,
            })
        })
        .take(MAX_STUCK)
        .collect()
}

/// The next record to read is deleted: the workers would say so, if there were any. What a consumer
/// of the user's own does then is its own matter.
fn expired(facts: &Facts<'_>, seen: &PartitionSample) -> bool {
    let gone = |committed| committed < seen.start;
    !own_consumer(facts) && seen.committed.is_some_and(gone)
}

/// What delivers is the user's own program.
fn own_consumer(facts: &Facts<'_>) -> bool {
    matches!(facts.spec, Spec::Good(fleet) if matches!(fleet.handler, Handler::Consumer { .. }))
}

/// Why a partition stands still, as far as its last report says it.
fn not_moving(seen: &PartitionSample) -> String {
    match seen.beyond.map_or(0, |beyond| beyond.retried) {
        0 => NOT_MOVING.to_owned(),
        1 => "it, or a record behind it, failed and is tried again".to_owned(),
        more => format!("it, or records behind it, failed, {more} in all, and are tried again"),
    }
}

/// The error of a record that nobody has reported.
const NOT_MOVING: &str = "the committed offset does not move while those of other partitions do";

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
