//! The KafkaConsumer that is being made: only what was said, and where each part of it comes from.

use serde_json::{Map, Value, json};

use super::input::Object;
use super::notes::Spot;

/// A KafkaConsumer in the making. What is not set keeps its default and is not written.
#[derive(Debug)]
pub(super) struct Draft {
    /// Lines of comment for whoever reads it.
    pub head: Vec<String>,
    metadata: Map<String, Value>,
    spec: Value,
    /// Fields as [`crate::fleet::Problem`] names them, and where what they say comes from.
    origins: Vec<(String, Spot)>,
}

/// Labels that say who made an object, which is not so of the new one.
const OF_THE_MAKER: [&str; 2] = ["app.kubernetes.io/managed-by", "helm.sh/chart"];

impl Draft {
    /// With the name, the namespace and the labels of what it replaces.
    pub fn replacing(object: &Object) -> Self {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(object.name));
        if !object.namespace.is_empty() {
            metadata.insert("namespace".to_owned(), json!(object.namespace));
        }
        let labels = object.value["metadata"]["labels"].as_object();
        let mut labels = labels.cloned().unwrap_or_default();
        labels.retain(|name, _| !OF_THE_MAKER.contains(&name.as_str()));
        if !labels.is_empty() {
            metadata.insert("labels".to_owned(), Value::Object(labels));
        }
        Self {
            head: Vec::new(),
            metadata,
            spec: json!({}),
            origins: Vec::new(),
        }
    }

    /// Sets a field of the spec, such as `kafka.bootstrapServers`.
    pub fn set(&mut self, field: &str, value: impl Into<Value>, from: Option<Spot>) {
        let mut node = &mut self.spec;
        for part in field.split('.') {
            node = &mut node[part];
        }
        *node = value.into();
        if let Some(spot) = from {
            self.origins.push((format!("spec.{field}"), spot));
        }
    }

    pub fn get(&self, field: &str) -> &Value {
        field.split('.').fold(&self.spec, |node, part| &node[part])
    }

    /// A line of comment.
    pub fn remark(&mut self, line: impl Into<String>) {
        self.head.push(line.into());
    }

    pub fn document(&self) -> Value {
        json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": self.metadata,
            "spec": self.spec,
        })
    }

    /// Where what a field says comes from; what is within a field that was taken whole is within its origin.
    pub fn origin(&self, field: &str) -> Option<Spot> {
        let within = |whole: &str| match field.strip_prefix(whole) {
            Some("") => Some(""),
            Some(rest) => rest.starts_with(['.', '[']).then_some(rest),
            None => None,
        };
        let found = self
            .origins
            .iter()
            .filter_map(|(whole, spot)| Some((whole.len(), spot, within(whole)?)));
        let (_, spot, rest) = found.max_by_key(|(length, ..)| *length)?;
        // Only a pod template has the same fields there and here.
        let rest = match spot.field.ends_with("spec.template") {
            true => rest,
            false => "",
        };
        Some(Spot {
            field: format!("{}{rest}", spot.field),
            ..*spot
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_comes_from_where_the_innermost_that_holds_it_came_from() {
        let object =
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a" } });
        let mut draft = Draft::replacing(&Object::of(object).unwrap());
        let spot = Spot::object(3);
        draft.set("topics", json!(["a"]), Some(spot.then("spec.topic")));
        draft.set("template", json!({}), Some(spot.then("spec.template")));
        for (field, origin) in [
            ("spec.topics[0]", Some("spec.topic")),
            (
                "spec.template.spec.containers[0].env[1]",
                Some("spec.template.spec.containers[0].env[1]"),
            ),
            ("spec.topicsOf", None),
            ("spec.groupId", None),
        ] {
            let found = draft.origin(field).map(|spot| spot.field);
            assert_eq!(found.as_deref(), origin, "{field}");
        }
    }
}
