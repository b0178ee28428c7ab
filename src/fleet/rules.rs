//! Rules between fields: what the schema's CEL rules say, for those who have no API server at hand.
//!
//! `tests/it/schema_api_server.rs` holds both to the same words.

use std::time::Duration;

use super::problem::Problems;
use crate::api::{
    Delivery, Handler, HttpFormat, HttpHandler, HttpProtocol, KafkaConsumerSpec, OnExhausted,
    Retry, Scaling, Span,
};
use crate::worker_config::ADMIN_PORT;

pub(super) fn check(spec: &KafkaConsumerSpec, problems: &mut Problems) {
    super::security::check(&spec.kafka, problems);
    handler(&spec.handler, problems);
    scaling(&spec.scaling, problems);
    if let Some(delivery) = &spec.delivery {
        self::delivery(spec, delivery, problems);
    }
    super::idempotency::check(spec, problems);
    super::encryption::check(spec, problems);
    exec(spec, problems);
    if spec.template.is_none() {
        if spec.handler.consumer.is_some() {
            problems.contradiction("spec.template", "spec.template is missing: handler.consumer runs the containers of spec.template; name one with its image");
        }
        if spec
            .handler
            .http
            .as_ref()
            .is_some_and(|http| http.port.is_some())
        {
            problems.contradiction("spec.template", "spec.template is missing: handler.http.port is a port of a container of spec.template; add that container, or use handler.http.url");
        }
        if spec
            .handler
            .http
            .as_ref()
            .is_some_and(|http| http.socket.is_some())
        {
            problems.contradiction("spec.template", "spec.template is missing: handler.http.socket is a socket of a container of spec.template; add that container, or use handler.http.url");
        }
    }
}

fn exec(spec: &KafkaConsumerSpec, problems: &mut Problems) {
    let Some(exec) = &spec.handler.exec else {
        return;
    };
    if spec.template.is_none() {
        problems.contradiction("spec.template", "spec.template is missing: handler.exec runs its command in the image of the template's container named worker; add that container with its image");
    }
    let concurrency = spec.delivery.as_ref().map_or_else(
        || Delivery::default().concurrency,
        |delivery| delivery.concurrency,
    );
    if exec.processes > concurrency {
        problems.contradiction("spec.handler.exec.processes", "spec.handler.exec.processes is greater than spec.delivery.concurrency, so some would never have work; lower the first or raise the second");
    }
}

fn handler(handler: &Handler, problems: &mut Problems) {
    let kinds = [
        handler.http.is_some(),
        handler.exec.is_some(),
        handler.consumer.is_some(),
    ];
    if kinds.into_iter().filter(|is| *is).count() != 1 {
        problems.contradiction("spec.handler", "spec.handler needs exactly one of http, exec and consumer; keep the one that is your code, remove the other");
    }
    if !within(
        handler.timeout,
        Duration::from_millis(10),
        Duration::from_secs(30 * 60),
    ) {
        problems.invalid(
            "spec.handler.timeout",
            "spec.handler.timeout must be between 10ms and 30m; write a time such as 30s",
        );
    }
    if let Some(http) = &handler.http {
        self::http(http, problems);
    }
}

fn http(http: &HttpHandler, problems: &mut Problems) {
    let places = [
        http.url.is_some(),
        http.port.is_some(),
        http.socket.is_some(),
    ];
    if places.into_iter().filter(|is| *is).count() != 1 {
        problems.contradiction("spec.handler.http", "spec.handler.http needs exactly one of url (an existing service), port and socket (a container of spec.template); keep one, remove the others");
    }
    if http.path.is_some() && http.port.is_none() && http.socket.is_none() {
        problems.contradiction(
            "spec.handler.http.path",
            "spec.handler.http.path goes with port or socket; with url, write the path into the url",
        );
    }
    let is_https = http.url.as_ref().map(|url| url.starts_with("https://"));
    if http.tls.is_some() && is_https != Some(true) {
        problems.contradiction(
            "spec.handler.http.tls",
            "spec.handler.http.tls goes with a url that begins with https://; write that, or remove tls",
        );
    }
    if http.protocol == HttpProtocol::H2c && is_https == Some(true) {
        problems.contradiction("spec.handler.http.protocol", "spec.handler.http.protocol H2c is HTTP/2 without TLS; with a url that begins with https://, remove protocol");
    }
    if http.port == Some(ADMIN_PORT) {
        problems.contradiction("spec.handler.http.port", format!("spec.handler.http.port {ADMIN_PORT} is the worker's own port in the pod; let the handler listen on another"));
    }
}

fn delivery(spec: &KafkaConsumerSpec, delivery: &Delivery, problems: &mut Problems) {
    if spec.handler.consumer.is_some() {
        problems.contradiction("spec.delivery", "spec.delivery is not for handler.consumer: your own consumer delivers; remove spec.delivery");
    }
    if let Some(dead_letter) = &delivery.dead_letter
        && spec.topics.contains(&dead_letter.topic)
    {
        problems.contradiction("spec.delivery.deadLetter.topic", "spec.delivery.deadLetter.topic is one of spec.topics: its dead letters would be delivered again; name another topic");
    }
    let retry_topic = spec.retry_topic();
    if retry_topic.is_some_and(|retry| spec.topics.iter().any(|topic| topic == retry)) {
        problems.contradiction("spec.delivery.deadLetter.retryTopic", "spec.delivery.deadLetter.retryTopic is one of spec.topics, which others may read as well; name a topic of its own");
    }
    let dead_letter_topic = delivery.dead_letter.as_ref().map(|it| it.topic.as_str());
    if retry_topic.is_some() && retry_topic == dead_letter_topic {
        problems.contradiction("spec.delivery.deadLetter.retryTopic", "spec.delivery.deadLetter.retryTopic is the dead-letter topic itself; name another topic");
    }
    if delivery.on_exhausted == Some(OnExhausted::DeadLetter) && delivery.dead_letter.is_none() {
        problems.contradiction("spec.delivery.onExhausted", "spec.delivery.onExhausted is DeadLetter but spec.delivery.deadLetter.topic is not set; name a topic, or choose Stall or Skip");
    }
    if delivery.batch.max_records > 1 {
        if delivery.retry.attempts == 1 {
            problems.contradiction("spec.delivery.retry.attempts", "spec.delivery.retry.attempts is 1, but a batch that fails says nothing of each of its records, which then need a second attempt alone; raise it, or set batch.maxRecords to 1");
        }
        let http = spec.handler.http.as_ref();
        if http.is_some_and(|http| http.format == HttpFormat::CloudEvents) {
            problems.contradiction("spec.handler.http.format", "spec.handler.http.format is CloudEvents, which has one event in each request; use CloudEventsStructured for batches, or set spec.delivery.batch.maxRecords to 1");
        }
    }
    if delivery.batch.max_wait > Span::secs(10) {
        problems.invalid(
            "spec.delivery.batch.maxWait",
            "spec.delivery.batch.maxWait must be at most 10s; write a time such as 50ms",
        );
    }
    if let Some(dead_letter) = &delivery.dead_letter
        && !within(
            dead_letter.breaker.window,
            Duration::from_secs(1),
            Duration::from_secs(3600),
        )
    {
        problems.invalid(
            "spec.delivery.deadLetter.breaker",
            "spec.delivery.deadLetter.breaker.window must be between 1s and 1h; write a time such as 5m",
        );
    }
    if let Some(limit) = &delivery.rate_limit
        && !within(
            limit.per,
            Duration::from_secs(1),
            Duration::from_secs(24 * 3600),
        )
    {
        problems.invalid(
            "spec.delivery.rateLimit",
            "spec.delivery.rateLimit.per must be between 1s and 24h; write a time such as 1s or 1m",
        );
    }
    retry(&delivery.retry, problems);
}

fn retry(retry: &Retry, problems: &mut Problems) {
    if retry.initial_backoff > retry.max_backoff {
        problems.contradiction("spec.delivery.retry.initialBackoff", "spec.delivery.retry.initialBackoff is longer than spec.delivery.retry.maxBackoff; lower the first or raise the second");
    }
    if retry.initial_backoff < Span::millis(10) || retry.max_backoff > Span::secs(3600) {
        problems.invalid(
            "spec.delivery.retry",
            "spec.delivery.retry: initialBackoff must be at least 10ms and maxBackoff at most 1h",
        );
    }
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
    if !retry.then.iter().all(|wait| within(*wait, least, most)) {
        problems.invalid(
            "spec.delivery.retry",
            "spec.delivery.retry.then has a wait that is not between 1s and 24h; write times such as 1m, 10m and 1h",
        );
    }
}

fn scaling(scaling: &Scaling, problems: &mut Problems) {
    if scaling
        .max_replicas
        .is_some_and(|max| scaling.min_replicas > max)
    {
        problems.contradiction("spec.scaling.minReplicas", "spec.scaling.minReplicas is greater than spec.scaling.maxReplicas; lower the first or raise the second");
    }
    if !within(
        scaling.max_delay,
        Duration::from_secs(1),
        Duration::from_secs(24 * 3600),
    ) {
        problems.invalid(
            "spec.scaling.maxDelay",
            "spec.scaling.maxDelay must be between 1s and 24h; write a time such as 60s",
        );
    }
    super::schedule::check(scaling, problems);
    let Some(idle) = scaling.idle_time_to_zero else {
        return;
    };
    if !within(idle, Duration::from_secs(1), Duration::from_secs(24 * 3600)) {
        problems.invalid(
            "spec.scaling.idleTimeToZero",
            "spec.scaling.idleTimeToZero must be between 1s and 24h; write a time such as 30s",
        );
    }
    if scaling.min_replicas > 0 {
        problems.contradiction("spec.scaling.idleTimeToZero", "spec.scaling.idleTimeToZero has no effect while spec.scaling.minReplicas is not 0; set that to 0, or remove idleTimeToZero");
    }
}

fn within(span: Span, least: Duration, most: Duration) -> bool {
    (least..=most).contains(&span.0)
}
