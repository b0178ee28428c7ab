//! From `spec.encryption` to the worker's files: what is looked up, mounted and told.

use drover::fleet::{Contents, Known, References, references, validate};
use drover::resources::{Settings, build, worker_config};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use serde_json::{Value, json};

use crate::support::consumers::{http_port, http_url, typed, with};

/// The fleet with one primary key and nothing that has a default.
fn encrypted() -> Value {
    let encryption = json!({ "activeRecord": {
        "primaryKeySecret": { "name": "rails", "key": "primary_key" },
        "keyDerivationSaltSecret": { "name": "rails", "key": "key_derivation_salt" },
    } });
    with(http_url(), "/spec/encryption", encryption)
}

fn found(secret: Known<Contents>) -> References {
    References {
        secrets: [("rails".to_owned(), secret)].into(),
        ..References::default()
    }
}

fn whole(primary: &str) -> Known<Contents> {
    let data = [("primary_key", primary), ("key_derivation_salt", "salt")];
    Known::Found(Contents::of(
        data.map(|(key, value)| (key, value.as_bytes())),
    ))
}

fn template(document: &Value, references: &References) -> PodTemplateSpec {
    let settings = Settings {
        worker_image: "drover.local/worker:dev".to_owned(),
        image_pull_policy: None,
        user_by_platform: false,
    };
    let fleet = validate(&typed(document), references).unwrap();
    build(&fleet, &settings).deployment.spec.template
}

fn pod(document: &Value) -> PodSpec {
    template(document, &References::default()).spec.unwrap()
}

#[test]
fn its_secrets_are_looked_up() {
    let wanted = references(&typed(&http_port())).secrets;
    for name in ["orders", "rails-encryption", "rails-lookups"] {
        assert!(wanted.contains(name), "{name}");
    }
}

#[test]
fn a_missing_secret_or_key_is_named_with_its_field_and_may_heal() {
    let no_salt = Known::Found(Contents::of([("primary_key", &b"x"[..])]));
    for (found, reason, field) in [
        (
            found(Known::Missing),
            "SecretNotFound",
            "spec.encryption.activeRecord.primaryKeySecret",
        ),
        (
            found(no_salt),
            "KeyNotFound",
            "spec.encryption.activeRecord.keyDerivationSaltSecret",
        ),
    ] {
        let problems = validate(&typed(&encrypted()), &found).unwrap_err();
        let problem = problems.iter().find(|problem| problem.field == field);
        let problem = problem.unwrap_or_else(|| panic!("{problems:#?}"));
        assert_eq!(problem.reason, reason);
        assert!(problem.may_heal && problem.message.contains(field));
        assert!(!problem.message.contains("optional"), "{}", problem.message);
    }
    let list = with(
        encrypted(),
        "/spec/encryption/activeRecord",
        json!({
            "primaryKeySecrets": [{ "name": "rails", "key": "key_derivation_salt" }, { "name": "rails", "key": "absent" }],
            "keyDerivationSaltSecret": { "name": "rails", "key": "key_derivation_salt" },
        }),
    );
    let problems = validate(&typed(&list), &found(whole("x"))).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(
        problems[0].field,
        "spec.encryption.activeRecord.primaryKeySecrets[1]"
    );
}

#[test]
fn a_changed_key_changes_the_pod_and_nothing_else_does() {
    let pod = |primary| template(&encrypted(), &found(whole(primary)));
    assert_eq!(pod("one"), pod("one"));
    assert_ne!(pod("one"), pod("two"));
}

/// Every file that the worker is told of is one that its pod has, and comes from the right key.
#[test]
fn the_worker_finds_each_value_as_a_file() {
    for (document, expected) in [
        (
            encrypted(),
            vec![
                ("primaryKeyFiles/0", "rails", "primary_key"),
                ("saltFile", "rails", "key_derivation_salt"),
            ],
        ),
        (
            http_port(),
            vec![
                ("primaryKeyFiles/0", "rails-encryption", "primary_key_2025"),
                ("primaryKeyFiles/1", "rails-encryption", "primary_key_2026"),
                ("saltFile", "rails-encryption", "key_derivation_salt"),
                ("deterministicKeyFile", "rails-lookups", "deterministic_key"),
            ],
        ),
    ] {
        let pod = pod(&document);
        let mounts = pod.containers[0].volume_mounts.as_ref().unwrap();
        let mount = mounts
            .iter()
            .find(|mount| mount.name == "drover-secrets")
            .unwrap();
        assert_eq!(mount.read_only, Some(true));
        let volumes = pod.volumes.unwrap();
        let volume = volumes
            .iter()
            .find(|volume| volume.name == "drover-secrets")
            .unwrap();
        let mut files = Vec::new();
        for source in volume.projected.as_ref().unwrap().sources.as_ref().unwrap() {
            let secret = source.secret.as_ref().unwrap();
            for item in secret.items.as_ref().unwrap() {
                let path = format!("{}/{}", mount.mount_path, item.path);
                // Others have files there, too.
                if item.path.starts_with("encryption-") {
                    files.push((path, secret.name.clone(), item.key.clone()));
                }
            }
        }
        let fleet = validate(&typed(&document), &References::default()).unwrap();
        let config = serde_json::to_value(worker_config(&fleet).unwrap()).unwrap();
        assert_eq!(files.len(), expected.len());
        for (field, secret, key) in expected {
            let path = config
                .pointer(&format!("/encryption/{field}"))
                .unwrap_or_else(|| panic!("{field}"));
            let path = path.as_str().unwrap();
            assert!(
                files.contains(&(path.to_owned(), secret.to_owned(), key.to_owned())),
                "{field}: {path} in {files:?}"
            );
        }
    }
}

#[test]
fn containers_beside_the_worker_do_not_see_the_keys() {
    let pod = pod(&http_port());
    for container in pod.init_containers.iter().flatten() {
        let mounts = container.volume_mounts.iter().flatten();
        assert!(
            mounts
                .into_iter()
                .all(|mount| mount.name != "drover-secrets")
        );
    }
    assert!(pod.init_containers.is_some());
}

#[test]
fn a_fleet_without_encryption_has_no_such_volume() {
    let pod = pod(&http_url());
    assert!(
        pod.volumes
            .iter()
            .flatten()
            .all(|volume| volume.name != "drover-secrets")
    );
}

#[test]
fn the_template_cannot_take_the_volume_or_its_place() {
    let worker = json!([{ "name": "worker", "volumeMounts": [{ "name": "x", "mountPath": "/etc/drover-secrets/" }] }]);
    let volumes = json!([{ "name": "drover-secrets", "emptyDir": {} }]);
    let document = with(encrypted(), "/spec/template/spec/containers", worker);
    let document = with(document, "/spec/template/spec/volumes", volumes);
    let problems = validate(&typed(&document), &References::default()).unwrap_err();
    let fields: Vec<&str> = problems.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.template.spec.volumes",
            "spec.template.spec.containers[0].volumeMounts"
        ]
    );
}
