//! `spec.kafka`: where Kafka is and how to speak to it.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::idempotency::SecretKey;
use crate::api::text;

/// Where Kafka is and how to speak to it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.groupProtocol) || self.groupProtocol != 'Consumer' || !has(self.properties) || !self.properties.exists(name, name in ['partition.assignment.strategy', 'session.timeout.ms', 'heartbeat.interval.ms'])",
                  "spec.kafka.properties: partition.assignment.strategy, session.timeout.ms and heartbeat.interval.ms are for spec.kafka.groupProtocol Classic, but it is Consumer, with which they are the broker's matter; remove them"),
    validation = ("(has(self.groupProtocol) && self.groupProtocol == 'Consumer') || !has(self.properties) || !('group.remote.assignor' in self.properties)",
                  "spec.kafka.properties: group.remote.assignor is for spec.kafka.groupProtocol Consumer, but it is Classic; remove it or change the protocol"),
    validation = ("!has(self.properties) || !('partition.assignment.strategy' in self.properties) || self.properties['partition.assignment.strategy'].matches('^ *(cooperative-sticky|range( *, *roundrobin)?|roundrobin( *, *range)?) *$')",
                  "spec.kafka.properties: partition.assignment.strategy names the assignors of the group, and eager and cooperative ones do not mix; write cooperative-sticky, range, roundrobin, or range,roundrobin"),
)]
pub struct Kafka {
    /// Brokers to begin with: `host:port`, several with commas.
    #[schemars(schema_with = "text::bootstrap_servers")]
    pub bootstrap_servers: String,

    /// TLS to the brokers. Default: none, connections are in the clear. `tls: {}` is TLS with the public
    /// authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTls>,

    /// Who we are, to brokers that ask. Default: nobody, or with `tls.certSecret` the owner of that
    /// certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<KafkaSasl>,

    /// How members of the group agree on partitions: `Classic` (any broker; cooperative-sticky
    /// assignment, or the eager `range` or `roundrobin` if `partition.assignment.strategy` in
    /// `properties` says so) or `Consumer` (KIP-848, Kafka 4.0 and later).
    #[serde(default)]
    pub group_protocol: GroupProtocol,

    /// Further properties for librdkafka, such as `fetch.wait.max.ms: "100"`. Those that Drover
    /// sets itself (those of `tls` and `sasl` among them), that hold secrets or that librdkafka does not know are refused by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "text::properties")]
    pub properties: BTreeMap<String, String>,
}

/// How members of a group agree on partitions.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// JoinGroup and SyncGroup, with the cooperative-sticky assignor unless another is chosen.
    #[default]
    Classic,
    /// KIP-848: the broker assigns.
    Consumer,
}

/// TLS to the brokers.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTls {
    /// The Secret with the certificates, in PEM, of those that may sign the brokers'. Default: the
    /// public authorities, as browsers have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretKey>,

    /// The Secret with a certificate of ours and its private key, for brokers that ask for one (mutual
    /// TLS). Default: none is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret: Option<CertSecret>,

    /// Whether the name under which a broker is called must be in its certificate. Default true;
    /// with false, whoever has any certificate of these authorities can stand in for a broker.
    #[serde(default = "KafkaTls::default_verify_hostname")]
    pub verify_hostname: bool,
}

impl KafkaTls {
    fn default_verify_hostname() -> bool {
        true
    }
}

/// A Secret with a certificate and its private key, in PEM, in the resource's own namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CertSecret {
    /// The Secret's name.
    #[schemars(schema_with = "text::secret_name")]
    pub name: String,

    /// The key in it of the certificate, with those that lead to its authority. Default `tls.crt`, as
    /// in Secrets of type `kubernetes.io/tls`.
    #[serde(default = "CertSecret::default_cert")]
    #[schemars(schema_with = "text::secret_key")]
    pub cert: String,

    /// The key in it of the private key, without a passphrase. Default `tls.key`.
    #[serde(default = "CertSecret::default_key")]
    #[schemars(schema_with = "text::secret_key")]
    pub key: String,
}

impl CertSecret {
    fn default_cert() -> String {
        "tls.crt".to_owned()
    }

    fn default_key() -> String {
        "tls.key".to_owned()
    }
}

/// Who we are, to brokers that ask by SASL.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "self.mechanism == 'OAuthBearer' || (has(self.username) && has(self.passwordSecret))", "message": "spec.kafka.sasl needs username and passwordSecret with this mechanism; add what is missing" },
    { "rule": "self.mechanism == 'OAuthBearer' || !has(self.oauth)", "message": "spec.kafka.sasl.oauth goes with mechanism OAuthBearer; remove it, or choose that" },
    { "rule": "self.mechanism != 'OAuthBearer' || has(self.oauth)", "message": "spec.kafka.sasl.oauth is missing: OAuthBearer gets its tokens with it; add tokenEndpoint, clientId and clientSecret" },
    { "rule": "self.mechanism != 'OAuthBearer' || (!has(self.username) && !has(self.passwordSecret))", "message": "spec.kafka.sasl.username and passwordSecret are not for OAuthBearer, which has oauth.clientId and oauth.clientSecret; remove them" }
]))]
pub struct KafkaSasl {
    /// How the password is proved: `Plain` (it is sent as it is: only with `tls`, unless the network
    /// is trusted), `ScramSha256` or `ScramSha512`; or `OAuthBearer`, a token that another server gives.
    pub mechanism: SaslMechanism,

    /// The user. Not with `OAuthBearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub username: Option<String>,

    /// The Secret with the password. Not with `OAuthBearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretKey>,

    /// Where tokens come from, for `OAuthBearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<KafkaOauth>,
}

/// Where tokens come from: OAuth 2.0 with client credentials, as OpenID Connect providers have it. Whoever
/// connects, workers and controller, gets tokens for itself, and new ones before they expire.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": r"self.allowHttp || self.tokenEndpoint.matches(r'^(https://|http://(localhost|127([.][0-9]+){3}|\[::1\])([:/]|$))')", "message": "spec.kafka.sasl.oauth.tokenEndpoint is http://, which sends the client's secret in the clear; use https://, or set allowHttp: true where the network is trusted" }
]))]
pub struct KafkaOauth {
    /// The address that gives tokens, such as `https://login.example.com/oauth2/token`. Workers and controller
    /// must reach it; redirects are not followed.
    #[schemars(schema_with = "text::token_endpoint")]
    pub token_endpoint: String,

    /// Who we are, to it.
    #[schemars(length(min = 1, max = 1024))]
    pub client_id: String,

    /// The Secret with the client's secret.
    pub client_secret: SecretKey,

    /// What tokens are to be for; several with blanks. Default: what the server gives without being asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub scope: Option<String>,

    /// Whom tokens are to be shown to, where the server wants it said, such as `https://kafka.example.com`. Default:
    /// not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub audience: Option<String>,

    /// What brokers are told beside the token (SASL extensions), such as `logicalCluster: lkc-1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "text::extensions")]
    pub extensions: BTreeMap<String, String>,

    /// The Secret with the certificates, in PEM, of those that may sign the server's. Default: the public
    /// authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretKey>,

    /// Whether `tokenEndpoint` may be `http://`, so that the client's secret and the tokens are sent in the clear: only
    /// where the network is trusted, or encrypts by itself. Default false; an address of the pod's own, such as
    /// `http://localhost:8080/token`, needs it not.
    #[serde(default)]
    pub allow_http: bool,
}

/// How a password is proved, or what is shown instead of one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// RFC 4616.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802 with SHA-512.
    ScramSha512,
    /// RFC 7628: a token instead of a password.
    OAuthBearer,
}
