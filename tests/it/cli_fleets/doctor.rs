//! `drover doctor`, and who may do nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{Stage, drover, failed, nobody, somebody};
use crate::lag_broker::broker;
use crate::support::operator::wait_for;

#[tokio::test]
async fn the_doctor_names_what_is_wrong_first() {
    let broker = broker();
    let topic = broker.create_topic("cli-doctor", 1).await;
    let stage = Stage::new().await;
    let here = ["--controller-namespace", &stage.namespace, "-o", "json"];
    let look = |arguments: &[&str]| {
        let output = stage
            .drover(&[&["doctor"], arguments, &here].concat())
            .output()
            .unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(json["well"] != true)));
        json
    };
    let none = look(&[]);
    assert!(
        none["first"]["says"]
            .as_str()
            .unwrap()
            .contains("no controller has ever led"),
        "{none}"
    );

    // Somebody leads.
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let lease = |renewed: String| {
        serde_json::from_value::<Lease>(json!({
            "metadata": { "name": "drover-controller" },
            "spec": { "holderIdentity": "controller-0", "leaseDurationSeconds": 300, "renewTime": renewed },
        }))
        .unwrap()
    };
    let now = format!("{:.6}", drover::clock::now());
    leases
        .create(&PostParams::default(), &lease(now))
        .await
        .unwrap();
    assert_eq!(look(&[])["well"], true, "{}", look(&[]));

    stage
        .create("orders", |document| {
            document["spec"]["kafka"]["bootstrapServers"] = json!(broker.servers);
            document["spec"]["topics"] = json!([topic]);
            document["spec"]["delivery"] = json!({ "deadLetter": { "topic": "nowhere-at-all" } });
        })
        .await;
    let silent = look(&[]);
    assert!(
        silent["first"]["says"]
            .as_str()
            .unwrap()
            .contains("no status yet"),
        "{silent}"
    );
    stage
        .tell(
            "orders",
            json!({ "observedGeneration": 1, "conditions": [] }),
        )
        .await;
    let dead = look(&["orders"]);
    assert_eq!(
        dead["first"]["what"], "dead-letter topic nowhere-at-all",
        "{dead}"
    );
    let findings = dead["findings"].as_array().unwrap();
    let group = format!("group {}.orders", stage.namespace);
    for well in [
        "API server",
        "CRD",
        "your rights",
        "Kafka from here",
        &format!("topic {topic}"),
        &group,
    ] {
        let found = findings.iter().find(|finding| finding["what"] == *well);
        assert_eq!(found.unwrap()["state"], "Well", "{well}: {dead}");
    }
    let away = look(&["orders", "--bootstrap", "127.0.0.1:1", "--timeout", "1s"]);
    assert_eq!(away["first"]["what"], "Kafka from here", "{away}");
}

#[tokio::test]
async fn the_doctor_looks_whether_the_service_of_a_handler_is_there_with_its_port_and_a_ready_pod()
{
    let stage = Stage::new().await;
    stage.create("orders", |_| {}).await;
    stage
        .create("hooks", |document| {
            document["spec"]["handler"]["http"]["url"] = json!("https://hooks.example.com/kafka");
        })
        .await;
    let look = |name: &str| {
        let away = ["--bootstrap", "127.0.0.1:1", "--timeout", "1s"];
        let output = stage
            .drover(&[&["doctor", name, "-o", "json"], &away[..]].concat())
            .output()
            .unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = json["findings"].as_array().unwrap().iter();
        let mut handlers =
            findings.filter(|it| it["what"].as_str().unwrap().starts_with("handler "));
        let found = handlers.next().unwrap();
        assert_eq!(handlers.next(), None, "{json}");
        let text = |name: &str| found[name].as_str().unwrap().to_owned();
        (text("what"), text("state"), text("says"))
    };
    let is = |(what, state, says): (String, String, String), as_it_is: &str, words: &str| {
        let whole = format!("handler Service {}/users", stage.namespace);
        assert_eq!((what, state.as_str()), (whole, as_it_is), "{says}");
        assert!(says.contains(words), "{words}: {says}");
    };
    is(look("orders"), "Wrong", "it does not exist; create it");

    let services: Api<Service> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let params = PostParams::default();
    let service = |port: u16| {
        serde_json::from_value::<Service>(json!({
            "metadata": { "name": "users" },
            "spec": { "selector": { "app": "users" }, "ports": [{ "port": port }] },
        }))
        .unwrap()
    };
    services.create(&params, &service(3000)).await.unwrap();
    is(look("orders"), "Wrong", "it has no port 80, but 3000");
    services.delete("users", &Default::default()).await.unwrap();
    services.create(&params, &service(80)).await.unwrap();
    is(look("orders"), "Wrong", "-l app=users");

    let slices: Api<EndpointSlice> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let slice = |name: &str, ready: bool| {
        serde_json::from_value::<EndpointSlice>(json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/service-name": "users" } },
            "addressType": "IPv4", "ports": [{ "port": 3000 }],
            "endpoints": [{ "addresses": ["10.0.0.7"], "conditions": { "ready": ready } }],
        }))
        .unwrap()
    };
    slices.create(&params, &slice("a", false)).await.unwrap();
    is(
        look("orders"),
        "Wrong",
        "no pod behind it is ready, 1 is not",
    );
    slices.create(&params, &slice("b", true)).await.unwrap();
    is(look("orders"), "Well", "1 pod is ready");

    let (what, state, says) = look("hooks");
    assert_eq!(
        (what.as_str(), state.as_str()),
        ("handler hooks.example.com", "Unknown")
    );
    assert!(says.starts_with("not checked: "), "{says}");
}

/// What a move to Drover may leave: no KEDA is installed here, and that is well.
#[tokio::test]
async fn who_else_sizes_a_fleet_or_keeps_its_pods_from_being_evicted_is_named() {
    let stage = Stage::new().await;
    let fleet = stage.create("orders", |_| {}).await;
    let look = || {
        let output = stage.drover(&["doctor", "-o", "json"]).output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        json["findings"].as_array().unwrap().clone()
    };
    let named = |findings: &[Value]| {
        let whats = findings.iter().map(|it| it["what"].as_str().unwrap());
        let whats =
            whats.filter(|what| what.contains(" HorizontalPod") || what.contains(" PodDis"));
        whats.map(str::to_owned).collect::<Vec<_>>()
    };
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let budget = |name: &str, owners: Value| {
        serde_json::from_value::<PodDisruptionBudget>(json!({
            "metadata": { "name": name, "ownerReferences": owners },
            "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "drover.dev/consumer": "orders" } } },
        }))
        .unwrap()
    };
    let ours = json!([{
        "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer", "name": "orders",
        "uid": fleet.metadata.uid, "controller": true,
    }]);
    let params = PostParams::default();
    budgets
        .create(&params, &budget("orders", ours))
        .await
        .unwrap();
    let well = look();
    assert!(named(&well).is_empty(), "{well:#?}");
    let unknown = well
        .iter()
        .find(|it| it["what"] == "autoscalers and budgets");
    assert_eq!(unknown, None);

    budgets
        .create(&params, &budget("left", json!([])))
        .await
        .unwrap();
    let autoscalers: Api<HorizontalPodAutoscaler> =
        Api::namespaced(stage.client.clone(), &stage.namespace);
    let targets = [
        ("by-cpu", "apps/v1", "Deployment"),
        ("outside", "drover.dev/v1alpha1", "KafkaConsumer"),
    ];
    for (name, version, kind) in targets {
        let autoscaler = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": { "maxReplicas": 3, "scaleTargetRef": { "apiVersion": version, "kind": kind, "name": "orders" } },
        }));
        let autoscaler = autoscaler.unwrap();
        autoscalers.create(&params, &autoscaler).await.unwrap();
    }
    let found = look();
    assert_eq!(
        named(&found),
        [
            "orders HorizontalPodAutoscaler by-cpu",
            "orders PodDisruptionBudget left"
        ]
    );
    for (what, words) in [
        ("by-cpu", "delete horizontalpodautoscaler by-cpu"),
        ("left", "a node that runs one cannot be drained"),
    ] {
        let is_it = |it: &&Value| it["what"].as_str().unwrap().ends_with(what);
        let finding = found.iter().find(is_it).unwrap();
        assert_eq!(finding["state"], "Wrong");
        assert!(
            finding["says"].as_str().unwrap().contains(words),
            "{finding}"
        );
    }

    // Who may not look is told so.
    let user = format!("reader-of-{}", stage.namespace);
    let role = serde_json::from_value(json!({
        "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": ["drover.dev"], "resources": ["kafkaconsumers"], "verbs": ["get", "list"] }],
    }));
    let roles: Api<Role> = Api::namespaced(stage.client.clone(), &stage.namespace);
    roles.create(&params, &role.unwrap()).await.unwrap();
    let binding = serde_json::from_value(json!({
        "metadata": { "name": "reader" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
    }));
    let bindings: Api<RoleBinding> = Api::namespaced(stage.client.clone(), &stage.namespace);
    bindings.create(&params, &binding.unwrap()).await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let reader = somebody(folder.path(), &user);
    let arguments = ["doctor", "-n", &stage.namespace, "-o", "json"];
    // The API server goes by a Role some moments after it took it.
    let json = wait_for("the Role to count", async || {
        let output = drover(&reader, &arguments).output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        match json["findings"].to_string().contains("autoscalers") {
            true => Ok(json),
            false => Err(json.to_string()),
        }
    })
    .await;
    let says = |it: &&Value| {
        let says = it["says"].as_str().unwrap_or_default();
        it["what"] == "autoscalers and budgets" && says.contains("poddisruptionbudgets")
    };
    let unknown = json["findings"].as_array().unwrap().iter().find(says);
    assert_eq!(unknown.unwrap()["state"], "Unknown", "{json}");
}

#[tokio::test]
async fn who_may_nothing_and_where_nothing_is_installed_is_said() {
    let folder = tempfile::TempDir::new().unwrap();
    let nobody = nobody(folder.path());
    for arguments in [
        &["status"][..],
        &["explain", "orders"],
        &["pause", "orders"],
        &["logs", "orders"],
        &["lag", "orders"],
    ] {
        let error = failed(&drover(&nobody, arguments).output().unwrap(), 2);
        assert!(
            error.contains("refuses: ") && error.contains("nobody"),
            "{error}"
        );
    }
    let doctor = drover(&nobody, &["doctor", "-o", "json"]).output().unwrap();
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert_eq!(doctor["first"]["what"], "your rights", "{doctor}");
    let crd = doctor["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["what"] == "CRD");
    assert_eq!(crd.unwrap()["state"], "Unknown", "{doctor}");

    // A server that knows no KafkaConsumers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"404 page not found","reason":"NotFound","code":404}"#;
            let head = format!(
                "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    let bare = folder.path().join("bare");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bare",
        "clusters": [{ "name": "bare", "cluster": { "server": format!("http://{address}") } }],
        "contexts": [{ "name": "bare", "context": { "cluster": "bare", "user": "bare" } }],
        "users": [{ "name": "bare", "user": {} }],
    });
    std::fs::write(&bare, config.to_string()).unwrap();
    let error = failed(&drover(&bare, &["status"]).output().unwrap(), 2);
    assert!(error.contains("drover crd | kubectl apply"), "{error}");
}
