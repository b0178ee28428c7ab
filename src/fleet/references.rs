//! What a KafkaConsumer refers to, and what looking it up has found.

use std::collections::{BTreeMap, BTreeSet};

use super::digest::{bits, digest};
use super::pod_references::{self, Kind, PodReference};
use super::problem::Problems;
use super::secrets::{SecretFile, SecretValue, of_kafka, secret_files};
use crate::api::names::reason;
use crate::api::{KafkaConsumer, KafkaConsumerSpec};

/// More Secrets and ConfigMaps than this are not looked up for one resource: each is a question to the
/// API server, again and again, and others wait meanwhile.
const MOST: usize = 256;

/// What to look up before [`super::validate`], all in the resource's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Names of Secrets.
    pub secrets: BTreeSet<String>,
    /// Values in these Secrets that connections to Kafka need. No other value is kept.
    pub credentials: BTreeSet<SecretValue>,
    /// Names of ConfigMaps.
    pub config_maps: BTreeSet<String>,
    /// Names of topics, the dead-letter topic among them.
    pub topics: BTreeSet<String>,
}

/// What looking something up has found. Not knowing is not the same as knowing that it is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Known<T> {
    /// It was not looked up, or could not be.
    #[default]
    Unknown,
    /// It does not exist.
    Missing,
    /// It exists.
    Found(T),
}

/// A Secret or ConfigMap, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The keys that it has, each with what changes when its value does.
    keys: BTreeMap<String, [u8; 8]>,
    /// Changes when any value does.
    hash: String,
}

impl Contents {
    /// Takes keys and values of a Secret's or ConfigMap's data; keeps no value.
    pub fn of<'a>(data: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let sorted: BTreeMap<&str, &[u8]> = data.into_iter().collect();
        Self {
            hash: digest(
                sorted
                    .iter()
                    .flat_map(|(key, value)| [key.as_bytes(), value]),
            ),
            keys: sorted
                .iter()
                .map(|(key, value)| ((*key).to_owned(), bits([value])))
                .collect(),
        }
    }

    /// Changes when a value of one of these keys does; where none is named all are used.
    fn hash_of(&self, named: &BTreeSet<String>) -> String {
        if named.is_empty() {
            return self.hash.clone();
        }
        digest(named.iter().flat_map(|key| {
            let value = self.keys.get(key);
            [key.as_bytes(), value.map_or(&[][..], |bits| &bits[..])]
        }))
    }
}

/// What looking up [`Wanted`] has found. A name that is not in here is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Secrets by name.
    pub secrets: BTreeMap<String, Known<Contents>>,
    /// ConfigMaps by name.
    pub config_maps: BTreeMap<String, Known<Contents>>,
    /// Topics by name, with their number of partitions.
    pub topics: BTreeMap<String, Known<u32>>,
}

/// What to look up before [`super::validate`].
pub fn references(consumer: &KafkaConsumer) -> Wanted {
    let mut wanted = Wanted::default();
    let named = all_references(&consumer.spec);
    for reference in if are_too_many(&named) {
        Vec::new()
    } else {
        named
    } {
        match reference.kind {
            Kind::Secret => wanted.secrets.insert(reference.name),
            Kind::ConfigMap => wanted.config_maps.insert(reference.name),
        };
    }
    let credentials = of_kafka(&consumer.spec.kafka);
    wanted.credentials = credentials.iter().map(SecretFile::value).collect();
    wanted.topics = topics(&consumer.spec)
        .map(|(_, name)| name.to_owned())
        .collect();
    wanted
}

fn are_too_many(references: &[PodReference]) -> bool {
    let names: BTreeSet<_> = references
        .iter()
        .map(|reference| (reference.kind, reference.name.as_str()))
        .collect();
    names.len() > MOST
}

fn pod_references(spec: &KafkaConsumerSpec) -> Vec<PodReference> {
    let pod = spec
        .template
        .as_ref()
        .and_then(|template| template.spec.as_ref());
    let mut found = pod.map(pod_references::collect).unwrap_or_default();
    found.extend(secret_files(spec).into_iter().map(Into::into));
    found
}

/// What the pods need, and what only the controller does.
fn all_references(spec: &KafkaConsumerSpec) -> Vec<PodReference> {
    let mut found = pod_references(spec);
    if spec.handler.consumer.is_some() {
        found.extend(of_kafka(&spec.kafka).into_iter().map(Into::into));
    }
    found
}

impl From<SecretFile> for PodReference {
    fn from(file: SecretFile) -> Self {
        Self {
            kind: Kind::Secret,
            name: file.secret,
            keys: [file.key].into(),
            optional: false,
            field: file.field.into_owned(),
        }
    }
}

/// Every topic with its field.
fn topics(spec: &KafkaConsumerSpec) -> impl Iterator<Item = (String, &str)> {
    let consumed = spec.topics.iter().enumerate();
    let dead_letter = spec
        .delivery
        .iter()
        .flat_map(|delivery| &delivery.dead_letter);
    consumed
        .map(|(index, topic)| (format!("spec.topics[{index}]"), topic.as_str()))
        .chain(dead_letter.map(|dead_letter| {
            (
                "spec.delivery.deadLetter.topic".to_owned(),
                dead_letter.topic.as_str(),
            )
        }))
        .chain(spec.retry_topic().map(|topic| {
            let field = "spec.delivery.deadLetter.retryTopic";
            (field.to_owned(), topic)
        }))
}

impl References {
    fn contents(&self, kind: Kind, name: &str) -> &Known<Contents> {
        let kept = match kind {
            Kind::Secret => &self.secrets,
            Kind::ConfigMap => &self.config_maps,
        };
        kept.get(name).unwrap_or(&Known::Unknown)
    }

    /// Adds a problem for everything that is known to be missing.
    pub(super) fn check(&self, spec: &KafkaConsumerSpec, problems: &mut Problems) {
        let named = all_references(spec);
        if are_too_many(&named) {
            const FIELD: &str = "spec.template.spec";
            problems.template(FIELD, format!("{FIELD} names more than {MOST} Secrets and ConfigMaps; put what belongs together into one"));
        }
        for reference in named.iter().filter(|reference| !reference.optional) {
            self.check_pod_reference(reference, problems);
        }
        for (field, topic) in topics(spec) {
            if self.topics.get(topic) == Some(&Known::Missing) {
                problems.missing(
                    reason::TOPIC_NOT_FOUND,
                    &field,
                    format!("topic \"{topic}\" named in {field} does not exist; create it or correct the name"),
                );
            }
        }
    }

    fn check_pod_reference(&self, reference: &PodReference, problems: &mut Problems) {
        let PodReference {
            kind, name, field, ..
        } = reference;
        let (word, not_found) = match kind {
            Kind::Secret => ("secret", reason::SECRET_NOT_FOUND),
            Kind::ConfigMap => ("configmap", reason::CONFIG_MAP_NOT_FOUND),
        };
        // What the worker itself needs cannot be.
        let optional = if field.starts_with("spec.template") {
            ", or mark it optional"
        } else {
            ""
        };
        match self.contents(*kind, name) {
            Known::Unknown => {}
            Known::Missing => problems.missing(
                not_found,
                field,
                format!("{word} \"{name}\" named in {field} does not exist; create it, or correct the name{optional}"),
            ),
            Known::Found(contents) => {
                let missing = |key: &&String| !contents.keys.contains_key(*key);
                for key in reference.keys.iter().filter(missing) {
                    problems.missing(
                        reason::KEY_NOT_FOUND,
                        field,
                        format!("{word} \"{name}\" has no key \"{key}\", which {field} needs; add the key, or correct it{optional}"),
                    );
                }
            }
        }
    }

    /// A hash over the contents of everything that the template names, and of nothing beside it.
    pub(super) fn contents_hash(&self, spec: &KafkaConsumerSpec) -> String {
        let parts = pod_references(spec).into_iter().flat_map(|reference| {
            let hash = match self.contents(reference.kind, &reference.name) {
                // Files have no cluster. Whoever applies must have looked up: a failed look-up
                // that went on from here would roll the pods.
                Known::Unknown => "unknown".to_owned(),
                Known::Missing => "missing".to_owned(),
                Known::Found(contents) => contents.hash_of(&reference.keys),
            };
            [format!("{:?}/{}", reference.kind, reference.name), hash]
        });
        digest(parts)
    }
}
