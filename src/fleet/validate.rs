//! From what the user wrote to a [`Fleet`], or to everything that is wrong with it.

use std::num::NonZeroU32;

use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::problem::{Problem, Problems};
use super::{
    DEFAULT_WORKER_MEMORY_BYTES, Delivery, Fleet, Handler, References, Timing,
    consumer_environment, encryption, for_worker, http, idempotency, names, properties, quantity,
    rules, schedule, schema, secrets, security, skips, template, unused,
};
use crate::api::names::WORKER_CONTAINER;
use crate::api::{self, KafkaConsumer, KafkaConsumerSpec, OnExhausted};
use crate::scaling::Policy;
use crate::worker_config::{Batch, RateLimit};

/// Checks a KafkaConsumer against everything that the schema and its rules say, and against what
/// they cannot: librdkafka's properties, the template, and what looking up its references found.
///
/// A resource without namespace, as files have it, is taken to be in `default`.
///
/// # Errors
///
/// Every problem at once, in the order of the spec.
pub fn validate(consumer: &KafkaConsumer, references: &References) -> Result<Fleet, Vec<Problem>> {
    let spec = &consumer.spec;
    let mut problems = Problems::default();
    names::check(consumer.metadata.name.as_deref(), &mut problems);
    schema::check_spec(spec, &mut problems);
    rules::check(spec, &mut problems);
    skips::check(consumer, &mut problems);

    let handler = handler(spec);
    let timing = handler.as_ref().map(|handler| timing(spec, handler));
    properties::check(
        &spec.kafka.properties,
        spec.kafka.group_protocol,
        timing.as_ref(),
        &mut problems,
    );
    if let (Some(handler), Some(timing), Some(written)) = (&handler, &timing, &spec.template) {
        let environment = consumer_environment(
            &spec.kafka.bootstrap_servers,
            &group_id(consumer),
            &spec.topics,
        );
        template::check(written, handler, timing, &environment, &mut problems);
    }
    references.check(spec, &mut problems);

    match (handler, timing) {
        (Some(handler), Some(timing)) if problems.0.is_empty() => {
            let fleet = complete(consumer, references, handler, timing);
            for_worker::check(&fleet, &mut problems);
            match problems.0.is_empty() {
                true => Ok(fleet),
                false => Err(problems.0),
            }
        }
        _ => Err(problems.0),
    }
}

/// None where the spec has none or several; `rules` has said so then.
fn handler(spec: &KafkaConsumerSpec) -> Option<Handler> {
    let written = &spec.handler;
    match (&written.http, &written.exec, &written.consumer) {
        (None, Some(exec), None) => Some(Handler::Exec {
            command: exec.command.clone(),
            processes: NonZeroU32::new(exec.processes).unwrap_or(NonZeroU32::MIN),
        }),
        (Some(http), None, None) => {
            let path = http.path.clone().unwrap_or_else(|| "/".to_owned());
            match (&http.url, http.port, &http.socket) {
                (Some(url), None, None) => Some(Handler::Url(url.clone())),
                (None, Some(port), None) => Some(Handler::Port { port, path }),
                (None, None, Some(socket)) => Some(Handler::Socket {
                    socket: socket.clone(),
                    path,
                }),
                _ => None,
            }
        }
        (None, None, Some(own)) => {
            let pod = spec
                .template
                .as_ref()
                .and_then(|template| template.spec.as_ref());
            let first = pod.and_then(|pod| pod.containers.first());
            Some(Handler::Consumer {
                container: own
                    .container
                    .clone()
                    .or_else(|| first.map(|container| container.name.clone()))
                    .unwrap_or_default(),
            })
        }
        _ => None,
    }
}

fn timing(spec: &KafkaConsumerSpec, handler: &Handler) -> Timing {
    let pod = spec
        .template
        .as_ref()
        .and_then(|template| template.spec.as_ref());
    let wished = pod.and_then(|pod| pod.termination_grace_period_seconds);
    Timing::new(
        handler,
        spec.handler.timeout.0,
        wished.and_then(|seconds| u64::try_from(seconds).ok()),
    )
}

fn namespace(consumer: &KafkaConsumer) -> &str {
    consumer.metadata.namespace.as_deref().unwrap_or("default")
}

fn group_id(consumer: &KafkaConsumer) -> String {
    consumer.spec.group_id.clone().unwrap_or_else(|| {
        let name = consumer.metadata.name.as_deref().unwrap_or_default();
        format!("{}.{name}", namespace(consumer))
    })
}

fn complete(
    consumer: &KafkaConsumer,
    references: &References,
    handler: Handler,
    timing: Timing,
) -> Fleet {
    let spec = &consumer.spec;
    let mut delivery = delivery(&spec.delivery.clone().unwrap_or_default());
    if let Handler::Exec { processes, .. } = &handler {
        // Each has one delivery at a time.
        delivery.concurrency = delivery.concurrency.min(*processes);
    }
    let template = spec.template.clone().unwrap_or_default();
    let secret_files = secrets::secret_files(spec);
    let http = spec.handler.http.as_ref();
    let http = http.map(|written| self::http::complete(written, &secret_files));
    let name = consumer.metadata.name.clone().unwrap_or_default();
    let scope = format!("{}.{name}", namespace(consumer));
    let worker_memory_bytes = match &handler {
        // Its limit is for the commands as well, and nobody knows what they need.
        Handler::Exec { .. } => DEFAULT_WORKER_MEMORY_BYTES,
        _ => worker_memory_bytes(&template),
    };
    Fleet {
        idempotency: idempotency::complete(spec, &secret_files, &timing, scope),
        encryption: encryption::complete(spec, &secret_files),
        http: http.unwrap_or_default(),
        secret_files,
        name,
        namespace: namespace(consumer).to_owned(),
        uid: consumer.metadata.uid.clone().unwrap_or_default(),
        bootstrap_servers: spec.kafka.bootstrap_servers.clone(),
        group_protocol: spec.kafka.group_protocol,
        properties: spec.kafka.properties.clone(),
        security: security::complete(&spec.kafka),
        security_files: secrets::of_kafka(&spec.kafka),
        skips: skips::complete(consumer, &spec.consumed_topics()),
        topics: spec.consumed_topics(),
        group_id: group_id(consumer),
        start_at: spec.start_at,
        timing,
        policy: Policy {
            min: spec.scaling.min_replicas,
            schedule: schedule::complete(&spec.scaling),
            max: spec.scaling.max_replicas,
            max_delay: spec.scaling.max_delay.0,
            idle_to_zero: spec.scaling.idle_time_to_zero.map(|idle| idle.0),
            concurrency: delivery
                .concurrency
                .get()
                .saturating_mul(delivery.batch.max_records),
            rate: delivery
                .rate_limit
                .map(|limit| f64::from(limit.records) / limit.per.as_secs_f64()),
        },
        handler,
        delivery,
        mode: spec.scaling.mode,
        manual_replicas: spec.replicas,
        unused: unused::unused(spec),
        paused: spec.paused,
        worker_memory_bytes,
        template,
        contents_hash: references.contents_hash(spec),
    }
}

fn delivery(written: &api::Delivery) -> Delivery {
    let dead_letter_topic = written
        .dead_letter
        .as_ref()
        .map(|dead_letter| dead_letter.topic.clone());
    let default = if dead_letter_topic.is_some() {
        OnExhausted::DeadLetter
    } else {
        OnExhausted::Stall
    };
    Delivery {
        ordering: written.ordering,
        concurrency: NonZeroU32::new(written.concurrency).unwrap_or(NonZeroU32::MIN),
        batch: Batch {
            max_records: written.batch.max_records,
            max_bytes: quantity::bytes(&written.batch.max_bytes).unwrap_or(1 << 20),
            max_wait: written.batch.max_wait.0,
        },
        rate_limit: written.rate_limit.as_ref().map(|limit| RateLimit {
            records: limit.records,
            per: limit.per.0,
        }),
        decode: written.decode,
        attempts: NonZeroU32::new(written.retry.attempts).unwrap_or(NonZeroU32::MIN),
        initial_backoff: written.retry.initial_backoff.0,
        max_backoff: written.retry.max_backoff.0,
        then: written.retry.then.iter().map(|wait| wait.0).collect(),
        on_exhausted: written.on_exhausted.unwrap_or(default),
        retry_topic: written
            .dead_letter
            .as_ref()
            .and_then(|dead_letter| dead_letter.retry_topic.clone()),
        header_style: written
            .dead_letter
            .as_ref()
            .map(|dead_letter| dead_letter.header_style)
            .unwrap_or_default(),
        breaker: written
            .dead_letter
            .as_ref()
            .map(|dead_letter| dead_letter.breaker.clone())
            .unwrap_or_default(),
        dead_letter_topic,
    }
}

/// A request above the default limit raises the limit with it.
fn worker_memory_bytes(template: &PodTemplateSpec) -> u64 {
    let containers = template.spec.iter().flat_map(|pod| &pod.containers);
    let resources = containers
        .filter(|container| container.name == WORKER_CONTAINER)
        .find_map(|container| container.resources.as_ref());
    let memory = |list: Option<&std::collections::BTreeMap<String, _>>| {
        list.and_then(|list| list.get("memory")).and_then(
            |quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity| {
                quantity::bytes(&quantity.0)
            },
        )
    };
    let limit = resources.and_then(|resources| memory(resources.limits.as_ref()));
    let request = resources.and_then(|resources| memory(resources.requests.as_ref()));
    limit.unwrap_or(DEFAULT_WORKER_MEMORY_BYTES.max(request.unwrap_or(0)))
}
