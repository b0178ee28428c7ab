//! What a resource refers to: what is looked up, and what follows if it is not there.

use super::*;

#[test]
fn everything_to_look_up_is_listed() {
    let pod = json!({
        "initContainers": [{ "name": "i", "image": "i", "envFrom": [{ "secretRef": { "name": "s1" } }, { "configMapRef": { "name": "c1" } }] }],
        "containers": [{ "name": "a", "image": "a", "env": [
            { "name": "A", "valueFrom": { "secretKeyRef": { "name": "s2", "key": "k" } } },
            { "name": "B", "valueFrom": { "configMapKeyRef": { "name": "c2", "key": "k", "optional": true } } },
        ] }],
        "volumes": [
            { "name": "s", "secret": { "secretName": "s3" } },
            { "name": "c", "configMap": { "name": "c3" } },
            { "name": "p", "projected": { "sources": [{ "secret": { "name": "s4" } }, { "configMap": { "name": "c4" } }] } },
        ],
    });
    let document = with(http_url(), "/spec/template/spec", pod);
    let document = with(
        document,
        "/spec/delivery/deadLetter/topic",
        json!("user_events.dlq"),
    );
    let wanted = references(&typed(&document));
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(list(&wanted.secrets), "s1 s2 s3 s4");
    assert_eq!(list(&wanted.config_maps), "c1 c2 c3 c4");
    assert_eq!(list(&wanted.topics), "user_events user_events.dlq");
    // What the worker itself needs is among them.
    assert_eq!(
        list(&references(&typed(&http_port())).secrets),
        "orders orders-store postgres-ca rails-encryption rails-lookups"
    );
}

fn looked_up(secret: Known<Contents>) -> References {
    References {
        secrets: [("orders".to_owned(), secret)].into(),
        ..References::default()
    }
}

#[test]
fn what_is_missing_in_the_cluster_may_heal() {
    let missing_key: Known<Contents> = Known::Found(Contents::of([("other", &b"x"[..])]));
    let mut topics = References::default();
    topics
        .topics
        .insert("orders.dlq".to_owned(), Known::Missing);
    topics.topics.insert("orders".to_owned(), Known::Unknown);
    let key = "spec.template.spec.containers[1].env[0].valueFrom.secretKeyRef";
    let password = "spec.idempotency.store.postgres.passwordSecret";
    let store = |found| References {
        secrets: [("orders-store".to_owned(), found)].into(),
        ..References::default()
    };
    for (found, reason, field) in [
        (store(Known::Missing), reason::SECRET_NOT_FOUND, password),
        (store(missing_key.clone()), reason::KEY_NOT_FOUND, password),
        (looked_up(Known::Missing), reason::SECRET_NOT_FOUND, key),
        (looked_up(missing_key), reason::KEY_NOT_FOUND, key),
        (
            topics,
            reason::TOPIC_NOT_FOUND,
            "spec.delivery.deadLetter.topic",
        ),
    ] {
        let problems = validate(&typed(&http_port()), &found).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(
            (problems[0].reason, problems[0].field.as_str()),
            (reason, field)
        );
        assert!(problems[0].may_heal && problems[0].message.contains(field));
        // Only what the template names can be.
        assert_eq!(
            problems[0].message.contains("mark it optional"),
            field == key,
            "{}",
            problems[0].message
        );
    }
}

#[test]
fn what_is_optional_or_unknown_is_no_problem() {
    let optional = with(
        http_port(),
        "/spec/template/spec/containers/1/env/0/valueFrom/secretKeyRef/optional",
        json!(true),
    );
    assert!(validate(&typed(&optional), &looked_up(Known::Missing)).is_ok());
    assert!(validate(&typed(&http_port()), &looked_up(Known::Unknown)).is_ok());
}

#[test]
fn a_changed_secret_changes_the_pod_and_nothing_else_does() {
    let pod = |value: &[u8]| {
        let found = looked_up(Known::Found(Contents::of([("key", value)])));
        let fleet = validate(&typed(&http_port()), &found).unwrap();
        build(&fleet, &settings()).deployment.spec.template
    };
    assert_eq!(pod(b"one"), pod(b"one"));
    assert_ne!(pod(b"one"), pod(b"two"));
    let with_password = |value: &[u8]| {
        let contents = Contents::of([("password", value)]);
        let found = References {
            secrets: [("orders-store".to_owned(), Known::Found(contents))].into(),
            ..References::default()
        };
        let fleet = validate(&typed(&http_port()), &found).unwrap();
        build(&fleet, &settings()).deployment.spec.template
    };
    assert_ne!(with_password(b"one"), with_password(b"two"));
}

/// One Secret is shared by many fleets, each of which needs some of its keys.
#[test]
fn only_keys_that_are_named_change_the_pod() {
    let key = json!({ "name": "A", "valueFrom": { "secretKeyRef": { "name": "shared", "key": "ours" } } });
    let items = json!([{ "key": "ours", "path": "ours" }]);
    let env = |env: Value| json!({ "containers": [{ "name": "worker", "env": [env] }] });
    let volume = |volume: Value| {
        json!({ "containers": [{ "name": "worker" }],
            "volumes": [{ "name": "v", "secret": volume }] })
    };
    let projected = |items: Value| {
        let source = json!({ "secret": { "name": "shared", "items": items } });
        json!({ "containers": [{ "name": "worker" }],
            "volumes": [{ "name": "v", "projected": { "sources": [source] } }] })
    };
    let all = json!({ "containers": [{ "name": "worker", "envFrom": [{ "secretRef": { "name": "shared" } }] }] });
    for (pod, takes_all) in [
        (env(key), false),
        (
            volume(json!({ "secretName": "shared", "items": items })),
            false,
        ),
        (projected(items), false),
        (volume(json!({ "secretName": "shared" })), true),
        (volume(json!({ "secretName": "shared", "items": [] })), true),
        (projected(Value::Null), true),
        (all, true),
    ] {
        let document = with(http_url(), "/spec/template/spec", pod.clone());
        let template = |ours: &[u8], others: &[u8]| {
            let contents = Contents::of([("ours", ours), ("others", others)]);
            let found = References {
                secrets: [("shared".to_owned(), Known::Found(contents))].into(),
                ..References::default()
            };
            let fleet = validate(&typed(&document), &found).unwrap();
            build(&fleet, &settings()).deployment.spec.template
        };
        let before = template(b"one", b"one");
        assert_ne!(template(b"two", b"one"), before, "{pod}");
        assert_eq!(template(b"one", b"two") != before, takes_all, "{pod}");
    }
}
