//! KafkaConsumers changed at random: nothing panics, the checks offline refuse what the API server
//! refuses, and what all accept gives children that the API server accepts.
//!
//! The seed is the same each time unless `DROVER_FUZZ_SEED` says another; `DROVER_FUZZ_SPECS` and
//! `DROVER_FUZZ_SAMPLE` have more tried.

use std::panic::{AssertUnwindSafe, catch_unwind};

use drover::api::KafkaConsumer;
use drover::api::names::FIELD_MANAGER;
use drover::fleet::{
    Contents, Known, References, check_document, references, validate, worker_config,
    worker_config_text,
};
use drover::resources::{self, Desired, Settings, build};
use drover::worker_config::WorkerConfig;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fuzz::chance::Chance;
use crate::fuzz::told;
use crate::support::consumers::all;
use crate::support::control_plane::control_plane;

fn settings() -> Settings {
    resources::Settings {
        worker_image: "drover.local/worker:1".to_owned(),
        image_pull_policy: None,
        user_by_platform: false,
    }
}

/// What often lies at the edge of something.
fn odd(chance: &mut Chance) -> Value {
    chance
        .one_of(&[
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1),
            json!(2),
            json!(65),
            json!(65_536),
            json!(4_294_967_296_u64),
            json!(u64::MAX),
            json!(1.5),
            json!(1e300),
            json!(""),
            json!(" "),
            json!("0"),
            json!("0s"),
            json!("1ms"),
            json!("-1s"),
            json!("1h30m"),
            json!("999999999h"),
            json!("1Mi"),
            json!("1.5Gi"),
            json!("99999999Ei"),
            json!("kafka:9092"),
            json!("kafka:99999"),
            json!("[::1]:9092,,"),
            json!("http://users/kafka"),
            json!("https://ü/"),
            json!("/a/b"),
            json!("../.."),
            json!("a\u{0}b"),
            json!("Ä€𝄞"),
            json!("user_events"),
            json!("x".repeat(300)),
            json!([]),
            json!([""]),
            json!(["a", "a"]),
            json!({}),
            json!({ "name": "a", "key": "b" }),
            json!({ "unknown": 1 }),
        ])
        .clone()
}

/// The places in `value`, as JSON pointers.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{at}/{key}"), into);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), into);
            }
        }
        _ => {}
    }
}

fn one_place(chance: &mut Chance, document: &Value, template_too: bool) -> String {
    let mut found = Vec::new();
    places(&document["spec"], "/spec", &mut found);
    found
        .retain(|place| place != "/spec" && (template_too || !place.starts_with("/spec/template")));
    chance.one_of(&found).clone()
}

fn remove(document: &mut Value, place: &str) {
    let (outer, last) = place.rsplit_once('/').unwrap();
    match document.pointer_mut(outer) {
        Some(Value::Object(map)) => _ = map.remove(&last.replace("~1", "/").replace("~0", "~")),
        Some(Value::Array(items)) => _ = items.remove(last.parse().unwrap()),
        _ => {}
    }
}

/// Another value that is like this one.
fn nudged(chance: &mut Chance, value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or_default();
            json!(*chance.one_of(&[number + 1, number - 1, number.saturating_mul(10), -number]))
        }
        Value::String(text) => {
            let cut: String = text.chars().skip(1).collect();
            json!(chance.one_of(&[
                cut,
                format!("{text}x"),
                format!("{text}.{text}"),
                text.to_uppercase()
            ]))
        }
        Value::Bool(flag) => json!(!flag),
        Value::Array(items) => json!([items.clone(), items.clone()].concat()),
        Value::Object(map) => {
            let mut map = map.clone();
            map.insert("more".to_owned(), odd(chance));
            Value::Object(map)
        }
        Value::Null => odd(chance),
    }
}

/// One of the known ones, changed in so many places.
fn mutant(chance: &mut Chance, changes: u64, template_too: bool) -> Value {
    let seeds = all();
    let (_, mut document) = chance.one_of(&seeds).clone();
    for _ in 0..changes {
        let place = one_place(chance, &document, template_too);
        let (_, other) = chance.one_of(&seeds).clone();
        let new = match chance.below(5) {
            0 => odd(chance),
            1 => {
                remove(&mut document, &place);
                continue;
            }
            2 => other
                .pointer(&place)
                .cloned()
                .unwrap_or_else(|| odd(chance)),
            3 => {
                let theirs = one_place(chance, &other, template_too);
                other.pointer(&theirs).cloned().unwrap()
            }
            _ => nudged(chance, document.pointer(&place).unwrap()),
        };
        *document.pointer_mut(&place).unwrap() = new;
    }
    document
}

/// What looking up may have found, of all that is referred to.
fn found(chance: &mut Chance, consumer: &KafkaConsumer) -> References {
    let wanted = references(consumer);
    let mut found = References::default();
    let contents = Contents::of([("key", b"value".as_slice()), ("password", b"".as_slice())]);
    for name in wanted.secrets {
        let known = [
            Known::Unknown,
            Known::Missing,
            Known::Found(contents.clone()),
        ];
        found.secrets.insert(name, chance.one_of(&known).clone());
    }
    for topic in wanted.topics {
        let known = [Known::Unknown, Known::Missing, Known::Found(4)];
        found.topics.insert(topic, chance.one_of(&known).clone());
    }
    found
}

/// As the API server gives it to the controller: it drops nulls.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key, without_nulls(value)))
                .collect()
        }
        Value::Array(items) => {
            let kept = items.into_iter().filter(|item| !item.is_null());
            kept.map(without_nulls).collect()
        }
        value => value,
    }
}

/// Everything offline that looks at a resource. Whether it is accepted.
fn look(document: &Value, chance: &mut Chance) -> bool {
    let problems = check_document(document);
    let stored = without_nulls(document.clone());
    let Ok(consumer) = serde_json::from_value::<KafkaConsumer>(stored) else {
        assert!(
            !problems.is_empty(),
            "it cannot be read, and nothing is said"
        );
        return false;
    };
    let checked = validate(&consumer, &References::default());
    if problems.is_empty() {
        assert!(checked.is_ok(), "{checked:?}");
    }
    let looked_up = validate(&consumer, &found(chance, &consumer));
    for fleet in [checked, looked_up].into_iter().flatten() {
        let desired = build(&fleet, &settings());
        serde_json::to_string(&desired.deployment).unwrap();
        if let Some(wanted) = worker_config(&fleet) {
            let read: WorkerConfig = serde_json::from_str(&worker_config_text(&wanted)).unwrap();
            assert_eq!(read, wanted);
        }
    }
    problems.is_empty()
}

#[test]
fn changed_resources_are_refused_in_words_or_give_children() {
    let (seed, times) = (
        told("DROVER_FUZZ_SEED", 1),
        told("DROVER_FUZZ_SPECS", 3_000),
    );
    let mut chance = Chance::of(seed);
    let (mut accepted, mut refused) = (0, 0);
    for turn in 0..times {
        let changes = 1 + chance.below(4);
        let document = mutant(&mut chance, changes, true);
        match catch_unwind(AssertUnwindSafe(|| look(&document, &mut chance))) {
            Ok(true) => accepted += 1,
            Ok(false) => refused += 1,
            Err(_) => panic!("DROVER_FUZZ_SEED={seed}, resource {turn}: {document}"),
        }
    }
    assert!(
        accepted > times / 20 && refused > times / 20,
        "{accepted} accepted, {refused} refused"
    );
}

/// What the API server says against a child, tried without being kept.
async fn tried<K>(client: &Client, namespace: &str, child: &K) -> Result<(), String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force().dry_run();
    let name = child.meta().name.clone().unwrap();
    let answer = api.patch(&name, &params, &Patch::Apply(child)).await;
    let kind = K::kind(&());
    answer
        .map(|_| ())
        .map_err(|error| format!("{kind}: {error}"))
}

async fn try_all(client: &Client, namespace: &str, desired: &Desired) -> Result<(), String> {
    if let Some(account) = &desired.service_account {
        tried(client, namespace, account).await?;
    }
    tried(client, namespace, &desired.pod_disruption_budget).await?;
    tried(client, namespace, &desired.deployment).await
}

/// A template is left as it is here: what the API server has against a pod is its own matter, and said in
/// status.
#[tokio::test]
async fn changed_resources_that_are_accepted_have_children_that_are_accepted() {
    let client = control_plane().client().await;
    let namespace = control_plane().namespace(&client).await;
    let resource = ApiResource::erase::<KafkaConsumer>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let (seed, times) = (told("DROVER_FUZZ_SEED", 1), told("DROVER_FUZZ_SAMPLE", 80));
    let mut chance = Chance::of(seed);
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    for _ in 0..times {
        let changes = 1 + chance.below(2);
        let mut document = mutant(&mut chance, changes, false);
        document["metadata"] =
            json!({ "name": document["metadata"]["name"], "namespace": namespace });
        let problems = check_document(&document);
        let object = serde_json::from_value(document.clone()).unwrap();
        let created = match api.create(&dry, &object).await {
            Ok(created) => created,
            Err(error) => {
                refused += 1;
                if problems.is_empty() {
                    wrong.push(format!(
                        "refused only by the API server: {error}\n{document}"
                    ));
                }
                continue;
            }
        };
        // As the controller sees it: with its defaults.
        let created = serde_json::from_value(serde_json::to_value(created).unwrap());
        let Ok(consumer) = created.map(|consumer: KafkaConsumer| consumer) else {
            if problems.is_empty() {
                wrong.push(format!("accepted, and cannot be read\n{document}"));
            }
            continue;
        };
        match validate(&consumer, &References::default()) {
            Ok(fleet) => {
                accepted += 1;
                let mut fleet = fleet;
                fleet.uid = "5d1c8f0a-0000-4000-8000-000000000000".to_owned();
                if let Err(error) = try_all(&client, &namespace, &build(&fleet, &settings())).await
                {
                    wrong.push(format!("{error}\n{document}"));
                }
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        wrong.is_empty(),
        "DROVER_FUZZ_SEED={seed}: {} of {times}:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(
        accepted > times / 10 && refused > times / 10,
        "{accepted} accepted, {refused} refused"
    );
}
