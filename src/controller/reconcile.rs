//! One run over one resource: look, check, decide, build, apply, scale, say.
//!
//! Level-based: what woke it does not matter. Whatever fails is told in status and tried again; a
//! reconcile itself never fails.

mod act;
mod decide;
mod first_answer;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ObjectMeta;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use tracing::{Instrument, debug, info_span, warn};

use super::announce::{Happenings, announcements};
use super::backoff::jittered;
use super::context::{Context, Guarded};
use super::deleting;
use super::dereference::{self, Observed};
use super::error::{Error, NAMESPACE_TERMINATING};
use super::fleets::{FleetKey, FleetMemory};
use super::gauges;
use super::malformed;
use super::offsets::{self, Group};
use super::place::Place;
use super::publish::publish;
use super::size::Order;
use super::status::{Facts, Kafka, Sharing, Spec, Trouble, status};
use super::strangers::{Ours, Strangers};
use super::watches::whole;
use super::workload::{self, Workload};
use crate::api::KafkaConsumer;
use crate::clock;
use crate::fleet::{self, Fleet, Handler};
use crate::k8s::apply::version_of;
use crate::k8s::chain;
use crate::lag::Latest;
use crate::resources::selector_text;
use crate::scaling::{self, Decision, Sample};
use crate::telemetry::controller_metrics::FleetGauges;

/// A resource at rest is looked at this often, whatever the watches say.
const RESYNC: Duration = Duration::from_secs(300);
/// Never sooner than this.
const MOMENT: Duration = Duration::from_millis(100);
/// A problem that may heal by itself is looked at this often.
const HEALING: Duration = Duration::from_secs(10);

/// The controller's entry point.
pub async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Infallible> {
    let key = key(object.meta());
    let span = info_span!("reconcile", consumer = %key, generation = object.meta().generation);
    let began = context.clock.elapsed();
    let action = async {
        match &object.0 {
            Ok(consumer) => one(&whole(consumer), &key, &context).await,
            Err(invalid) => malformed::tell(&context, &key, invalid).await,
        }
    }
    .instrument(span)
    .await;
    context
        .metrics
        .reconciled(context.clock.elapsed().saturating_sub(began));
    Ok(action)
}

/// The key of a resource.
pub fn key(meta: &ObjectMeta) -> FleetKey {
    FleetKey {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    }
}

async fn one(consumer: &KafkaConsumer, key: &FleetKey, context: &Context) -> Action {
    if consumer.metadata.deletion_timestamp.is_some() {
        // Children follow by their owner references.
        return deleting::tell(context, key, consumer).await;
    }
    let mut memory = context
        .fleets
        .take(key, &consumer.uid().unwrap_or_default());
    memory.unreadable = None;
    let wait = steps(consumer, key, &mut memory, context).await;
    context.fleets.put(key.clone(), memory);
    Action::requeue(wait)
}

/// The steps, in order. Returns when to look again at the latest.
async fn steps(
    consumer: &KafkaConsumer,
    key: &FleetKey,
    memory: &mut FleetMemory,
    context: &Context,
) -> Duration {
    let mut lag = context.lag.latest(key).unwrap_or_default();
    dereference::look_up(context, consumer, memory, offsets::kept_out(&lag)).await;
    memory.unknown_fields.look(context, key, consumer).await;
    let observed = dereference::observe(context, key);
    let references = dereference::references(memory, offsets::topics(&lag));

    let workload = observed.deployment.as_deref().map(|deployment| {
        let mut workload = read(deployment, &observed);
        if let Some(set) = memory
            .size_set
            .filter(|set| version_of(&deployment.metadata) < set.version)
        {
            // The cache does not show our last change yet.
            workload.size = set.size;
        }
        workload
    });
    let lost = decide::lost(consumer, &observed, workload.as_ref(), memory);
    let none = Workload {
        size: lost,
        ..Workload::default()
    };
    let handler = &consumer.spec.handler;
    let sample = offsets::sample(&lag, workload.as_ref().unwrap_or(&none), handler);
    let mut run = Run {
        consumer,
        context,
        observed: &observed,
        wait: jittered(RESYNC, &key.name),
        workload,
        lost,
        sample,
        decision: None,
        order: None,
        keeps_template: false,
        happenings: Happenings::default(),
        trouble: None,
        promised: None,
        conditions: Vec::new(),
    };
    let verdict = fleet::validate(consumer, &references);
    match &verdict {
        Ok(fleet) => {
            run.promised = Some((fleet.policy.max_delay, fleet.policy.max));
            let credentials = &memory.lookups.credentials;
            let registered = offsets::register(context, key, fleet, credentials);
            run.comes_to(fleet, registered.is_ok(), &mut lag, memory);
            if let Err(error) = registered {
                run.failed(&error, memory);
            }
            if let Some(moment) = run.waits_for_kafka(&lag, memory) {
                return moment;
            }
            run.decide(key, fleet, &lag, memory);
            if let Some(moment) = run.waits_for_first_offsets(memory) {
                return moment;
            }
            let again = run.recall(memory);
            run.act(fleet, memory).await;
            if !again && run.tells_later(memory) {
                return MOMENT;
            }
        }
        Err(problems) => {
            run.recall(memory);
            run.happenings.bad_spec = true;
            if problems.iter().any(|problem| problem.may_heal) {
                run.within(HEALING);
            }
            run.stop(memory).await;
        }
    }
    let spec = verdict
        .as_ref()
        .map_or_else(|problems| Spec::Bad(problems), Spec::Good);
    run.tell(spec, &lag, memory).await;
    run.when_again(key, memory)
}

fn read(deployment: &Deployment, observed: &Observed) -> Workload {
    workload::read(deployment, observed.pods.iter().map(AsRef::as_ref))
}

pub(super) fn is_owned(deployment: &Deployment, uid: &str) -> bool {
    let mut owners = deployment.owner_references().iter();
    owners.any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

/// What one run has come to so far.
struct Run<'a> {
    consumer: &'a KafkaConsumer,
    context: &'a Context,
    observed: &'a Observed,
    wait: Duration,
    workload: Option<Workload>,
    /// How many pods a Deployment was to have that somebody has deleted.
    lost: u32,
    sample: Option<Sample>,
    decision: Option<Decision>,
    order: Option<Order>,
    /// Its pods stay as they are until the group has a place to begin at, where the fleet is to read now.
    keeps_template: bool,
    happenings: Happenings,
    trouble: Option<Trouble>,
    /// What the spec promises, and at most how many pods it allows; none while it is not good.
    promised: Option<(Duration, Option<u32>)>,
    /// What status says now.
    conditions: Vec<Condition>,
}

impl Run<'_> {
    fn within(&mut self, wait: Duration) {
        self.wait = self.wait.min(wait);
    }

    /// Something failed: it is logged once, told in status, and tried again.
    fn failed(&mut self, error: &Error, memory: &FleetMemory) {
        let trouble = error.trouble();
        if trouble.reason == NAMESPACE_TERMINATING {
            debug!(error = %chain(error), "the namespace is being deleted");
        } else if memory.failures.count() == 0 {
            warn!(error = %chain(error), "reconcile failed; it is tried again");
        }
        self.trouble.get_or_insert(trouble);
    }

    /// Where its spec names other brokers, topics or another group than before, nothing is known of them yet, also if
    /// those before are still asked, since it is not known how to connect.
    fn comes_to(
        &mut self,
        fleet: &Fleet,
        is_asked: bool,
        lag: &mut Latest,
        memory: &mut FleetMemory,
    ) {
        let place = Place::of(fleet);
        let before = memory.place.as_ref().map(|(before, _)| before);
        if before == Some(&place) {
            return;
        }
        if before.is_some() {
            memory.group = Group::Unknown;
            *lag = Latest::default();
            self.sample = None;
            self.within(MOMENT);
        }
        if is_asked {
            memory.place = Some((place, self.context.clock.elapsed()));
        }
    }

    /// Takes up what an earlier run left to be told; whether there was anything.
    fn recall(&mut self, memory: &mut FleetMemory) -> bool {
        let untold = memory.untold.take();
        let any = untold.is_some();
        self.happenings = untold.map(|untold| *untold).unwrap_or_default();
        any
    }

    /// Where many fleets are woken at once, their sizes go before all that is to be said of them: a fleet whose size
    /// was set now is told of by its next run, which waits its turn behind those that still have to be sized.
    fn tells_later(&mut self, memory: &mut FleetMemory) -> bool {
        let sized = self.happenings.scaled.is_some() && self.trouble.is_none();
        if sized {
            memory.untold = Some(Box::new(std::mem::take(&mut self.happenings)));
        }
        sized
    }

    /// Status, on good and bad days; then the events that the change is worth.
    async fn tell(&mut self, spec: Spec<'_>, lag: &Latest, memory: &mut FleetMemory) {
        let consumer = self.consumer;
        let labels = self.decision.as_ref().map(labels).unwrap_or_default();
        memory.told.shown(consumer.status.as_ref());
        let previous = memory.told.status(consumer.status.as_ref());
        let sharing = self.sharing(spec, lag, &mut memory.strangers);
        let next = status(&Facts {
            now: clock::now(),
            generation: consumer.metadata.generation,
            previous: &previous,
            spec,
            selector: selector_text(&consumer.name_any()),
            trouble: self.trouble.as_ref(),
            workload: self.workload.as_ref(),
            kafka: match (&self.sample, offsets::away(lag)) {
                (_, Some(away)) => Kafka::Unreachable {
                    reason: away.reason,
                    error: away.error.to_string(),
                },
                (Some(sample), None) => Kafka::Read(sample),
                (None, None) => Kafka::Unasked,
            },
            dead_letter: lag.dead_letter.as_ref(),
            dead_letter_told: lag
                .offsets
                .as_ref()
                .and_then(|read| read.dead_letter.as_deref()),
            handler_told: lag
                .offsets
                .as_ref()
                .and_then(|read| read.handler.as_deref()),
            sharing,
            unknown_fields: memory.unknown_fields.said(),
            decision: self.decision.as_ref(),
            order: self.order.as_ref(),
            resumes: memory.told.is_silent(),
            same_reasons: memory.told.reasons_are_of(&labels),
        });
        self.happenings.trouble = self.trouble.is_some();
        self.conditions.clone_from(&next.conditions);
        let events = match publish(self.context, consumer, memory, &next, labels).await {
            Ok(due_in) => {
                self.within(due_in.unwrap_or(self.wait));
                announcements(&previous, &next, &self.happenings)
            }
            Err(error) => {
                self.failed(&error, memory);
                // The next run sees the same transitions again; what was done was done now.
                announcements(&previous, &previous, &self.happenings)
            }
        };
        let about = consumer.object_ref(&());
        for event in events {
            self.context.announcer.tell(&about, event).await;
        }
    }

    /// Who else has the group.
    fn sharing<'m>(
        &self,
        spec: Spec<'_>,
        lag: &'m Latest,
        strangers: &mut Strangers,
    ) -> Sharing<'m> {
        let (Spec::Good(fleet), Some(read)) = (spec, &lag.offsets) else {
            return Sharing::default();
        };
        let own_consumer = matches!(fleet.handler, Handler::Consumer { .. });
        let name = self.consumer.name_any();
        let pods = self.observed.pods.iter().map(AsRef::as_ref);
        let ours = Ours::new(&name, own_consumer, &fleet.topics, pods);
        let now = self.context.clock.elapsed();
        Sharing {
            is_known: read.members.is_some(),
            strangers: strangers.among(read.members.as_deref().unwrap_or_default(), &ours, now),
            rivals: self.context.lag.rivals(&key(self.consumer.meta())),
            foreign: read.foreign,
        }
    }

    fn when_again(&mut self, key: &FleetKey, memory: &mut FleetMemory) -> Duration {
        let metrics = &self.context.metrics;
        metrics.fleet(&key.to_string(), self.gauges());
        if let Some(decision) = &self.decision {
            metrics.decided(first_reason(decision));
        }
        if let Some(due_at) = memory.lookups.due_at {
            let now = self.context.clock.elapsed();
            self.within(due_at.saturating_sub(now).max(MOMENT));
        }
        for _ in &self.happenings.corrections {
            metrics.drift_corrected();
        }
        if let Some(trouble) = &self.trouble {
            if trouble.reason != NAMESPACE_TERMINATING {
                metrics.reconcile_failed();
            }
            self.within(memory.failures.another(&memory.uid));
        } else {
            memory.failures.none();
        }
        debug!(wait = ?self.wait, "reconciled");
        self.wait
    }

    fn gauges(&self) -> FleetGauges {
        let outlook = self.decision.as_ref().map(|decision| &decision.outlook);
        let workload = self.workload.as_ref();
        let stuck = |sample: &Sample| {
            let seen = sample.partitions.values().flatten();
            u32::try_from(seen.filter(|seen| seen.stuck.is_some()).count()).unwrap_or(u32::MAX)
        };
        FleetGauges {
            wanted: self.order.as_ref().map(|order| order.wanted),
            replicas: workload.map(|workload| workload.replicas),
            ready_replicas: workload.map(|workload| workload.ready),
            max_replicas: self.promised.and_then(|(_, max)| max),
            partitions: outlook.map(|outlook| outlook.partitions),
            promise: self.promised.map(|(promise, _)| promise),
            arrival: outlook.and_then(|outlook| outlook.arrival_per_second),
            capacity: outlook.and_then(|outlook| outlook.capacity_per_pod),
            start_up: outlook.and_then(|outlook| outlook.start_up),
            lag: outlook.and_then(|outlook| outlook.lag),
            delay: outlook.and_then(|outlook| outlook.delay),
            sample_age: self.sample.as_ref().map(|sample| {
                clock::now()
                    .duration_since(sample.at)
                    .try_into()
                    .unwrap_or_default()
            }),
            stuck: self.sample.as_ref().map(stuck),
            ready: gauges::ready(&self.conditions),
            decision: self.decision.as_ref().map(first_reason),
            attention: gauges::attention(&self.conditions),
        }
    }
}

fn first_reason(decision: &Decision) -> &'static str {
    decision.reasons.first().map_or("None", scaling::Why::label)
}

fn labels(decision: &Decision) -> Vec<&'static str> {
    decision.reasons.iter().map(scaling::Why::label).collect()
}
