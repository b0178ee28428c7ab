//! The children of three fleets, and the laws that hold for each of them.

use drover::api::names::SECRETS_VOLUME;
use drover::fleet::{Fleet, References, validate};
use drover::resources::{Desired, Settings, build, selector, worker_config};
use drover::worker_config::{ENV_CONFIG, StoreKind, WorkerConfig};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, Namespace, Pod, PodSpec, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::consumers::{all, exec, http_port, http_url, own_consumer, typed, with};
use crate::support::control_plane::control_plane;

fn fleet(document: &Value) -> Fleet {
    validate(&typed(document), &References::default()).unwrap()
}

fn settings() -> Settings {
    Settings {
        worker_image: "drover.local/worker:dev".to_owned(),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        user_by_platform: false,
    }
}

fn children(document: &Value) -> Desired {
    build(&fleet(document), &settings())
}

fn pod(document: &Value) -> PodSpec {
    children(document).deployment.spec.template.spec.unwrap()
}

fn worker(document: &Value) -> Container {
    pod(document).containers.remove(0)
}

#[test]
fn the_children_of_each_kind_of_handler() {
    for (name, document) in all() {
        let desired = children(&document);
        let account = desired.service_account.as_ref();
        let account = account.map(|account| drover::yaml::to_string(account).unwrap());
        let text: Vec<String> = [
            account,
            Some(drover::yaml::to_string(&desired.pod_disruption_budget).unwrap()),
            Some(drover::yaml::to_string(&desired.deployment).unwrap()),
        ]
        .into_iter()
        .flatten()
        .collect();
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("children_{name}"), text.join("---\n"));
        });
    }
}

#[test]
fn every_child_is_named_selected_and_owned_alike() {
    for (_, document) in all() {
        let desired = children(&document);
        let account = desired.service_account.as_ref();
        let metas = [
            &desired.pod_disruption_budget.metadata,
            &desired.deployment.metadata,
        ];
        let metas = account.map(|it| &it.metadata).into_iter().chain(metas);
        let name = document["metadata"]["name"].as_str().unwrap();
        for meta in metas {
            assert_eq!(meta.name.as_deref(), Some(name));
            assert_eq!(meta.namespace.as_deref(), Some("shop"));
            let owner = &meta.owner_references.as_ref().unwrap()[0];
            assert_eq!(
                (owner.kind.as_str(), owner.uid.as_str()),
                ("KafkaConsumer", "5d1c8f0a")
            );
            assert_eq!(
                (owner.controller, owner.block_owner_deletion),
                (Some(true), Some(true))
            );
        }
        let spec = &desired.deployment.spec;
        assert_eq!(spec.selector.match_labels, Some(selector(name)));
        let labels = spec
            .template
            .metadata
            .as_ref()
            .unwrap()
            .labels
            .as_ref()
            .unwrap();
        assert!(
            selector(name)
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        );
    }
}

/// As `helm create` has it, where account and Deployment have the chart's name.
#[test]
fn a_template_that_names_an_account_gets_none_be_it_of_the_fleets_own_name() {
    for field in ["serviceAccountName", "serviceAccount"] {
        for (_, document) in all() {
            let name = document["metadata"]["name"].clone();
            let document = with(document, &format!("/spec/template/spec/{field}"), name);
            let desired = children(&document);
            assert_eq!(desired.service_account, None);
            let pod = desired.deployment.spec.template.spec.unwrap();
            // Its token is what somebody names it for.
            assert_eq!(pod.automount_service_account_token, None);
        }
    }
    assert!(children(&http_url()).service_account.is_some());
}

#[test]
fn labels_of_the_template_do_not_hide_pods_from_drover() {
    let of_a_chart = json!({
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/name": "shop",
        "app.kubernetes.io/instance": "shop-production",
        "drover.dev/consumer": "another",
    });
    let labels = |document| {
        let document = with(
            document,
            "/spec/template/metadata/labels",
            of_a_chart.clone(),
        );
        let template = children(&document).deployment.spec.template;
        template.metadata.unwrap().labels.unwrap()
    };
    let instance = "shop-production".to_owned();
    for (document, name) in [
        (http_url(), "drover-worker"),
        (http_port(), "drover-worker"),
        // Nothing of Drover's looks for it by this one.
        (own_consumer(), "shop"),
    ] {
        let consumer = document["metadata"]["name"].as_str().unwrap().to_owned();
        let labels = labels(document);
        assert_eq!(labels["drover.dev/consumer"], consumer);
        assert_eq!(labels["app.kubernetes.io/managed-by"], "drover");
        assert_eq!(labels["app.kubernetes.io/name"], name);
        assert_eq!(labels["app.kubernetes.io/instance"], instance);
    }
}

#[test]
fn size_is_in_the_deployment_only_when_it_is_created() {
    let desired = children(&http_url());
    assert_eq!(desired.deployment.spec.replicas, None);
    assert_eq!(desired.deployment_for_create(7).spec.replicas, Some(7));
    let mut created = desired.deployment_for_create(7);
    created.spec.replicas = None;
    assert_eq!(created, desired.deployment);
}

#[test]
fn the_worker_reads_what_the_controller_has_written() {
    for (name, document) in all() {
        let wanted = worker_config(&fleet(&document));
        assert_eq!(told(&document), wanted, "{name}");
    }
    // A kubelet would put the pod's name for the one, and a single sign for the other.
    let properties = json!({ "client.rack": "$(POD_NAME) $$" });
    let document = with(http_url(), "/spec/kafka/properties", properties.clone());
    let read = told(&document).unwrap();
    assert_eq!(json!(read.properties), properties);
    let written = variable(&document).unwrap().value.unwrap();
    assert!(!written.contains('$'), "{written}");
}

/// The variable with the configuration; none in a pod of a consumer of the user's own.
fn variable(document: &Value) -> Option<EnvVar> {
    let containers = pod(document).containers.into_iter();
    let mut variables = containers.flat_map(|container| container.env.unwrap_or_default());
    variables.find(|variable| variable.name == ENV_CONFIG)
}

/// What the worker reads in it.
fn told(document: &Value) -> Option<WorkerConfig> {
    let text = variable(document)?.value.unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// What starts again is what was made, whatever has become of the fleet meanwhile.
#[test]
fn a_pod_needs_no_object_that_drover_changes() {
    for (name, document) in all() {
        let pod = json!(pod(&document)).to_string();
        assert!(!pod.contains("configMap"), "{name}: {pod}");
    }
}

#[test]
fn the_worker_finds_its_secrets_as_files_and_nowhere_else() {
    let desired = children(&http_port());
    let config = worker_config(&fleet(&http_port())).unwrap();
    let Some(StoreKind::Postgres(postgres)) = config.idempotency.map(|told| told.store) else {
        panic!("not the store that was asked for");
    };
    let told = [postgres.password_file, postgres.ca_file].map(Option::unwrap);

    let spec = desired.deployment.spec.template.spec.unwrap();
    let mounts = worker(&http_port()).volume_mounts.unwrap();
    let mount = mounts.iter().find(|m| m.name == SECRETS_VOLUME).unwrap();
    let volumes = spec.volumes.unwrap();
    let volume = volumes.iter().find(|v| v.name == SECRETS_VOLUME).unwrap();
    let sources = volume.projected.clone().unwrap().sources.unwrap();
    let mut there = Vec::new();
    for source in sources {
        let secret = source.secret.unwrap();
        for item in secret.items.unwrap() {
            if !item.path.starts_with("idempotency-") {
                continue; // of encryption, which has tests of its own
            }
            let path = std::path::Path::new(&mount.mount_path).join(item.path);
            there.push((path, secret.name.clone(), item.key));
        }
    }
    let wanted = [
        (
            told[0].clone(),
            "orders-store".to_owned(),
            "password".to_owned(),
        ),
        (
            told[1].clone(),
            "postgres-ca".to_owned(),
            "ca.crt".to_owned(),
        ),
    ];
    assert_eq!(there, wanted);
    // Without a Secret there is nothing to mount.
    let pod = pod(&http_url());
    assert!(
        pod.volumes
            .iter()
            .flatten()
            .all(|v| v.name != SECRETS_VOLUME)
    );
}

#[test]
fn pods_roll_when_the_configuration_changes_and_not_when_only_the_size_may() {
    let template = |document: &Value| children(document).deployment.spec.template;
    let before = template(&http_url());
    for (pointer, value) in [
        ("/spec/handler/http/url", json!("http://other")),
        ("/spec/handler/timeout", json!("31s")),
        ("/spec/delivery/concurrency", json!(17)),
        (
            "/spec/kafka/properties",
            json!({ "fetch.wait.max.ms": "50" }),
        ),
    ] {
        assert_ne!(
            template(&with(http_url(), pointer, value)),
            before,
            "{pointer}"
        );
    }
    for (pointer, value) in [
        (
            "/spec/scaling",
            json!({ "minReplicas": 0, "maxDelay": "5s" }),
        ),
        ("/spec/replicas", json!(3)),
        ("/spec/paused", json!(true)),
        ("/spec/startAt", json!("Latest")),
    ] {
        assert_eq!(
            template(&with(http_url(), pointer, value)),
            before,
            "{pointer}"
        );
    }
}

#[test]
fn the_handlers_container_starts_before_the_worker_and_stops_after_it() {
    let pod = pod(&http_port());
    let init: Vec<(&str, Option<&str>)> = pod
        .init_containers
        .iter()
        .flatten()
        .map(|container| (container.name.as_str(), container.restart_policy.as_deref()))
        .collect();
    assert_eq!(init, [("migrate", None), ("rails", Some("Always"))]);
    assert_eq!(pod.containers.len(), 1);
}

#[test]
fn no_worker_is_told_to_stop_before_it_listens() {
    let mut document = exec();
    let waits = |document: &Value| {
        let hook = worker(document).lifecycle?.pre_stop?.exec?;
        hook.command
    };
    let command = ["/proc/1/exe", "--wait-for-signals"].map(str::to_owned);
    assert_eq!(waits(&document), Some(command.to_vec()));
    // There the first process is another, and the worker is ended by the signal whether it listens or not.
    document["spec"]["template"]["spec"]["shareProcessNamespace"] = json!(true);
    assert_eq!(waits(&document), None);
}

#[test]
fn what_the_template_says_of_the_worker_is_added() {
    let worker = worker(&http_port());
    let names: Vec<&str> = worker
        .env
        .iter()
        .flatten()
        .map(|env| env.name.as_str())
        .collect();
    assert_eq!(names, ["POD_NAME", "DROVER_CONFIG", "DROVER_LOG"]);
    let resources = worker.resources.unwrap();
    let text =
        |list: Option<std::collections::BTreeMap<String, _>>| serde_json::to_value(list).unwrap();
    assert_eq!(
        text(resources.requests),
        json!({ "cpu": "200m", "memory": "64Mi" })
    );
    assert_eq!(resources.limits.unwrap()["memory"].0, "256Mi");
}

#[test]
fn a_larger_request_raises_the_limit_with_it() {
    let containers =
        json!([{ "name": "worker", "resources": { "requests": { "memory": "1Gi" } } }]);
    let document = with(http_url(), "/spec/template/spec/containers", containers);
    assert_eq!(
        worker(&document).resources.unwrap().limits.unwrap()["memory"].0,
        "1024Mi"
    );
    assert_eq!(
        worker_config(&fleet(&document))
            .unwrap()
            .memory_budget_bytes,
        256 << 20
    );
}

#[test]
fn no_request_is_above_its_limit() {
    let requests = |document: Value| worker(&document).resources.unwrap().requests.unwrap();
    for (limit, request) in [
        ("20m", "20m"),
        ("0.03", "0.03"),
        ("50m", "50m"),
        ("2", "50m"),
    ] {
        let resources = json!([{ "name": "worker", "resources": { "limits": { "cpu": limit } } }]);
        let document = with(http_url(), "/spec/template/spec/containers", resources);
        assert_eq!(requests(document)["cpu"].0, request, "{limit}");
    }
}

#[test]
fn a_pod_that_is_only_ours_is_restricted() {
    let pod = pod(&http_url());
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.enable_service_links, Some(false));
    for container in pod
        .containers
        .iter()
        .chain(pod.init_containers.iter().flatten())
    {
        let context = container.security_context.as_ref().unwrap();
        assert_eq!(context.run_as_non_root, Some(true));
        assert_ne!(context.run_as_user, Some(0));
        assert_eq!(context.allow_privilege_escalation, Some(false));
        assert_eq!(context.read_only_root_filesystem, Some(true));
        assert_eq!(
            context.seccomp_profile.as_ref().unwrap().type_,
            "RuntimeDefault"
        );
        let capabilities = context.capabilities.as_ref().unwrap();
        assert_eq!(capabilities.drop.as_deref(), Some(&["ALL".to_owned()][..]));
        assert_eq!(capabilities.add, None);
    }
}

/// An id that is named is refused where the platform gives each namespace its own.
#[test]
fn the_user_is_left_to_the_platform_where_that_says_it() {
    let settings = Settings {
        user_by_platform: true,
        ..settings()
    };
    for (_, mut document) in all() {
        let containers = document.pointer_mut("/spec/template/spec/containers");
        let containers = containers.and_then(Value::as_array_mut).into_iter();
        for container in containers.flatten() {
            container["securityContext"] = Value::Null;
        }
        let deployment = build(&fleet(&document), &settings).deployment;
        let pod = deployment.spec.template.spec.unwrap();
        let beside = pod.init_containers.iter().flatten();
        for container in pod.containers.iter().chain(beside) {
            let context = container.security_context.clone().unwrap_or_default();
            assert_eq!((context.run_as_user, context.run_as_group), (None, None));
        }
    }
    // Not root all the same; and what a template says counts.
    let named = json!([{ "name": "worker", "securityContext": { "runAsUser": 1000 } }]);
    let document = with(http_url(), "/spec/template/spec/containers", named);
    let deployment = build(&fleet(&document), &settings).deployment;
    let pod = deployment.spec.template.spec.unwrap();
    let context = pod.containers[0].security_context.as_ref().unwrap();
    assert_eq!(
        (
            context.run_as_user,
            context.run_as_group,
            context.run_as_non_root
        ),
        (Some(1000), None, Some(true))
    );
}

#[test]
fn a_consumer_of_the_users_own_is_left_as_it_is_but_for_its_environment() {
    assert_eq!(variable(&own_consumer()), None);
    let pod = pod(&own_consumer());
    let written = typed(&own_consumer()).spec.template.unwrap().spec.unwrap();
    assert_eq!(pod.containers[0], written.containers[0]);
    let env = serde_json::to_value(&pod.containers[1].env).unwrap();
    assert_eq!(
        env,
        json!([
            { "name": "KAFKA_GROUP_ID", "value": "rails-consumer-group" },
            { "name": "RAILS_ENV", "value": "production" },
            { "name": "KAFKA_BOOTSTRAP_SERVERS", "value": "kafka:9092" },
            { "name": "KAFKA_TOPICS", "value": "user_events,orders" },
        ])
    );
    let mut without_env = pod.containers[1].clone();
    without_env.env = written.containers[1].env.clone();
    assert_eq!(without_env, written.containers[1]);
    assert_eq!(pod.termination_grace_period_seconds, Some(70));
}

/// Applies `object` as the controller does; gives its resource version.
async fn apply<K>(client: &Client, namespace: &str, object: &K) -> String
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    let params = PatchParams::apply("drover-controller").force();
    let name = object.meta().name.clone().unwrap();
    let applied = api
        .patch(&name, &params, &Patch::Apply(object))
        .await
        .unwrap();
    applied.meta().resource_version.clone().unwrap()
}

async fn apply_all(client: &Client, namespace: &str, document: &Value) -> Vec<String> {
    let document = with(document.clone(), "/metadata/namespace", json!(namespace));
    let desired = children(&document);
    let mut versions = Vec::new();
    if let Some(account) = &desired.service_account {
        versions.push(apply::<ServiceAccount>(client, namespace, account).await);
    }
    versions.push(
        apply::<PodDisruptionBudget>(client, namespace, &desired.pod_disruption_budget).await,
    );
    versions.push(apply::<Deployment>(client, namespace, &desired.deployment).await);
    versions
}

#[tokio::test]
async fn an_api_server_accepts_the_children_and_a_second_apply_changes_nothing() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    for (name, document) in all() {
        let first = apply_all(&client, &namespace, &document).await;
        let second = apply_all(&client, &namespace, &document).await;
        assert_eq!(first, second, "{name}: applying the same was a write");
    }
}

#[tokio::test]
async fn our_pod_is_admitted_where_pod_security_is_restricted() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let label =
        json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces
        .patch(&namespace, &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();

    let pods = Api::<Pod>::namespaced(client, &namespace);
    let mut pod = Pod {
        metadata: ObjectMeta {
            name: Some("worker".to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(pod(&http_url())),
        ..Pod::default()
    };
    pods.create(&PostParams::default(), &pod).await.unwrap();

    // The same pod without its security context is refused: the namespace does enforce.
    pod.metadata.name = Some("loose".to_owned());
    pod.spec.as_mut().unwrap().containers[0].security_context = None;
    let refused = pods.create(&PostParams::default(), &pod).await.unwrap_err();
    assert!(refused.to_string().contains("restricted"), "{refused}");
}
