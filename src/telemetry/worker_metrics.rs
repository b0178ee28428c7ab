//! The worker's metrics, all of them. The worker's `/metrics` page and the docs table come from
//! here. No label has an offset, a pod or a message in it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::registrar::{IfKnown, Purpose, Registrar, SecondsGauge};

/// `result`: how something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    /// A word out of the metric's help text.
    pub result: &'static str,
}

/// `class`: why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Class {
    /// Such as `Timeout`; see `docs/http-handler.md`.
    pub class: &'static str,
}

/// `key`: the id of the key that opened a message, of which there are as many as keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OpenedBy {
    /// Four hexadecimal characters.
    pub key: String,
}

/// The worker's metrics.
pub struct WorkerMetrics {
    /// Records read.
    pub received: Counter,
    /// Records finished, by how.
    pub done: Counter,
    /// Passed over.
    pub skipped: Counter,
    /// Passed over because somebody gave them up.
    pub given_up: Counter,
    /// Passed over because they were handled before.
    pub duplicates: Counter,
    /// Claims of the idempotency store, by how they ended.
    pub claims: Family<Outcome, Counter>,
    /// Delivered without a claim though the spec asks for one.
    pub unprotected: Counter,
    /// Finished without a mark.
    pub unconfirmed: Counter,
    /// Confirmed after the lease.
    pub overtaken: Counter,
    /// 1 while the idempotency store does not answer.
    pub store_unreachable: Gauge,
    /// Copied to the dead-letter topic.
    pub dead_lettered: Counter,
    /// Copies that the broker did not take.
    pub dead_letters_failed: Counter,
    /// Attempts that failed.
    pub failed: Family<Class, Counter>,
    /// Values decrypted, by the key that opened them.
    pub decrypted: Family<OpenedBy, Counter>,
    /// Spans of attempts, by what became of them.
    pub spans: Family<Outcome, Counter>,
    /// Deliveries after a failed attempt.
    pub retried: Counter,
    /// Records that a previous owner had finished beyond its frontier.
    pub finished_before: Counter,
    /// Records that may be handled twice.
    pub possible_duplicates: Counter,
    /// Age of the oldest record that is not finished.
    pub oldest_unfinished_seconds: SecondsGauge,
    /// Deliveries that the handler may have now.
    pub in_flight_limit: Gauge,
    /// Answers that asked for less.
    pub slow_downs: Counter,
    /// Deliveries stopped at the drain deadline.
    pub cancelled: Counter,
    /// Time inside the handler.
    pub handler_seconds: Histogram,
    /// Deliveries inside the handler now.
    pub in_flight: Gauge,
    /// Bytes of records held.
    pub held_bytes: Gauge,
    /// Bytes of records that may be held.
    pub budget_bytes: Gauge,
    /// Partitions assigned.
    pub partitions: Gauge,
    /// Partitions paused because the budget is used up.
    pub paused: Gauge,
    /// Commits, by how they ended.
    pub commits: Family<Outcome, Counter>,
    /// Assignments and revocations.
    pub rebalances: Family<Outcome, Counter>,
    /// From revocation to giving back.
    pub drain_seconds: Histogram,
    /// Commits that went back.
    pub commit_violations: Counter,
    /// Records that nothing gets past.
    pub stalled: Gauge,
    /// 1 while nothing is dead-lettered, because too much would be.
    pub breaker_open: Gauge,
    /// Records a second that this pod may deliver.
    pub rate_limit: IfKnown,
    /// Answers that came after their partition was given back.
    pub late_results: Counter,
    /// Reports in commits that could not be read.
    pub foreign_metadata: Counter,
    /// 1 while no broker answers.
    pub kafka_unreachable: Gauge,
    /// 1 while the handler cannot be connected to.
    pub handler_unreachable: Gauge,
}

impl WorkerMetrics {
    /// Makes them all and registers them. `classes` of failed attempts are counted from zero on.
    pub fn register(registry: &mut Registry, classes: &[&'static str]) -> Self {
        Self::register_for(registry, Purpose::Scraped, classes)
    }

    pub(super) fn register_for(
        registry: &mut Registry,
        purpose: Purpose,
        classes: &[&'static str],
    ) -> Self {
        let mut to = Registrar::new(registry, "drover_worker", purpose);
        to.version("The worker's version");
        Self {
            received: to.counter("records_received", "Records read from Kafka, including those read again after a partition came back"),
            done: to.counter("records_done", "Records that the handler has handled"),
            skipped: to.counter("records_skipped", "Records passed over, because the handler said so or by onExhausted: Skip"),
            given_up: to.counter("records_given_up", "Records passed over because somebody said so with drover skip"),
            duplicates: to.counter("records_duplicate", "Records passed over because the idempotency store says that they were handled"),
            claims: to.family("idempotency_claims", "Questions whether a record may be handled, by result: claimed, duplicate, held (in progress elsewhere; asked again), error (the store did not answer), missing-key", Outcome { result: "claimed" }),
            unprotected: to.counter("idempotency_unprotected", "Records delivered without a claim: they have no key, or the store was away and onStoreError is Deliver"),
            unconfirmed: to.counter("idempotency_unconfirmed", "Records finished though their mark could not be made: handled again if they come again"),
            overtaken: to.counter("idempotency_overtaken", "Records handled after their claim had run out: they may have been handled elsewhere too"),
            store_unreachable: to.gauge("idempotency_store_unreachable", "1 while the idempotency store does not answer"),
            dead_lettered: to.counter("records_dead_lettered", "Records whose copy the dead-letter topic has"),
            dead_letters_failed: to.counter("dead_letters_failed", "Copies that the dead-letter topic did not take; each is tried again"),
            failed: to.known_family("attempts_failed", "Attempts that the handler failed, by class: HttpStatus, HandlerResult, Timeout, Connect, Connection, Protocol, Process, Start, Redirect, UnknownResult, MissingKey; or that could not be made, because the record could not be decrypted (docs/encryption.md has those classes)", classes.iter().map(|&class| Class { class })),
            decrypted: to.family("records_decrypted", "Values decrypted, each attempt for itself, by the id of the key that opened them", OpenedBy { key: "0a1b".to_owned() }),
            spans: to.family("spans", "Spans of attempts, by result: exported, failed (the collector did not take them), dropped (there was no room for more, or the worker ended before they went)", Outcome { result: "exported" }),
            retried: to.counter("records_retried", "Deliveries after a failed attempt"),
            finished_before: to.counter("records_finished_before", "Records not delivered because the partition's last owner had finished them beyond its committed offset, or this worker before it lost the partition"),
            possible_duplicates: to.counter("possible_duplicates", "Records that may be handled twice, because their partition went before a commit"),
            drain_seconds: to.histogram("drain_duration", "Time from the group taking partitions with work in them to their being given back", durations()),
            commit_violations: to.counter("commit_violations", "Commits that went back although their partition was not assigned anew: a defect of the worker, must stay 0"),
            oldest_unfinished_seconds: to.seconds("oldest_unfinished", "Time since the oldest record that is not finished was read; no commit gets past it meanwhile"),
            in_flight_limit: to.gauge("records_in_flight_limit", "Records that may be inside the handler now: fewer than delivery.concurrency while it asks for less"),
            slow_downs: to.counter("slow_downs", "Answers by which the handler asked for less (429, 503, Drover-Result: slow-down)"),
            cancelled: to.counter("deliveries_cancelled", "Deliveries stopped because they overran the drain deadline, or void because a record before them in their batch failed; their records are delivered again"),
            handler_seconds: to.histogram("handler_duration", "Time from sending a record to the end of the handler's answer", durations()),
            in_flight: to.gauge("records_in_flight", "Records inside the handler now"),
            held_bytes: to.gauge("held_bytes", "Memory that records take, in flight or waiting"),
            budget_bytes: to.gauge("budget_bytes", "Memory that records may take before reading pauses"),
            partitions: to.gauge("partitions_assigned", "Partitions that this worker consumes"),
            paused: to.gauge("partitions_paused", "Partitions that are not read because held_bytes is at budget_bytes"),
            commits: to.known_family("commits", "Commits of offsets, by result: ok, later (the group rebalances or the broker is busy), dropped (the partition is no longer ours), fatal", outcomes(["ok", "later", "dropped", "fatal"])),
            rebalances: to.known_family("rebalances", "Changes of the assignment, by result: assigned, revoked, lost (others may have handled the same records)", outcomes(["assigned", "revoked", "lost"])),
            stalled: to.gauge("records_stalled", "Records that have used up their attempts and hold up what must wait for them"),
            breaker_open: to.gauge("breaker_open", "1 while nothing is dead-lettered because too many records would be; they are tried one at a time"),
            rate_limit: to.if_known("rate_limit", "Records a second that this pod may deliver, its share of delivery.rateLimit: absent without a limit, and until the number of partitions is known"),
            late_results: to.counter("late_results_dropped", "Answers of the handler that came after their partition was given back"),
            foreign_metadata: to.counter("foreign_metadata", "Commits of other tools, or damaged ones, met when a partition was taken over"),
            kafka_unreachable: to.gauge("kafka_unreachable", "1 while no broker can be reached"),
            handler_unreachable: to.gauge("handler_unreachable", "1 while the handler cannot be connected to"),
        }
    }
}

fn outcomes<const N: usize>(results: [&'static str; N]) -> [Outcome; N] {
    results.map(|result| Outcome { result })
}

/// From half a millisecond to about eight minutes.
fn durations() -> impl Iterator<Item = f64> {
    exponential_buckets(0.0005, 4.0, 11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_help_text() {
        let mut registry = Registry::default();
        let metrics = WorkerMetrics::register(&mut registry, &["Timeout"]);
        metrics
            .commits
            .get_or_create(&Outcome { result: "ok" })
            .inc();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(
            text.contains("drover_worker_commits_total{result=\"ok\"} 1"),
            "{text}"
        );
        // What is to come is there before it comes.
        for series in [
            r#"attempts_failed_total{class="Timeout"}"#,
            r#"commits_total{result="later"}"#,
            r#"rebalances_total{result="lost"}"#,
        ] {
            assert!(
                text.contains(&format!("drover_worker_{series} 0\n")),
                "{text}"
            );
        }
        assert!(
            text.contains("drover_worker_handler_duration_seconds_bucket"),
            "{text}"
        );
        assert!(text.contains("drover_worker_build_info{version="), "{text}");
        for line in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
            let (name, help) = line.split_once(' ').unwrap();
            assert!(name.starts_with("drover_worker_"), "{name}");
            assert!(help.len() > 10, "{name}");
        }
    }
}
