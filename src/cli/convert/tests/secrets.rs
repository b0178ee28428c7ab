//! TLS and SASL: references to Secrets, and nothing of what is in them.

use serde_json::{Value, json};

use super::*;

const HUSH: &str = "hush-hush";

fn authentication(targets: &str) -> String {
    format!(
        "
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {{ name: kafka, namespace: shop }}
spec: {{ secretTargetRef: [{targets}] }}
"
    )
}

/// A Secret with all that a trigger may need, so that anything that is read of it would be seen.
fn secret(words: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{ name: kafka, namespace: shop }}
stringData: {{ username: {HUSH}, password: {HUSH}, ca: {HUSH}, cert: {HUSH}, key: {HUSH}, {words} }}
"
    )
}

fn targets(parameters: &[&str]) -> String {
    let targets = parameters
        .iter()
        .map(|parameter| format!("{{ parameter: {parameter}, name: kafka, key: {parameter} }}"));
    targets.collect::<Vec<_>>().join(", ")
}

fn trigger(metadata: &str) -> String {
    kafka(metadata).replace(
        "{ type: kafka,",
        "{ type: kafka, authenticationRef: { name: kafka },",
    )
}

fn of(metadata: &str, parameters: &[&str], words: &str, wishes: &Wishes) -> Outcome {
    let texts = [
        scaled("", &trigger(metadata)),
        deployment("", ""),
        authentication(&targets(parameters)),
        secret(words),
    ];
    let outcome = converted(&texts, wishes);
    let all = format!("{outcome:?}");
    assert!(!all.contains(HUSH), "{all}");
    outcome
}

fn named() -> Wishes {
    Wishes {
        sasl_username: Some("orders".to_owned()),
        ..Wishes::default()
    }
}

#[test]
fn sasl_and_tls_are_references_to_the_same_secrets() {
    let parameters = ["username", "password", "ca", "cert", "key"];
    let outcome = of("sasl: scram_sha512, tls: enable", &parameters, "", &named());
    assert_eq!(
        spec(&outcome)["kafka"],
        json!({
            "bootstrapServers": "kafka:9092",
            "sasl": { "mechanism": "ScramSha512", "username": "orders", "passwordSecret": { "name": "kafka", "key": "password" } },
            "tls": {
                "caSecret": { "name": "kafka", "key": "ca" },
                "certSecret": { "name": "kafka", "cert": "cert", "key": "key" },
            },
        })
    );
}

#[test]
fn the_mechanism_may_stand_in_the_secret() {
    let parameters = ["sasl", "tls", "username", "password"];
    for (words, mechanism, tls) in [
        ("sasl: plaintext, tls: enable", json!("Plain"), json!({})),
        (
            "sasl: ' scram_sha256 ', tls: disable",
            json!("ScramSha256"),
            Value::Null,
        ),
        ("sasl: none, tls: disable", Value::Null, Value::Null),
    ] {
        let outcome = of("", &parameters, words, &named());
        let kafka = &spec(&outcome)["kafka"];
        assert_eq!(kafka["sasl"]["mechanism"], mechanism, "{words}");
        assert_eq!(kafka["tls"], tls, "{words}");
    }
}

#[test]
fn what_only_a_secret_says_is_asked_for() {
    let parameters = ["sasl", "tls", "username", "password"];
    let outcome = of("", &parameters, "", &Wishes::default());
    assert_eq!(outcome.consumers.len(), 1);
    told(
        &outcome,
        "Incomplete spec.secretTargetRef[0]: which mechanism it is",
    );
    told(
        &outcome,
        "Incomplete spec.secretTargetRef[2]: the user's name stands in key username of Secret kafka",
    );
    told(
        &outcome,
        "Assumed spec.secretTargetRef[1]: what it says is not in the input; TLS was taken",
    );
    let wishes = Wishes {
        sasl_mechanism: Some("ScramSha256"),
        ..named()
    };
    let outcome = of("", &parameters, "", &wishes);
    assert_eq!(spec(&outcome)["kafka"]["sasl"]["mechanism"], "ScramSha256");
}

#[test]
fn what_drover_does_not_have_is_left_to_a_hand() {
    for mechanism in ["gssapi", "aws_msk_iam"] {
        let outcome = of(&format!("sasl: {mechanism}"), &["username"], "", &named());
        told(
            &outcome,
            &format!("Incomplete spec.triggers[0].metadata.sasl: {mechanism} is not carried"),
        );
        assert_eq!(
            outcome.consumers[0].document["spec"]["kafka"]["sasl"],
            Value::Null
        );
    }
    let apart = "{ parameter: cert, name: a, key: c }, { parameter: key, name: b, key: k }";
    let texts = [
        scaled("", &trigger("tls: enable")),
        deployment("", ""),
        authentication(apart),
    ];
    told(
        &converted(&texts, &named()),
        "Incomplete spec.secretTargetRef[0]: the certificate and its key are not in one Secret",
    );
    let identity =
        authentication("").replace("secretTargetRef: []", "podIdentity: { provider: aws }");
    let texts = [scaled("", &trigger("")), deployment("", ""), identity];
    told(
        &converted(&texts, &named()),
        "Incomplete spec.podIdentity: ",
    );
}

/// An authentication with OAuth 2.0, whose further words stand in a ConfigMap.
fn with_oauth(words: &str, wishes: &Wishes) -> Outcome {
    let parameters: Vec<&str> = words
        .split("; ")
        .filter_map(|word| word.split(": ").next())
        .collect();
    let config_targets = targets(&parameters);
    let authentication = authentication(&targets(&["username", "password"])).replace(
        "secretTargetRef:",
        &format!("configMapTargetRef: [{config_targets}], secretTargetRef:"),
    );
    let data: String = words
        .split("; ")
        .map(|word| format!("  {word}\n"))
        .collect();
    let config_map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: kafka, namespace: shop }}\ndata:\n{data}"
    );
    let texts = [
        scaled("", &trigger("sasl: oauthbearer")),
        deployment("", ""),
        authentication,
        secret(""),
        config_map,
    ];
    let outcome = converted(&texts, wishes);
    let all = format!("{outcome:?}");
    assert!(!all.contains(HUSH), "{all}");
    outcome
}

#[test]
fn oauth_with_client_credentials_is_carried() {
    let words = "oauthTokenEndpointUri: https://login.example.com/token; scopes: 'kafka,events'; oauthExtensions: 'logicalCluster=lkc-1'; saslTokenProvider: bearer";
    let outcome = with_oauth(words, &named());
    assert_eq!(
        spec(&outcome)["kafka"]["sasl"],
        json!({
            "mechanism": "OAuthBearer",
            "oauth": {
                "tokenEndpoint": "https://login.example.com/token",
                "clientId": "orders",
                "clientSecret": { "name": "kafka", "key": "password" },
                "scope": "kafka events",
                "extensions": { "logicalCluster": "lkc-1" },
            },
        })
    );
}

#[test]
fn of_oauth_what_is_not_in_the_input_or_a_clouds_own_is_left_to_a_hand() {
    let outcome = with_oauth(
        "oauthTokenEndpointUri: https://login.example.com/token",
        &Wishes::default(),
    );
    told(
        &outcome,
        "Incomplete spec.secretTargetRef[0]: the client's id stands in key username of Secret kafka",
    );
    let outcome = with_oauth("scopes: kafka", &named());
    told(
        &outcome,
        "Incomplete spec.triggers[0].metadata.sasl: the address that gives tokens stands in nowhere",
    );
    let outcome = with_oauth("saslTokenProvider: aws_msk_iam", &named());
    told(
        &outcome,
        "Incomplete spec.configMapTargetRef[0]: tokens of aws_msk_iam are not to be had here",
    );
    assert_eq!(
        outcome.consumers[0].document["spec"]["kafka"]["sasl"],
        Value::Null
    );
}

#[test]
fn an_authentication_that_is_not_there_is_asked_for() {
    let texts = [scaled("", &trigger("")), deployment("", "")];
    refused(
        &converted(&texts, &named()),
        "kubectl get triggerauthentication -n shop kafka -o yaml",
    );
    let of_the_cluster = trigger("sasl: plaintext").replace(
        "{ name: kafka }",
        "{ name: kafka, kind: ClusterTriggerAuthentication }",
    );
    let cluster = authentication(&targets(&["username", "password"]))
        .replace(
            "kind: TriggerAuthentication",
            "kind: ClusterTriggerAuthentication",
        )
        .replace(", namespace: shop", "");
    let outcome = converted(
        &[scaled("", &of_the_cluster), deployment("", ""), cluster],
        &named(),
    );
    spec(&outcome);
    told(
        &outcome,
        "Assumed spec.secretTargetRef: its Secrets lie in KEDA's namespace",
    );
}

#[test]
fn the_programs_environment_may_have_the_name_and_the_reference() {
    let authentication = authentication("").replace(
        "secretTargetRef: []",
        "env: [{ parameter: username, name: NAME }, { parameter: password, name: PASSWORD }]",
    );
    let env = "env: [{ name: NAME, value: ann }, { name: PASSWORD, valueFrom: { secretKeyRef: { name: orders, key: pass } } }]";
    let texts = [
        scaled("", &trigger("sasl: plaintext")),
        deployment("", env),
        authentication,
    ];
    let outcome = converted(&texts, &Wishes::default());
    assert_eq!(
        spec(&outcome)["kafka"]["sasl"],
        json!({ "mechanism": "Plain", "username": "ann", "passwordSecret": { "name": "orders", "key": "pass" } })
    );
}
