//! From a ScaledObject.

use serde_json::{Value, json};

use super::*;

fn of(spec: &str, triggers: &str, wishes: &Wishes) -> Outcome {
    converted(&[scaled(spec, triggers), deployment("", "")], wishes)
}

fn wished() -> Wishes {
    Wishes::default()
}

#[test]
fn it_is_written_as_people_write_it() {
    let team = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: orders
  namespace: shop
  labels: { team: checkout, app.kubernetes.io/managed-by: Helm }
  annotations: { deployment.kubernetes.io/revision: '7' }
spec:
  replicas: 3
  selector: { matchLabels: { app: orders } }
  strategy: { type: RollingUpdate, rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  template:
    metadata:
      creationTimestamp: null
      labels: { app: orders }
      annotations: { prometheus.io/scrape: 'true' }
    spec:
      serviceAccountName: orders
      terminationGracePeriodSeconds: 60
      dnsPolicy: ClusterFirst
      initContainers:
        - { name: migrate, image: 'shop/migrate:7' }
      containers:
        - name: consumer
          image: shop/orders:7
          command: [bundle, exec, karafka, server]
          env:
            - { name: RAILS_ENV, value: production }
          resources: { requests: { cpu: 500m } }
          volumeMounts: [{ name: config, mountPath: /config }]
        - { name: metrics, image: 'shop/metrics:1' }
      volumes:
        - { name: config, configMap: { name: orders } }
";
    let triggers = format!(
        "{}, {}",
        kafka("lagThreshold: '50'"),
        "{ type: cron, metadata: { timezone: Europe/Berlin, start: '0 8 * * 1-5', end: '0 18 * * 1-5', desiredReplicas: '6' } }"
    );
    let scaled = scaled(
        "pollingInterval: 15, cooldownPeriod: 120, maxReplicaCount: 12,",
        &triggers,
    );
    let outcome = converted(&[scaled, team.to_owned()], &wished());
    spec(&outcome);
    let text = written(&outcome.consumers, Output::Yaml).unwrap();
    insta::assert_snapshot!("keda", text);
    insta::assert_snapshot!("keda_notes", notes(&outcome).join("\n"));
}

#[test]
fn what_a_scaled_object_says_stands_where_drover_has_it() {
    for (fields, metadata, pointer, value) in [
        ("", "", "/kafka/bootstrapServers", json!("kafka:9092")),
        ("", "", "/groupId", json!("shop-orders")),
        ("", "", "/startAt", json!("Earliest")),
        ("", "", "/handler", json!({ "consumer": {} })),
        ("", "", "/scaling/minReplicas", json!(0)),
        ("", "", "/scaling/maxReplicas", Value::Null),
        ("", "", "/scaling/maxDelay", json!("60s")),
        ("", "", "/template/metadata/labels/app", json!("orders")),
        (
            "minReplicaCount: 2, maxReplicaCount: 8,",
            "",
            "/scaling/minReplicas",
            json!(2),
        ),
        (
            "minReplicaCount: 2, maxReplicaCount: 8,",
            "",
            "/scaling/maxReplicas",
            json!(8),
        ),
        (
            "cooldownPeriod: 45,",
            "",
            "/scaling/idleTimeToZero",
            json!("45s"),
        ),
        (
            "cooldownPeriod: 0,",
            "",
            "/scaling/idleTimeToZero",
            json!("1s"),
        ),
        (
            "cooldownPeriod: 45, minReplicaCount: 1,",
            "",
            "/scaling/idleTimeToZero",
            Value::Null,
        ),
        (
            "",
            "topic: 'orders, refunds'",
            "/topics",
            json!(["orders", "refunds"]),
        ),
    ] {
        let trigger = match metadata {
            "" => kafka(""),
            metadata => kafka("").replace("topic: orders,", &format!("{metadata},")),
        };
        let outcome = of(fields, &trigger, &wished());
        let found = spec(&outcome).pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(*found, value, "{fields} {pointer}");
    }
}

#[test]
fn whatever_cannot_be_carried_is_told_with_what_to_do() {
    let outcome = of(
        "fallback: { failureThreshold: 3, replicas: 6 }, idleReplicaCount: 0, minReplicaCount: 1, cooldownPeriod: 9,
         advanced: { horizontalPodAutoscalerConfig: { behavior: {} }, restoreToOriginalReplicaCount: true }, novelty: 1,",
        &format!(
            "{}, {{ type: cpu, metricType: Utilization, metadata: {{ value: '80' }} }}",
            kafka("lagThreshold: '50', activationLagThreshold: '3', allowIdleConsumers: true, scaleToZeroOnInvalidOffset: 'true', excludePersistentLag: 'true', partitionLimitation: '1-3', version: 2.5.0, limitToPartitionsWithLag: false, odd: 1")
        ),
        &wished(),
    );
    spec(&outcome);
    for field in [
        "spec.fallback",
        "spec.idleReplicaCount",
        "spec.cooldownPeriod",
        "spec.advanced.horizontalPodAutoscalerConfig",
        "spec.advanced.restoreToOriginalReplicaCount",
        "spec.novelty",
        "spec.triggers[1]",
        "spec.triggers[0].metadata.lagThreshold",
        "spec.triggers[0].metadata.activationLagThreshold",
        "spec.triggers[0].metadata.allowIdleConsumers",
        "spec.triggers[0].metadata.scaleToZeroOnInvalidOffset",
        "spec.triggers[0].metadata.excludePersistentLag",
        "spec.triggers[0].metadata.partitionLimitation",
        "spec.triggers[0].metadata.version",
        "spec.triggers[0].metadata.odd",
    ] {
        told(&outcome, &format!("NotCarried {field}: "));
    }
    // What says no more than the default does is nothing to tell.
    assert!(
        !notes(&outcome)
            .join("\n")
            .contains("limitToPartitionsWithLag")
    );
}

#[test]
fn triggers_of_one_group_become_one_consumer_of_all_their_topics() {
    let refunds = kafka("").replace("topic: orders", "topic: refunds");
    let outcome = of("", &format!("{}, {refunds}", kafka("")), &wished());
    assert_eq!(spec(&outcome)["topics"], json!(["orders", "refunds"]));
    let apache = kafka("").replace("type: kafka", "type: apache-kafka");
    assert_eq!(spec(&of("", &apache, &wished()))["groupId"], "shop-orders");
}

#[test]
fn what_is_no_one_consumer_is_refused() {
    let other = |from: &str, to: &str| format!("{}, {}", kafka(""), kafka("").replace(from, to));
    let cpu = "{ type: cpu, metadata: { value: '80' } }".to_owned();
    for (triggers, why) in [
        (
            other("shop-orders", "shop-refunds"),
            "two cannot share a Deployment",
        ),
        (other("kafka:9092", "kafka-2:9092"), "has one Kafka"),
        (cpu, "no trigger of type kafka"),
        (kafka("").replace("topic: orders,", ""), "give --topic"),
        (
            kafka("").replace("consumerGroup: shop-orders,", ""),
            "give --group",
        ),
        (
            kafka("").replace("bootstrapServers: 'kafka:9092',", ""),
            "give --bootstrap",
        ),
        (
            kafka("bootstrapServersFromEnv: BROKERS"),
            "BROKERS, which the container's environment does not have",
        ),
    ] {
        refused(&of("", &triggers, &wished()), why);
    }
    refused(
        &converted(&[scaled("", &kafka(""))], &wished()),
        "Deployment orders, which it scales, is not in the input",
    );
    let set =
        scaled("", &kafka("")).replace("{ name: orders }", "{ kind: StatefulSet, name: orders }");
    refused(
        &converted(&[set, deployment("", "")], &wished()),
        "it scales a StatefulSet",
    );
    let none = scaled("", "").replace("scaleTargetRef", "scaleTarget");
    refused(
        &converted(&[none], &wished()),
        "missing field `scaleTargetRef`",
    );
}

#[test]
fn of_a_scaled_job_of_kafka_it_is_said_why_nothing_is_written_and_what_to_do() {
    let job = |triggers: &str| {
        let text = "
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: { name: orders, namespace: shop }
spec: { jobTargetRef: {}, triggers: [TRIGGERS] }
";
        converted(&[text.replace("TRIGGERS", triggers)], &wished())
    };
    refused(&job(&kafka("")), "pods of a KafkaConsumer stay");
    let other = job("{ type: cpu, metadata: {} }");
    assert_eq!(other.passed_over["ScaledJob"], 1);
}

#[test]
fn flags_and_the_programs_environment_say_what_a_trigger_does_not() {
    let silent = "{ type: kafka, metadata: { bootstrapServersFromEnv: BROKERS } }";
    let env = "env: [{ name: BROKERS, value: 'kafka:9092' }, { name: KAFKA_TOPIC, value: orders }]";
    let texts = [scaled("", silent), deployment("", env)];
    let wishes = Wishes {
        group: Some("shop-orders".to_owned()),
        ..Wishes::default()
    };
    let outcome = converted(&texts, &wishes);
    let spec = spec(&outcome);
    let found = [
        &spec["kafka"]["bootstrapServers"],
        &spec["topics"],
        &spec["groupId"],
    ];
    assert_eq!(
        found,
        [
            &json!("kafka:9092"),
            &json!(["orders"]),
            &json!("shop-orders")
        ]
    );
    told(
        &outcome,
        "Assumed spec.triggers[0].metadata: offsetResetPolicy is not said",
    );
}

#[test]
fn a_flag_changes_nothing_that_a_trigger_says() {
    let wishes = Wishes {
        topics: vec!["else".to_owned()],
        ..Wishes::default()
    };
    assert_eq!(
        spec(&of("", &kafka(""), &wishes))["topics"],
        json!(["orders"])
    );
}

#[test]
fn a_schedule_is_what_cron_says_as_far_as_it_can() {
    let cron = |end: &str, pods: &str| {
        format!(
            "{}, {{ type: cron, metadata: {{ timezone: UTC, start: '0 8 * * *', end: '{end}', desiredReplicas: {pods} }} }}",
            kafka("")
        )
    };
    let peak = |pods: u32| json!([{ "from": "08:00", "to": "18:00", "timeZone": "UTC", "minReplicas": pods }]);
    let bounded = "maxReplicaCount: 8,";
    for (end, pods, schedule, note) in [
        ("0 18 * * *", "6", peak(6), None),
        (
            "0 18 * * *",
            "20",
            peak(8),
            Some("Assumed spec.triggers[1].metadata.desiredReplicas"),
        ),
        (
            "0 18 * * *",
            "0",
            Value::Null,
            Some("NotCarried spec.triggers[1].metadata.desiredReplicas"),
        ),
        (
            "*/5 18 * * *",
            "6",
            Value::Null,
            Some(
                "NotCarried spec.triggers[1].metadata: no entry of spec.scaling.schedule says this",
            ),
        ),
    ] {
        let outcome = of(bounded, &cron(end, pods), &wished());
        assert_eq!(spec(&outcome)["scaling"]["schedule"], schedule, "{end}");
        if let Some(note) = note {
            told(&outcome, note);
        }
    }
}

#[test]
fn recommending_begins_with_pods_that_consume() {
    let wishes = Wishes {
        recommend: true,
        ..Wishes::default()
    };
    for (fields, replicas, least) in [
        ("cooldownPeriod: 60,", "", 1),
        ("minReplicaCount: 2,", "", 2),
        ("", "replicas: 5,", 5),
        ("maxReplicaCount: 4,", "replicas: 5,", 4),
    ] {
        let pods = deployment("", "").replace(
            "spec:\n  selector",
            &format!("spec:\n  {}\n  selector", replicas.trim_end_matches(',')),
        );
        let outcome = converted(&[scaled(fields, &kafka("")), pods], &wishes);
        let scaling = &spec(&outcome)["scaling"];
        assert_eq!(scaling["mode"], "Recommend");
        assert_eq!(scaling["minReplicas"], least, "{fields} {replicas}");
        assert_eq!(scaling["idleTimeToZero"], Value::Null);
    }
}
