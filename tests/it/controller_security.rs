//! What a resource may ask of the controller, and what it may not: `docs/security.md`.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use drover::fleet::{References, validate};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::Api;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::consumers::{all, http_url, typed, with};
use crate::support::control_plane::control_plane;
use crate::support::faulty_api::FaultyApi;
use crate::support::operator::Operator;

async fn restrict(client: &kube::Client, namespace: &str) {
    let label =
        json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    let namespaces = Api::<Namespace>::all(client.clone());
    let patch = Patch::Merge(label);
    namespaces
        .patch(namespace, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// What the level `restricted` asks of a container that is the user's.
fn with_restricted_containers(mut document: Value) -> Value {
    let restricted = json!({
        "runAsNonRoot": true, "runAsUser": 1000, "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" },
    });
    // A command runs in the user's own image, whose user Drover cannot know.
    let theirs_too = document.pointer("/spec/handler/exec").is_some();
    for list in ["containers", "initContainers"] {
        let containers = document.pointer_mut(&format!("/spec/template/spec/{list}"));
        for container in containers
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if container["name"] != "worker" || theirs_too {
                container["securityContext"] = restricted.clone();
            }
        }
    }
    document
}

/// What Drover adds to a pod breaks no rule, whatever the handler.
#[tokio::test]
async fn pods_of_every_kind_of_handler_are_admitted_where_pod_security_is_restricted() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    restrict(&client, &namespace).await;
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for ((name, document), user_by_platform) in all()
        .into_iter()
        .flat_map(|fleet| [(fleet.clone(), false), (fleet, true)])
    {
        let consumer = typed(&with_restricted_containers(document));
        let fleet = validate(&consumer, &References::default()).unwrap();
        let settings = drover::resources::Settings {
            worker_image: "drover.local/worker:1".to_owned(),
            image_pull_policy: None,
            user_by_platform,
        };
        let template = drover::resources::build(&fleet, &settings)
            .deployment
            .spec
            .template;
        let pod = Pod {
            metadata: ObjectMeta {
                name: Some(name.replace('_', "-")),
                ..ObjectMeta::default()
            },
            spec: template.spec,
            ..Pod::default()
        };
        let admitted = pods.create(&dry, &pod).await;
        assert!(admitted.is_ok(), "{name}: {}", admitted.unwrap_err());
    }
}

/// The rights of the controller, which makes the Deployment, do not help a template past the policy
/// that holds for pods of the namespace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_namespaces_policy_forbids_gets_no_pod_and_is_said_in_status() {
    let operator = Operator::start(&["events"]).await;
    restrict(&operator.client, &operator.namespace).await;
    let worker = |context: Value| json!([{ "name": "worker", "securityContext": context }]);
    let forbidden = [
        (
            "host-path",
            "hostPath",
            json!({
                "containers": worker(json!({})),
                "volumes": [{ "name": "host", "hostPath": { "path": "/" } }],
            }),
        ),
        (
            "host-network",
            "host namespaces",
            json!({ "hostNetwork": true, "containers": worker(json!({})) }),
        ),
        (
            "privileged",
            "privileged",
            json!({ "containers": worker(json!({
            "privileged": true, "allowPrivilegeEscalation": true })) }),
        ),
        (
            "root",
            "runAsUser=0",
            json!({ "containers": worker(json!({ "runAsUser": 0 })) }),
        ),
    ];
    for (name, _, pod) in &forbidden {
        let spec = with(operator.spec("events"), "/template", json!({ "spec": pod }));
        let spec = with(spec, "/scaling/minReplicas", json!(1));
        operator.create(name, spec).await;
    }
    for (name, named, _) in &forbidden {
        let ready = operator
            .condition(name, "Ready", "False", "PodSecurityViolation")
            .await;
        assert!(ready.message.contains(named), "{name}: {}", ready.message);
    }
    let pods = operator
        .api::<Pod>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert!(pods.items.is_empty(), "{:#?}", pods.items);
}

/// The controller may read Secrets of all namespaces; a resource has it read none but its own
/// namespace's, each by its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_read_by_name_and_only_from_the_resources_own_namespace() {
    let mut operator = Operator::prepare(&["events"]).await;
    let elsewhere = operator.cluster().namespace(&operator.client).await;
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": "keys" }, "stringData": { "k": "v" },
    }))
    .unwrap();
    let secrets = Api::<Secret>::namespaced(operator.client.clone(), &elsewhere);
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();

    let api = FaultyApi::start(operator.cluster()).await;
    let config = api.before(operator.config().await);
    operator.run_with(config);
    let keys = json!([{ "name": "worker", "env": [{ "name": "KEY", "valueFrom": {
        "secretKeyRef": { "name": "keys", "key": "k" } } }] }]);
    let spec = with(
        operator.spec("events"),
        "/template",
        json!({ "spec": { "containers": keys } }),
    );
    operator.create("fleet", spec.clone()).await;
    operator
        .condition("fleet", "Ready", "False", "SecretNotFound")
        .await;
    // Nor does a name lead out of the namespace.
    for (number, name) in ["../../x/secrets/keys", "keys?watch=true", "x/../keys"]
        .iter()
        .enumerate()
    {
        let spec = with(
            spec.clone(),
            "/template/spec/containers/0/env/0/valueFrom/secretKeyRef/name",
            json!(name),
        );
        operator.create(&format!("odd-{number}"), spec).await;
    }
    for number in 0..3 {
        let name = format!("odd-{number}");
        operator
            .object(
                &name,
                "the odd one to be told",
                |consumer: &drover::api::KafkaConsumer| {
                    let told = consumer
                        .status
                        .as_ref()
                        .map(|status| status.conditions.as_slice());
                    told.unwrap_or_default()
                        .iter()
                        .any(|told| told.type_ == "Ready" && told.status == "False")
                },
            )
            .await;
    }
    operator.rest(std::time::Duration::from_secs(3)).await;

    let asked: Vec<_> = api
        .calls()
        .into_iter()
        .filter(|call| call.path.contains("/secrets"))
        .collect();
    assert!(!asked.is_empty());
    let own = format!("/api/v1/namespaces/{}/secrets/", operator.namespace);
    for call in asked {
        let name = call.path.strip_prefix(&own);
        let plain = name.is_some_and(|name| !name.is_empty() && !name.contains('/'));
        assert!(plain && !call.writes() && !call.watches(), "{call:?}");
    }
}

/// The controller makes connections with a user's properties; none may lead it to a file, a program or
/// a place of the user's choice.
#[test]
fn no_property_leads_the_controller_to_a_file_a_program_or_another_server() {
    for name in [
        "https.ca.location",
        "metadata.broker.list",
        "plugin.library.paths",
        "sasl.kerberos.keytab",
        "sasl.kerberos.kinit.cmd",
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.assertion.jwt.template.file",
        "sasl.oauthbearer.assertion.private.key.file",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.token.endpoint.url",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.crl.location",
        "ssl.engine.location",
        "ssl.key.location",
        "ssl.keystore.location",
        "ssl.providers",
    ] {
        for spelled in [name.to_owned(), format!(" {name}"), name.to_uppercase()] {
            let properties =
                json!({ spelled: "/var/run/secrets/kubernetes.io/serviceaccount/token" });
            let document = with(http_url(), "/spec/kafka/properties", properties);
            let problems = validate(&typed(&document), &References::default()).unwrap_err();
            // The value is not repeated: it may be a secret.
            assert!(
                problems
                    .iter()
                    .all(|problem| !problem.message.contains("serviceaccount")),
                "{name}"
            );
        }
    }
}

/// Whoever takes the controller over has what these say, and nothing that leads to more.
#[test]
fn the_controllers_rights_end_where_its_work_does() {
    let manifests = include_str!("../../deploy/controller.yaml");
    let mut rules = Vec::new();
    for document in manifests.split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        rules.extend(object["rules"].as_array().cloned().unwrap_or_default());
    }
    let list = |rule: &Value, key: &str| -> Vec<String> {
        serde_json::from_value(rule[key].clone()).unwrap()
    };
    assert!(rules.len() > 8, "{rules:#?}");
    for rule in &rules {
        let (groups, resources, verbs) = (
            list(rule, "apiGroups"),
            list(rule, "resources"),
            list(rule, "verbs"),
        );
        let never = [
            "*",
            "impersonate",
            "escalate",
            "bind",
            "approve",
            "sign",
            "delete",
            "deletecollection",
        ];
        for word in groups.iter().chain(&resources).chain(&verbs) {
            assert!(!never.contains(&word.as_str()), "{rule}");
        }
        for resource in &resources {
            assert!(
                ![
                    "nodes",
                    "roles",
                    "clusterroles",
                    "pods/exec",
                    "serviceaccounts/token"
                ]
                .contains(&resource.as_str()),
                "{rule}"
            );
            match resource.as_str() {
                "secrets" | "configmaps" => assert_eq!(verbs, ["get"], "{rule}"),
                "leases" if verbs == ["create"] => (),
                "leases" => assert_eq!(rule["resourceNames"], json!(["drover-controller"])),
                "kafkaconsumers/scale" => assert_eq!(verbs, ["patch"], "{rule}"),
                "kafkaconsumers" | "deadletterreplays" => {
                    assert_eq!(verbs, ["list", "watch"], "{rule}")
                }
                // Made, and never changed: what a Job's pods are is settled then.
                "jobs" => assert_eq!(verbs, ["get", "list", "watch", "create"], "{rule}"),
                "pods" => assert!(!verbs.contains(&"create".to_owned()), "{rule}"),
                _ => {}
            }
        }
    }
}
