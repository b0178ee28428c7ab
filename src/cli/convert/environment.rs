//! What a container finds in its environment, as far as the input says.

use serde_json::Value;

use super::input::Input;

/// A value that another object gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It is written.
    Word(String),
    /// It is in a Secret; what it is is not asked.
    Secret { name: String, key: String },
    /// It is somewhere that the input does not show; where, in words.
    Elsewhere(String),
}

impl Given {
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Secret { .. } | Self::Elsewhere(_) => None,
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Word(_) => "the input".to_owned(),
            Self::Secret { name, key } => format!("key {key} of Secret {name}"),
            Self::Elsewhere(place) => place.clone(),
        }
    }
}

/// The environment of one container.
pub(super) struct Environment<'a> {
    pub input: &'a Input,
    pub namespace: &'a str,
    pub container: &'a Value,
}

impl Environment<'_> {
    /// What it has under a name; none where it has nothing.
    pub fn get(&self, name: &str) -> Option<Given> {
        // Where a name stands twice the last counts, and what is written counts before what is taken in.
        let entries = self.container["env"].as_array();
        let written = entries
            .into_iter()
            .flatten()
            .rev()
            .find(|entry| entry["name"] == name);
        match written {
            Some(entry) => Some(self.entry(entry)),
            None => self.taken_in(name),
        }
    }

    fn entry(&self, entry: &Value) -> Given {
        let from = &entry["valueFrom"];
        if let Some(text) = entry["value"].as_str() {
            return match text.contains("$(") {
                true => Given::Elsewhere("a value that the pod puts together".to_owned()),
                false => Given::Word(text.to_owned()),
            };
        }
        if let Some((name, key)) = reference(&from["secretKeyRef"]) {
            return Given::Secret { name, key };
        }
        if let Some((name, key)) = reference(&from["configMapKeyRef"]) {
            let value = self.input.config(self.namespace, &name, &key);
            return value.map_or_else(
                || {
                    Given::Elsewhere(format!(
                        "key {key} of ConfigMap {name}, which is not in the input"
                    ))
                },
                Given::Word,
            );
        }
        match from.is_null() {
            true => Given::Word(String::new()),
            false => Given::Elsewhere("a field of the pod".to_owned()),
        }
    }

    fn taken_in(&self, name: &str) -> Option<Given> {
        let sources = self.container["envFrom"].as_array();
        sources.into_iter().flatten().rev().find_map(|source| {
            let prefix = source["prefix"].as_str().unwrap_or_default();
            let key = name.strip_prefix(prefix)?;
            let config_map = source["configMapRef"]["name"].as_str()?;
            let value = self.input.config(self.namespace, config_map, key)?;
            Some(Given::Word(value))
        })
    }
}

/// The name and the key of a `secretKeyRef` and its like.
pub(super) fn reference(value: &Value) -> Option<(String, String)> {
    let part = |name: &str| value[name].as_str().map(str::to_owned);
    Some((part("name")?, part("key")?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::convert::input::Object;

    #[test]
    fn what_is_written_or_in_a_config_map_is_found_and_secrets_are_named() {
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "kafka", "namespace": "shop" },
            "data": { "BROKERS": "kafka:9092", "topic": "orders" },
        });
        let input = Input(vec![Object::of(config).unwrap()]);
        let container = json!({
            "env": [
                { "name": "TOPIC", "value": "old" },
                { "name": "TOPIC", "valueFrom": { "configMapKeyRef": { "name": "kafka", "key": "topic" } } },
                { "name": "GROUP", "value": "shop-$(TOPIC)" },
                { "name": "USER", "valueFrom": { "secretKeyRef": { "name": "kafka", "key": "user" } } },
                { "name": "OTHER", "valueFrom": { "configMapKeyRef": { "name": "other", "key": "x" } } },
                { "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
            ],
            "envFrom": [{ "prefix": "KAFKA_", "configMapRef": { "name": "kafka" } }],
        });
        let environment = Environment {
            input: &input,
            namespace: "shop",
            container: &container,
        };
        let secret = Given::Secret {
            name: "kafka".to_owned(),
            key: "user".to_owned(),
        };
        assert_eq!(
            environment.get("TOPIC"),
            Some(Given::Word("orders".to_owned()))
        );
        assert_eq!(
            environment.get("KAFKA_BROKERS"),
            Some(Given::Word("kafka:9092".to_owned()))
        );
        assert_eq!(environment.get("USER"), Some(secret));
        assert_eq!(environment.get("NONE"), None);
        for name in ["GROUP", "OTHER", "NODE"] {
            let found = environment.get(name);
            assert!(
                matches!(found, Some(Given::Elsewhere(_))),
                "{name}: {found:?}"
            );
        }
    }
}
