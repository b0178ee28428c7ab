//! A decision in words and numbers. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::api::names::{condition, reason};
use crate::api::{KafkaConsumer, KafkaConsumerStatus, ScalingMode, SizeCost};
use crate::cli::columns::{
    UNKNOWN, ago, aligned, arrival, count, counted, per_second, text as or_unknown,
};
use crate::cli::grouped::grouped;

/// A change of size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub at: Timestamp,
    /// As the controller told it.
    pub note: String,
}

impl Change {
    pub fn value(&self) -> Value {
        json!({ "at": self.at, "note": self.note })
    }
}

pub(super) fn text(consumer: &KafkaConsumer, changes: Option<&[Change]>, now: Timestamp) -> String {
    let name = consumer.name_any();
    let namespace = consumer.namespace().unwrap_or_default();
    format!("{name} in {namespace}: {}", told(consumer, changes, now))
}

/// The same without the name.
pub(super) fn told(consumer: &KafkaConsumer, changes: Option<&[Change]>, now: Timestamp) -> String {
    let Some(status) = &consumer.status else {
        return "no status yet; is the controller running?\n".to_owned();
    };
    // Nobody decides anything then, and what is known of it may be a stand-in.
    if let Some(unreadable) = unreadable(status) {
        return format!("{unreadable}\n");
    }
    let scaling = status.scaling.clone().unwrap_or_default();
    let since = scaling
        .since
        .map(|since| format!(" since {} ago", ago(since, now)));
    let mut text = format!(
        "{} wanted{}\n",
        counted(scaling.wanted, "pod"),
        since.unwrap_or_default()
    );
    part(
        &mut text,
        "What it is asked for",
        &aligned(&asked(consumer), "  "),
    );
    part(&mut text, "What it sees", &aligned(&seen(status), "  "));
    let reasons: String = scaling
        .reasons
        .iter()
        .map(|reason| format!("  {reason}\n"))
        .collect();
    part(&mut text, "Why, the first decided", &reasons);
    part(
        &mut text,
        "What sizes would come to, the wanted one first",
        &aligned(&sizes(status), "  "),
    );
    part(&mut text, "What holds it", &held(status));
    part(
        &mut text,
        "When it may act next",
        &format!("  {}\n", next(consumer, now)),
    );
    let told = match changes {
        None => "  not known: this user may not read events\n".to_owned(),
        Some([]) => "  none within the time that events are kept\n".to_owned(),
        Some(changes) => changes
            .iter()
            .map(|change| format!("  {} ago: {}\n", ago(change.at, now), change.note))
            .collect(),
    };
    part(&mut text, "Last changes", &told);
    text
}

/// What is wrong with a resource that the controller cannot read.
fn unreadable(status: &KafkaConsumerStatus) -> Option<&str> {
    let ready = find(status, condition::READY);
    let found = ready.filter(|found| found.reason == reason::UNREADABLE)?;
    Some(&found.message)
}

fn part(text: &mut String, title: &str, lines: &str) {
    if !lines.is_empty() {
        text.push_str(&format!("\n{title}\n{lines}"));
    }
}

fn asked(consumer: &KafkaConsumer) -> Vec<Vec<String>> {
    let scaling = &consumer.spec.scaling;
    let most = scaling.max_replicas.map(|most| most.to_string());
    let most = most.unwrap_or_else(|| "as many as partitions".to_owned());
    let line = |name: &str, value: String| vec![name.to_owned(), value];
    let mut lines = vec![
        line(
            "promise",
            format!("no record waits longer than {}", scaling.max_delay),
        ),
        line("bounds", format!("{} to {most}", scaling.min_replicas)),
    ];
    let peaks = scaling.schedule.iter();
    lines.extend(peaks.map(|peak| line("peak", peak.to_string())));
    lines.push(line("mode", format!("{:?}", scaling.mode)));
    lines
}

fn seen(status: &KafkaConsumerStatus) -> Vec<Vec<String>> {
    let scaling = status.scaling.clone().unwrap_or_default();
    let rate = |rate: Option<f64>| rate.map_or_else(|| UNKNOWN.to_owned(), per_second);
    let start = scaling
        .start_up_seconds
        .map(|seconds| format!("{seconds:.1}s"));
    let line = |name: &str, value: String| vec![name.to_owned(), value];
    vec![
        line("lag", counted(status.lag, "record")),
        line("delay", or_unknown(status.delay.as_deref())),
        line("arrival", arrival(status)),
        line("a pod does", rate(scaling.capacity_per_pod)),
        line("a pod starts in", or_unknown(start.as_deref())),
        line("partitions", count(status.partitions)),
        line(
            "pods",
            format!(
                "{} ready of {}",
                count(status.ready_replicas),
                count(status.replicas)
            ),
        ),
    ]
}

/// The size and the next-best ones, a line each.
fn sizes(status: &KafkaConsumerStatus) -> Vec<Vec<String>> {
    let scaling = status.scaling.clone().unwrap_or_default();
    let line = |size: &SizeCost| {
        let cost = grouped(size.cost.round() as i64);
        vec![
            counted(Some(size.replicas), "pod"),
            format!("{cost} pod-seconds"),
            format!("a record waits {} at most", size.delay),
        ]
    };
    scaling.sizes.iter().map(line).collect()
}

fn find<'a>(status: &'a KafkaConsumerStatus, kind: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
}

/// Conditions that bound or stop the size.
fn held(status: &KafkaConsumerStatus) -> String {
    let bad = [
        (condition::SCALING_ACTIVE, "False"),
        (condition::SCALING_LIMITED, "True"),
        (condition::KAFKA_REACHABLE, "False"),
        (condition::STALLED, "True"),
    ];
    let mut text = String::new();
    for (kind, bad) in bad {
        if let Some(found) = find(status, kind).filter(|found| found.status == bad) {
            text.push_str(&format!(
                "  {kind} {bad} ({}): {}\n",
                found.reason, found.message
            ));
        }
    }
    text
}

/// When the size may change.
pub(super) fn next(consumer: &KafkaConsumer, now: Timestamp) -> String {
    let is = |kind: &str, wanted: &str| {
        let status = consumer.status.as_ref()?;
        find(status, kind).filter(|found| found.status == wanted)
    };
    if consumer
        .status
        .as_ref()
        .is_some_and(|status| unreadable(status).is_some())
    {
        return "when its spec can be read again".to_owned();
    }
    if consumer.spec.paused {
        return format!(
            "not while it is paused; drover resume {} -n {} ends that",
            consumer.name_any(),
            consumer.namespace().unwrap_or_default()
        );
    }
    match consumer.spec.scaling.mode {
        ScalingMode::Manual => {
            return "when somebody sets spec.replicas: the mode is Manual".to_owned();
        }
        ScalingMode::External => {
            return "when an autoscaler or kubectl scale sets spec.replicas: the mode is External"
                .to_owned();
        }
        ScalingMode::Recommend => return "never by itself: the mode is Recommend".to_owned(),
        ScalingMode::Auto => {}
    }
    if is(condition::KAFKA_REACHABLE, "False").is_some() {
        return "when Kafka answers again; until then an unknown lowers nothing".to_owned();
    }
    if let Some(inactive) = is(condition::SCALING_ACTIVE, "False") {
        return format!("when this is over: {}", inactive.message);
    }
    let scaling = consumer.status.as_ref().and_then(|it| it.scaling.as_ref());
    let held = scaling.and_then(|scaling| scaling.next_at);
    let held = held.filter(|&at| at > now);
    if let Some(under_way) = is(condition::PROGRESSING, "True") {
        let about = held.map(|at| format!(", about {} from now", ago(now, at)));
        return format!(
            "when this is over{}, or at once if the promise is in danger: {}",
            about.unwrap_or_default(),
            under_way.message
        );
    }
    if let Some(at) = held {
        let why = scaling.and_then(|scaling| scaling.reasons.first());
        let why = why.map(|why| format!(": {why}"));
        return format!(
            "in {} (at {at}) if what it sees stays as it is, or at once if the promise is in danger{}",
            ago(now, at),
            why.unwrap_or_default()
        );
    }
    "at the next reading of offsets that asks for another size: it waits for nothing else. They are read every 1.5 s, more often in a burst, and less often where nothing moves or a controller has very many fleets".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(change: impl FnOnce(&mut Value)) -> KafkaConsumer {
        let mut document = json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "namespace": "shop" },
            "spec": {
                "kafka": { "bootstrapServers": "kafka:9092" },
                "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } },
                "scaling": { "maxReplicas": 12, "maxDelay": "30s" },
            },
            "status": {
                "lag": 12345, "delay": "12s", "partitions": 24, "replicas": 2, "readyReplicas": 2,
                "scaling": { "wanted": 6, "reasons": ["12,345 records wait"], "arrivalPerSecond": 2000.0,
                    "sizes": [
                        { "replicas": 6, "cost": 1500.0, "delay": "12s" },
                        { "replicas": 8, "cost": 2000.0, "delay": "9s" },
                        { "replicas": 5, "cost": 9100.0, "delay": "1m10s" },
                    ] },
                "conditions": [{
                    "type": "ScalingLimited", "status": "True", "reason": "MaxReplicas", "message": "12 pods at most",
                    "lastTransitionTime": "2026-11-01T00:00:00Z",
                }],
            },
        });
        change(&mut document);
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_decision_is_told_with_its_numbers_and_bounds() {
        let change = Change {
            at: Timestamp::from_second(0).unwrap(),
            note: "from 2 to 6: much waits".to_owned(),
        };
        let text = text(
            &consumer(|_| {}),
            Some(&[change]),
            Timestamp::from_second(60).unwrap(),
        );
        for words in [
            "orders in shop: 6 pods wanted",
            "no record waits longer than 30s",
            "12,345 records wait",
            "2,000/s",
            "ScalingLimited True (MaxReplicas): 12 pods at most",
            "60s ago: from 2 to 6: much waits",
            "next reading of offsets",
            "6 pods  1,500 pod-seconds  a record waits 12s at most",
            "5 pods  9,100 pod-seconds  a record waits 1m10s at most",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let line = text
            .lines()
            .find(|line| line.contains("a pod does"))
            .unwrap();
        assert!(line.ends_with(UNKNOWN), "{line}");
    }

    #[test]
    fn when_it_may_act_follows_from_what_holds_it() {
        let now: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let of = |change: fn(&mut Value)| next(&consumer(change), now);
        assert!(
            of(|d| d["spec"]["paused"] = json!(true)).contains("drover resume orders -n shop ends")
        );
        assert!(of(|d| d["spec"]["scaling"]["mode"] = json!("Manual")).contains("spec.replicas"));
        assert!(of(|d| d["spec"]["scaling"]["mode"] = json!("Recommend")).contains("never"));
        let unreachable = |d: &mut Value| {
            d["status"]["conditions"][0]["type"] = json!("KafkaReachable");
            d["status"]["conditions"][0]["status"] = json!("False");
        };
        assert!(of(unreachable).contains("when Kafka answers"));
        let unknown = |d: &mut Value| {
            d["status"]["conditions"][0]["type"] = json!("ScalingActive");
            d["status"]["conditions"][0]["status"] = json!("False");
            d["status"]["conditions"][0]["message"] =
                json!("the lag of 1 of 12 partitions is unknown");
        };
        assert!(of(unknown).contains("when this is over: the lag of 1 of 12"));
    }

    #[test]
    fn a_wait_is_told_with_its_end_and_its_reason() {
        let now: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let told = |at: &str, progressing: bool| {
            let waits = consumer(|document| {
                document["status"]["scaling"]["nextAt"] = json!(at);
                document["status"]["scaling"]["reasons"] = json!(["lowering to 3 waits"]);
                if progressing {
                    document["status"]["conditions"][0]["type"] = json!("Progressing");
                    document["status"]["conditions"][0]["message"] = json!("1 of 2 pods is ready");
                }
            });
            next(&waits, now)
        };
        assert_eq!(
            told("2026-11-01T00:09:40Z", false),
            "in 9m (at 2026-11-01T00:09:40Z) if what it sees stays as it is, or at once if the promise is in danger: lowering to 3 waits"
        );
        assert_eq!(
            told("2026-11-01T00:00:40Z", true),
            "when this is over, about 40s from now, or at once if the promise is in danger: 1 of 2 pods is ready"
        );
        // It was written with other news, and has passed since.
        assert!(told("2026-10-31T23:00:00Z", false).contains("next reading"));
    }

    #[test]
    fn of_one_that_cannot_be_read_that_is_said_and_nothing_that_would_follow_from_its_spec() {
        let unreadable = consumer(|document| {
            document["status"] = json!({ "conditions": [{
                "type": "Ready", "status": "False", "reason": "Unreadable",
                "message": "the resource cannot be read: spec.template is wrong; its children are left as they were",
                "lastTransitionTime": "2026-11-01T00:00:00Z",
            }] });
        });
        assert_eq!(
            text(&unreadable, Some(&[]), Timestamp::UNIX_EPOCH),
            "orders in shop: the resource cannot be read: spec.template is wrong; its children are left as they were\n"
        );
        assert_eq!(
            next(&unreadable, Timestamp::UNIX_EPOCH),
            "when its spec can be read again"
        );
    }
}
