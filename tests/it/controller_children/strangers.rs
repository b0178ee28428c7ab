//! Objects of the children's names that are not ours: refused, and left as they are.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_object_of_the_same_name_is_refused_and_untouched() {
    let operator = Operator::start(&["events"]).await;
    let theirs: ServiceAccount = serde_json::from_value(json!({
        "metadata": { "name": "fleet" }, "automountServiceAccountToken": true,
    }))
    .unwrap();
    let accounts = operator.api::<ServiceAccount>();
    let theirs = accounts
        .create(&PostParams::default(), &theirs)
        .await
        .unwrap();
    operator.create("fleet", operator.spec("events")).await;

    let ready = operator
        .condition("fleet", "Ready", "False", "NameTaken")
        .await;
    assert!(
        ready.message.contains("ServiceAccount fleet"),
        "{}",
        ready.message
    );
    assert!(
        ready.message.contains("delete or rename it"),
        "{}",
        ready.message
    );
    assert_eq!(accounts.get("fleet").await.unwrap(), theirs);
    assert!(
        operator
            .api::<Deployment>()
            .get_opt("fleet")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(operator.event("fleet", "NameTaken").await.len(), 1);

    accounts
        .delete("fleet", &DeleteParams::default())
        .await
        .unwrap();
    operator.condition("fleet", "Ready", "True", "Idle").await;
}

/// As of a chart made by `helm create`, whose Deployment became the fleet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_the_fleets_name_that_the_template_names_is_used_and_untouched() {
    let operator = Operator::start(&["events"]).await;
    let theirs: ServiceAccount = serde_json::from_value(json!({
        "metadata": { "name": "fleet", "annotations": { "eks.amazonaws.com/role-arn": "arn:shop" } },
    }))
    .unwrap();
    let accounts = operator.api::<ServiceAccount>();
    let params = PostParams::default();
    let theirs = accounts.create(&params, &theirs).await.unwrap();
    let template = json!({ "spec": { "serviceAccountName": "fleet" } });
    let spec = crate::support::consumers::with(operator.spec("events"), "/template", template);
    operator.create("fleet", spec).await;

    operator.condition("fleet", "Ready", "True", "Idle").await;
    let deployment: Deployment = operator.object("fleet", "the Deployment", |_| true).await;
    let pod = deployment.spec.template.spec.unwrap();
    assert_eq!(pod.service_account_name.as_deref(), Some("fleet"));
    assert_eq!(accounts.get("fleet").await.unwrap(), theirs);
}

/// What a fleet had before its template named an account stays: its pods may still run under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_comes_to_name_an_account_leaves_ours_and_takes_it_back_later() {
    let operator = Operator::start(&["events"]).await;
    operator.create("fleet", operator.spec("events")).await;
    operator.condition("fleet", "Ready", "True", "Idle").await;
    let accounts = operator.api::<ServiceAccount>();
    let ours = accounts.get("fleet").await.unwrap();

    let named = |name: &'static str| {
        move |deployment: &Deployment| {
            let pod = deployment.spec.template.spec.as_ref();
            pod.unwrap().service_account_name.as_deref() == Some(name)
        }
    };
    let template = json!({ "spec": { "serviceAccountName": "shop" } });
    operator
        .change("fleet", json!({ "template": template }))
        .await;
    operator.object("fleet", "theirs", named("shop")).await;
    operator.rest(QUIET).await;
    assert_eq!(accounts.get("fleet").await.unwrap(), ours);

    operator
        .change("fleet", json!({ "template": Value::Null }))
        .await;
    operator.object("fleet", "ours", named("fleet")).await;
    assert_eq!(accounts.get("fleet").await.unwrap().uid(), ours.uid());
    operator.condition("fleet", "Ready", "True", "Idle").await;
}

/// For each kind of child: an object of that name which is somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kind_of_child_takes_the_place_of_somebody_elses_object() {
    let operator = Operator::start(&["events"]).await;
    let pods = json!({ "metadata": { "labels": { "app": "theirs" } },
        "spec": { "containers": [{ "name": "app", "image": "theirs:1" }] } });
    let selector = json!({ "matchLabels": { "app": "theirs" } });
    let theirs = [
        (
            "Deployment",
            "apps",
            "v1",
            json!({ "replicas": 0, "selector": selector, "template": pods }),
        ),
        ("ServiceAccount", "", "v1", Value::Null),
        (
            "PodDisruptionBudget",
            "policy",
            "v1",
            json!({ "minAvailable": 1, "selector": selector }),
        ),
    ];
    let mut made = Vec::new();
    for (kind, group, version, spec) in &theirs {
        let name = format!("their-{}", kind.to_lowercase());
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let api: Api<DynamicObject> = Api::namespaced_with(
            operator.client.clone(),
            &operator.namespace,
            &ApiResource::from_gvk(&gvk),
        );
        let mut object =
            json!({ "apiVersion": gvk.api_version(), "kind": kind, "metadata": { "name": name } });
        if !spec.is_null() {
            object["spec"] = spec.clone();
        }
        let object = serde_json::from_value(object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
        operator.create(&name, operator.spec("events")).await;
        made.push((kind, name, api));
    }
    for (kind, name, api) in made {
        let ready = operator
            .condition(&name, "Ready", "False", "NameTaken")
            .await;
        assert!(
            ready.message.contains(&format!("{kind} {name}")),
            "{}",
            ready.message
        );
        operator.event(&name, "NameTaken").await;
        operator.rest(QUIET).await;
        let left = api.get(&name).await.unwrap();
        let managers = left
            .managed_fields()
            .iter()
            .filter_map(|entry| entry.manager.clone());
        let ours: Vec<String> = managers
            .filter(|manager| manager.starts_with("drover"))
            .collect();
        assert!(ours.is_empty(), "{kind}: {ours:?}");
        assert!(left.owner_references().is_empty(), "{kind}");
    }
}

/// An object that carries our labels but belongs to another resource, or that another controller owns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_another_controller_owns_is_not_taken_over_for_its_labels() {
    let operator = Operator::start(&["events"]).await;
    let other = operator.create("other", operator.spec("events")).await;
    let theirs: ServiceAccount = serde_json::from_value(json!({
        "metadata": {
            "name": "fleet",
            "labels": { "app.kubernetes.io/managed-by": "drover", "drover.dev/consumer": "fleet" },
            "ownerReferences": [{ "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
                "name": "other", "uid": other.uid().unwrap(), "controller": true }],
        },
        "automountServiceAccountToken": true,
    }))
    .unwrap();
    let accounts = operator.api::<ServiceAccount>();
    let theirs = accounts
        .create(&PostParams::default(), &theirs)
        .await
        .unwrap();
    operator.create("fleet", operator.spec("events")).await;
    operator
        .condition("fleet", "Ready", "False", "NameTaken")
        .await;
    operator.rest(QUIET).await;
    assert_eq!(accounts.get("fleet").await.unwrap(), theirs);
}
