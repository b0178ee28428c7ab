//! What a fleet's worker is told, and that it is not more than its pod can be given.

use super::problem::Problems;
use super::{Fleet, Handler};
use crate::worker_config::{self, ENV_CONFIG, ExecHandler, HttpHandler, WorkerConfig};

/// What Linux gives to a process in one variable: its name, `=`, its value and the byte that ends it (`MAX_ARG_STRLEN`).
const LONGEST_VARIABLE: usize = 128 << 10;

/// The value of the variable in the pod template; also what the configuration's hash is made of.
pub fn worker_config_text(config: &WorkerConfig) -> String {
    let text = serde_json::to_string_pretty(config).expect("texts and numbers are always JSON");
    // To Kubernetes $(NAME) is a variable's value, and $$ a single $.
    text.replace('$', r"\u0024")
}

/// A configuration with which no pod can start is refused, at the field that makes most of it.
pub(super) fn check(fleet: &Fleet, problems: &mut Problems) {
    let Some(config) = worker_config(fleet) else {
        return;
    };
    let size = worker_config_text(&config).len();
    let most = LONGEST_VARIABLE - ENV_CONFIG.len() - "=\0".len();
    if size <= most {
        return;
    }
    let written = |texts: &mut dyn Iterator<Item = &String>| texts.map(String::len).sum::<usize>();
    let command = match &fleet.handler {
        Handler::Exec { command, .. } => written(&mut command.iter()),
        _ => 0,
    };
    let properties = fleet
        .properties
        .iter()
        .flat_map(|(name, value)| [name, value]);
    let fields = [
        (
            command,
            "spec.handler.exec.command",
            "write a file of the image that runs it, and name that",
        ),
        (
            written(&mut properties.into_iter()),
            "spec.kafka.properties",
            "shorten the values",
        ),
        (
            written(&mut fleet.topics.iter()),
            "spec.topics",
            "divide them among several KafkaConsumers",
        ),
    ];
    let (_, field, remedy) = fields
        .into_iter()
        .max_by_key(|(size, ..)| *size)
        .unwrap_or_default();
    problems.invalid(
        field,
        format!("{field} is too long: the worker's configuration would have {size} bytes, and Linux starts no process with more than {most}; {remedy}"),
    );
}

/// What the worker is told; none for a consumer of the user's own.
pub fn worker_config(fleet: &Fleet) -> Option<WorkerConfig> {
    let http = |url, socket, in_pod| {
        worker_config::Handler::Http(HttpHandler {
            url,
            socket,
            in_pod,
            format: fleet.http.format,
            protocol: fleet.http.protocol,
            tls: fleet.http.tls.clone(),
            authorization_file: fleet.http.authorization_file.clone(),
        })
    };
    let handler = match &fleet.handler {
        Handler::Url(url) => http(url.clone(), None, false),
        Handler::Port { port, path } => http(format!("http://localhost:{port}{path}"), None, true),
        Handler::Socket { socket, path } => http(
            format!("http://localhost{path}"),
            Some(socket.clone()),
            true,
        ),
        Handler::Exec { command, .. } => worker_config::Handler::Exec(ExecHandler {
            command: command.clone(),
        }),
        Handler::Consumer { .. } => return None,
    };
    Some(complete(fleet, handler))
}

fn complete(fleet: &Fleet, handler: worker_config::Handler) -> WorkerConfig {
    WorkerConfig {
        consumer: format!("{}/{}", fleet.namespace, fleet.name),
        bootstrap_servers: fleet.bootstrap_servers.clone(),
        group_id: fleet.group_id.clone(),
        topics: fleet.topics.clone(),
        group_protocol: fleet.group_protocol,
        properties: fleet.properties.clone(),
        security: fleet.security.clone(),
        handler,
        ordering: fleet.delivery.ordering,
        concurrency: fleet.delivery.concurrency.get(),
        batch: fleet.delivery.batch,
        decode: fleet.delivery.decode,
        attempts: fleet.delivery.attempts.get(),
        initial_backoff: fleet.delivery.initial_backoff,
        max_backoff: fleet.delivery.max_backoff,
        then: fleet.delivery.then.clone(),
        dead_letter_topic: fleet.delivery.dead_letter_topic.clone(),
        dead_letter_headers: fleet.delivery.header_style,
        retry_topic: fleet.delivery.retry_topic.clone(),
        breaker_percent: fleet.delivery.breaker.percent,
        breaker_min_records: fleet.delivery.breaker.min_records,
        breaker_window: fleet.delivery.breaker.window.0,
        rate_limit: fleet.delivery.rate_limit,
        on_exhausted: fleet.delivery.on_exhausted,
        handler_timeout: fleet.timing.handler_timeout,
        drain_deadline: fleet.timing.drain_deadline,
        max_poll_interval: fleet.timing.max_poll_interval,
        memory_budget_bytes: memory_budget_bytes(fleet.worker_memory_bytes),
        idempotency: fleet.idempotency.clone(),
        encryption: fleet.encryption.clone(),
        skips: fleet.skips.clone(),
    }
}

/// A quarter of the container's limit is for records, wherever in the worker they are. The rest is for the
/// program, connections, requests on their way and what allocators leave unused.
fn memory_budget_bytes(limit: u64) -> u64 {
    limit / 4
}
