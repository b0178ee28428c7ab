//! Where it is for a list of namespaces: rights end there, and network policies are where workers are.

use serde_json::json;

use super::{has, one, rendered};

#[test]
fn for_a_list_of_namespaces_there_are_no_rights_beyond_them() {
    let chart = rendered(&["--set", "namespaces={shop,billing}"]);
    assert!(!has(&chart, "ClusterRole") && !has(&chart, "ClusterRoleBinding"));
    let everywhere = rendered(&[]);
    let rules = &one(&everywhere, "ClusterRole", "drover-controller")["rules"];
    for kind in ["Role", "RoleBinding"] {
        let name = "drover-controller";
        let mut of_all = chart.iter().filter(|object| object["kind"] == kind);
        for namespace in ["shop", "billing"] {
            let here = of_all.find(|object| {
                object["metadata"]["namespace"] == namespace && object["metadata"]["name"] == name
            });
            let here = here.unwrap_or_else(|| panic!("no {kind} in {namespace}"));
            if kind == "Role" {
                assert_eq!(&here["rules"], rules, "{namespace}");
            } else {
                assert_eq!(here["subjects"][0]["namespace"], "drover-system");
            }
        }
    }
    let users: Vec<_> = chart
        .iter()
        .filter(|object| object["metadata"]["name"] == "drover-controller-edit")
        .map(|object| (&object["kind"], &object["metadata"]["namespace"]))
        .collect();
    assert_eq!(
        users,
        [
            (&json!("Role"), &json!("shop")),
            (&json!("Role"), &json!("billing"))
        ]
    );
    let deployment = one(&chart, "Deployment", "drover-controller");
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let wanted = json!({"name": "DROVER_NAMESPACES", "value": "shop,billing"});
    assert!(env.as_array().unwrap().contains(&wanted), "{env}");
}

#[test]
fn network_policies_are_for_the_controller_and_for_workers_where_they_are() {
    let on = "networkPolicy.enabled=true,networkPolicy.workerNamespaces={shop,users}";
    let peers = r#"networkPolicy.metricsFrom=[{"namespaceSelector":{"matchLabels":{"name":"monitoring"}}}]"#;
    let both = [
        "--set",
        on,
        "--set",
        "namespaces={shop}",
        "--set-json",
        peers,
    ];
    let chart = rendered(&both);
    let policies: Vec<_> = chart
        .iter()
        .filter(|object| object["kind"] == "NetworkPolicy")
        .collect();
    let mut found: Vec<_> = policies
        .iter()
        .map(|policy| {
            let meta = &policy["metadata"];
            (
                meta["namespace"].as_str().unwrap(),
                meta["name"].as_str().unwrap(),
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("drover-system", "drover-controller"),
            ("shop", "drover-controller-workers"),
            ("users", "drover-controller-workers"),
        ]
    );
    for policy in policies {
        let ingress = &policy["spec"]["ingress"][0];
        assert_eq!(
            ingress["ports"],
            json!([{"port": "admin", "protocol": "TCP"}])
        );
        assert_eq!(
            ingress["from"][0]["namespaceSelector"]["matchLabels"]["name"],
            "monitoring"
        );
    }
}
