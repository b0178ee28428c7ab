//! What acts on the pods of a Deployment that is converted, and what of it itself a fleet does not have.

use super::*;

/// With a target, and further metadata.
fn autoscaler(target: &str, more: &str) -> String {
    format!(
        "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{ name: by-cpu, namespace: shop, {more} }}
spec: {{ minReplicas: 2, maxReplicas: 9, scaleTargetRef: {target} }}
"
    )
}

fn budget(namespace: &str, selector: &str) -> String {
    format!(
        "
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{ name: half, namespace: {namespace} }}
spec: {{ minAvailable: 50%, {selector} }}
"
    )
}

const ORDERS: &str = "{ apiVersion: apps/v1, kind: Deployment, name: orders }";

fn beside(texts: &[String]) -> Outcome {
    let scaled = [scaled("", &kafka("")), deployment("", "")];
    converted(&[&scaled, texts].concat(), &Wishes::default())
}

fn head(outcome: &Outcome) -> String {
    outcome.consumers[0].head.join("\n")
}

#[test]
fn a_second_autoscaler_is_told_with_its_bounds_and_must_go() {
    let outcome = beside(&[autoscaler(ORDERS, "")]);
    spec(&outcome);
    told(&outcome, "LeftBehind : it sizes Deployment orders, and");
    let said = notes(&outcome).join("\n");
    for words in [
        "delete it before",
        "minReplicas 2 and maxReplicas 9 are not carried",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(
        head(&outcome).contains("HorizontalPodAutoscaler shop/by-cpu must go, too"),
        "{}",
        head(&outcome)
    );
    assert!(outcome.passed_over.is_empty());
}

#[test]
fn the_autoscaler_that_keda_made_goes_with_its_scaled_object() {
    let owner = "ownerReferences: [{ apiVersion: keda.sh/v1alpha1, kind: ScaledObject, name: orders-scaler, uid: x }]";
    let outcome = beside(&[autoscaler(ORDERS, owner)]);
    told(
        &outcome,
        "LeftBehind : KEDA made it for ScaledObject orders-scaler",
    );
    assert!(!head(&outcome).contains("must go"), "{}", head(&outcome));
}

#[test]
fn a_second_budget_is_told_and_must_go() {
    for selector in [
        "selector: { matchLabels: { app: orders } }",
        "selector: { matchExpressions: [{ key: app, operator: Exists }] }",
        "selector: {}",
    ] {
        let outcome = beside(&[budget("shop", selector)]);
        spec(&outcome);
        told(
            &outcome,
            "LeftBehind : it selects the pods of KafkaConsumer orders, too, ",
        );
        let said = notes(&outcome).join("\n");
        for words in [
            "cannot be drained; delete it, or, ",
            "key drover.dev/consumer",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(
            head(&outcome).contains("PodDisruptionBudget shop/half must go, too"),
            "{selector}"
        );
        assert!(outcome.passed_over.is_empty());
    }
}

#[test]
fn what_acts_on_other_pods_is_passed_over() {
    let outcome = beside(&[
        autoscaler("{ kind: Deployment, name: web }", ""),
        autoscaler("{ kind: KafkaConsumer, name: orders }", ""),
        budget("shop", "selector: { matchLabels: { app: web } }"),
        budget("other", "selector: { matchLabels: { app: orders } }"),
        budget("shop", "maxUnavailable: 1"),
    ]);
    assert!(
        !notes(&outcome).join("\n").contains("LeftBehind"),
        "{:#?}",
        notes(&outcome)
    );
    assert_eq!(
        outcome.passed_over,
        [
            ("HorizontalPodAutoscaler".to_owned(), 2),
            ("PodDisruptionBudget".to_owned(), 3)
        ]
        .into()
    );
}

#[test]
fn the_account_that_pods_had_without_naming_it_is_told() {
    let said = "NotCarried spec.template.spec.serviceAccountName: none is named, so these pods have the account default";
    told(&beside(&[]), said);
    let texts = [
        scaled("", &kafka("")),
        deployment("serviceAccountName: default,", ""),
    ];
    let outcome = converted(&texts, &Wishes::default());
    assert!(
        !notes(&outcome).join("\n").contains("serviceAccountName"),
        "{:#?}",
        notes(&outcome)
    );
    assert_eq!(
        spec(&outcome)["template"]["spec"]["serviceAccountName"],
        "default"
    );
}

#[test]
fn what_only_a_deployment_has_is_told_where_it_was_chosen() {
    let with = |annotations: &str, fields: &str| {
        let text = deployment("serviceAccountName: orders,", "");
        let text = text.replace(
            "namespace: shop }",
            &format!("namespace: shop, annotations: {{ {annotations} }} }}"),
        );
        text.replace("spec:\n", &format!("spec:\n{fields}"))
    };
    let chosen = with(
        "reloader.stakater.com/auto: 'true', meta.helm.sh/release-name: shop",
        "  paused: true\n  progressDeadlineSeconds: 60\n  minReadySeconds: 5\n  strategy: { type: Recreate }\n",
    );
    let outcome = converted(&[scaled("", &kafka("")), chosen], &Wishes::default());
    spec(&outcome);
    for field in [
        "metadata.annotations[reloader.stakater.com/auto]",
        "spec.paused",
        "spec.progressDeadlineSeconds",
        "spec.minReadySeconds",
        "spec.strategy",
    ] {
        told(&outcome, &format!("NotCarried {field}: "));
    }
    assert!(!notes(&outcome).join("\n").contains("meta.helm.sh"));
    // As an API server writes it.
    let plain = with(
        "deployment.kubernetes.io/revision: '3'",
        "  paused: false\n  progressDeadlineSeconds: 600\n  revisionHistoryLimit: 10\n",
    );
    let outcome = converted(&[scaled("", &kafka("")), plain], &Wishes::default());
    spec(&outcome);
    for field in ["annotations", "paused", "progressDeadlineSeconds"] {
        assert!(!notes(&outcome).join("\n").contains(field), "{field}");
    }
}
