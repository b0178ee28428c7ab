//! What the chart makes of its values: as the plain manifests have it, and with what is asked for.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::{has, objects, one, refused, release, rendered, root, said};

fn plain() -> Vec<Value> {
    objects(&std::fs::read_to_string(root().join("deploy/controller.yaml")).unwrap())
}

#[test]
fn the_chart_installs_what_the_plain_manifests_install() {
    let (chart, plain) = (rendered(&[]), plain());
    let name = "drover-controller";
    let rules = |objects: &[Value], kind, name| one(objects, kind, name)["rules"].clone();
    assert_eq!(
        rules(&chart, "ClusterRole", name),
        rules(&plain, "ClusterRole", name)
    );
    assert_eq!(
        rules(&chart, "Role", "drover-controller-lease"),
        rules(&plain, "Role", name)
    );
    let pod =
        |objects: &[Value]| one(objects, "Deployment", name)["spec"]["template"]["spec"].clone();
    let (chart, plain) = (pod(&chart), pod(&plain));
    for field in [
        "volumes",
        "securityContext",
        "serviceAccountName",
        "automountServiceAccountToken",
        "terminationGracePeriodSeconds",
    ] {
        assert_eq!(chart[field], plain[field], "{field}");
    }
    let (chart, plain) = (&chart["containers"][0], &plain["containers"][0]);
    for field in [
        "volumeMounts",
        "securityContext",
        "livenessProbe",
        "readinessProbe",
        "resources",
        "ports",
    ] {
        assert_eq!(chart[field], plain[field], "{field}");
    }
    for variable in plain["env"].as_array().unwrap() {
        let named = |other: &&Value| other["name"] == variable["name"];
        assert!(
            chart["env"].as_array().unwrap().iter().any(|v| named(&v)),
            "{variable}"
        );
    }
}

#[test]
fn an_account_that_mounts_no_token_is_no_hindrance() {
    let account = "serviceAccount.create=false,serviceAccount.name=theirs";
    let objects = rendered(&["--set", account]);
    let pod = &one(&objects, "Deployment", "drover-controller")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], true);
}

/// Server-side apply refuses a name that is there twice, and without it the last one wins in silence.
#[test]
fn a_variable_that_the_chart_sets_is_not_set_beside_it() {
    let all = "namespaces={shop},controller.tokenHosts={idp.example.com}";
    let objects = rendered(&["--set", all]);
    let pod = &one(&objects, "Deployment", "drover-controller")["spec"]["template"]["spec"];
    let variables = pod["containers"][0]["env"].as_array().unwrap();
    assert!(variables.len() > 8, "{variables:?}");
    for variable in variables {
        let name = variable["name"].as_str().unwrap();
        let again = format!("controller.extraEnv[0].name={name},controller.extraEnv[0].value=x");
        let said = refused(&["--set", &again]);
        assert!(
            said.contains(&format!("{name} is set by the chart")),
            "{said}"
        );
    }
}

/// Others in that namespace have Leases, too: whoever may update one takes their leadership.
#[test]
fn the_lease_is_the_only_one_that_may_be_read_and_changed() {
    for (name, lease) in [
        ("drover", "drover-controller"),
        ("team-a", "team-a-drover-controller"),
    ] {
        let output = release(name, "operators", &[]);
        let objects = objects(std::str::from_utf8(&output.stdout).unwrap());
        let role = one(&objects, "Role", &format!("{lease}-lease"));
        for rule in role["rules"].as_array().unwrap() {
            let named = rule["resourceNames"] == json!([lease]);
            assert!(named || rule["verbs"] == json!(["create"]), "{rule}");
        }
        let pod = &one(&objects, "Deployment", lease)["spec"]["template"]["spec"];
        let set = json!({"name": "DROVER_LEASE", "value": lease});
        assert!(
            pod["containers"][0]["env"]
                .as_array()
                .unwrap()
                .contains(&set)
        );
    }
}

#[test]
fn the_crd_comes_with_the_chart_and_outlives_it_unless_told_otherwise() {
    let kind = "CustomResourceDefinition";
    for ours in [drover::api::crd(), drover::api::replay_crd()] {
        let name = ours.metadata.name.clone().unwrap();
        let crd = |options: &[&str]| one(&rendered(options), kind, &name).clone();
        let kept = crd(&[]);
        // With its types: Helm writes 1 for 1.0.
        let written: CustomResourceDefinition = serde_json::from_value(kept.clone()).unwrap();
        assert!(written.spec == ours.spec, "the CRD {name} is another one");
        assert_eq!(
            kept["metadata"]["annotations"]["helm.sh/resource-policy"],
            "keep"
        );
        assert_eq!(
            crd(&["--set", "crds.keep=false"])["metadata"]["annotations"],
            Value::Null
        );
    }
    assert!(!has(&rendered(&["--set", "crds.enabled=false"]), kind));
}

#[test]
fn what_is_asked_for_is_there_and_what_is_not_is_not() {
    let usual = rendered(&[]);
    assert!(has(&usual, "PodDisruptionBudget") && has(&usual, "ServiceAccount"));
    assert!(!has(&usual, "NetworkPolicy") && !has(&usual, "PodMonitor"));
    assert!(!has(
        &rendered(&["--set", "replicas=1"]),
        "PodDisruptionBudget"
    ));
    let digest = format!("sha256:{}", "a".repeat(64));
    let image = format!("worker.image.digest={digest},controller.image.tag=v9");
    let options = [
        "--set",
        &image,
        "--set",
        "networkPolicy.enabled=true,monitoring.podMonitors.enabled=true",
        "--set",
        "imagePullSecrets={a,b},controller.priorityClassName=high",
        "--set-json",
        r#"controller.extraEnv=[{"name":"HTTPS_PROXY","value":"http://proxy:1"}]"#,
        "--set-json",
        r#"controller.extraVolumes=[{"name":"ca","emptyDir":{}}]"#,
        "--set-json",
        r#"controller.extraVolumeMounts=[{"name":"ca","mountPath":"/ca"}]"#,
    ];
    let chart = rendered(&options);
    assert!(has(&chart, "NetworkPolicy") && has(&chart, "PodMonitor"));
    let pod = &one(&chart, "Deployment", "drover-controller")["spec"]["template"]["spec"];
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(
        pod["imagePullSecrets"],
        json!([{"name": "a"}, {"name": "b"}])
    );
    assert_eq!(pod["volumes"][0]["name"], "ca");
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "drover.local/drover-controller:v9");
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/ca");
    // What outlives a crash is not the root file system's.
    assert_eq!(pod["volumes"][1]["emptyDir"]["sizeLimit"], "16Mi");
    assert_eq!(
        pod["volumes"][1]["name"],
        container["volumeMounts"][1]["name"]
    );
    let env = container["env"].as_array().unwrap();
    let value = |name: &str| {
        env.iter()
            .find(|v| v["name"] == name)
            .map(|v| v["value"].clone())
    };
    assert_eq!(
        value("DROVER_STATE_DIR").as_ref(),
        Some(&container["volumeMounts"][1]["mountPath"])
    );
    assert_eq!(
        value("DROVER_WORKER_IMAGE"),
        Some(json!(format!("drover.local/drover-worker@{digest}")))
    );
    assert_eq!(value("HTTPS_PROXY"), Some(json!("http://proxy:1")));
}

/// As for OpenShift, which admits no pod that names a user but one of its namespace's own.
#[test]
fn no_pod_of_the_chart_names_a_user_where_the_platform_says_it() {
    let users = |by_platform: &str| -> Vec<Value> {
        let objects = rendered(&[
            "--set",
            "test.kafka.bootstrapServers=kafka:9092",
            "--set",
            by_platform,
        ]);
        let specs = objects.iter().filter_map(|object| match &object["kind"] {
            Value::String(kind) if kind == "Deployment" => {
                Some(&object["spec"]["template"]["spec"])
            }
            Value::String(kind) if kind == "Pod" => Some(&object["spec"]),
            _ => None,
        });
        let of = |spec: &Value| {
            let context = &spec["securityContext"];
            assert_eq!(context["runAsNonRoot"], true, "{spec}");
            json!([context["runAsUser"], context["runAsGroup"]])
        };
        specs.map(of).collect()
    };
    assert_eq!(
        users("userByPlatform=false"),
        vec![json!([65532, 65532]); 2]
    );
    assert_eq!(users("userByPlatform=true"), vec![json!([null, null]); 2]);
}

#[test]
fn the_hosts_that_tokens_may_come_from_reach_the_controller() {
    let hosts = |options: &[&str]| {
        let objects = rendered(options);
        let pod = &one(&objects, "Deployment", "drover-controller")["spec"]["template"]["spec"];
        let variables = pod["containers"][0]["env"].as_array().unwrap().iter();
        let mut hosts = variables.filter(|variable| variable["name"] == "DROVER_TOKEN_HOSTS");
        hosts.next().map(|variable| variable["value"].clone())
    };
    assert_eq!(hosts(&[]), None);
    let two = "controller.tokenHosts={idp.example.com,10.0.0.7}";
    assert_eq!(
        hosts(&["--set", two]),
        Some("idp.example.com,10.0.0.7".into())
    );
}

#[test]
fn labels_may_be_taken_away_or_replaced() {
    let bare = rendered(&[
        "--set-json",
        r#"monitoring.dashboards={"enabled":true,"labels":null}"#,
    ]);
    assert!(has(&bare, "ConfigMap"));
    let replaced = rendered(&[
        "--set-json",
        r#"controller.podLabels={"app.kubernetes.io/instance":"mine","team":"platform"}"#,
        "--set-json",
        r#"monitoring.rules={"enabled":true,"labels":{"app.kubernetes.io/instance":"prometheus"}}"#,
    ]);
    let deployment = one(&replaced, "Deployment", "drover-controller");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let selector = &deployment["spec"]["selector"]["matchLabels"];
    for (name, value) in selector.as_object().unwrap() {
        assert_eq!(&labels[name], value);
    }
    assert_eq!(labels["team"], "platform");
    let rule = one(&replaced, "PrometheusRule", "drover-controller");
    let labels = &rule["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/instance"], "prometheus");
}

#[test]
fn nothing_of_the_self_test_has_a_name_of_the_controllers() {
    for length in [1, 35, 36, 44, 45, 46, 53] {
        let options = [
            "--set-string",
            "test.kafka.bootstrapServers=kafka:9092,namespaces={shop}",
        ];
        let output = release(&"r".repeat(length), "drover-system", &options);
        assert!(output.status.success(), "{}", said(&output));
        let chart = objects(std::str::from_utf8(&output.stdout).unwrap());
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let (tests, rest): (Vec<_>, Vec<_>) = chart
            .iter()
            .partition(|object| object["metadata"]["annotations"]["helm.sh/hook"] == "test");
        assert!(!tests.is_empty());
        for test in tests {
            assert!(name(test).ends_with("-self-test") && name(test).len() <= 63);
            assert!(!rest.iter().any(|object| name(object) == name(test)));
        }
        let deployment = rest.iter().find(|object| object["kind"] == "Deployment");
        let pod = &deployment.unwrap()["spec"]["template"]["spec"];
        let env = pod["containers"][0]["env"].as_array().unwrap();
        let lease = env
            .iter()
            .find(|env| env["name"] == "DROVER_LEASE")
            .unwrap();
        // By this end `drover doctor` knows it.
        let lease = lease["value"].as_str().unwrap();
        assert!(lease.ends_with("drover-controller") && lease.len() <= 63);
    }
}
