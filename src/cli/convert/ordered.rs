//! Fields in the order in which people write them, not in that of the alphabet.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

/// What stands first, wherever it stands; everything else follows by the alphabet.
const FIRST: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "kafka",
    "bootstrapServers",
    "tls",
    "sasl",
    "mechanism",
    "username",
    "passwordSecret",
    "topics",
    "groupId",
    "startAt",
    "handler",
    "http",
    "consumer",
    "url",
    "format",
    "timeout",
    "delivery",
    "ordering",
    "retry",
    "attempts",
    "initialBackoff",
    "maxBackoff",
    "scaling",
    "mode",
    "days",
    "daysOfMonth",
    "from",
    "to",
    "timeZone",
    "minReplicas",
    "maxReplicas",
    "maxDelay",
    "idleTimeToZero",
    "schedule",
    "paused",
    "template",
    "serviceAccountName",
    "initContainers",
    "containers",
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "value",
];

/// A value that is written in that order.
pub(super) struct Ordered<'a>(pub &'a Value);

fn rank(key: &str) -> usize {
    let place = FIRST.iter().position(|first| *first == key);
    place.unwrap_or(FIRST.len())
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(key, _)| rank(key));
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, &Ordered(value))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Ordered(item))?;
                }
                list.end()
            }
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml;

    #[test]
    fn fields_stand_as_people_write_them() {
        let value = json!({
            "spec": { "containers": [{ "env": [{ "value": "b", "name": "a" }], "name": "app", "image": "x" }] },
            "metadata": { "namespace": "shop", "name": "orders" },
            "kind": "K",
        });
        let text = yaml::to_string(&Ordered(&value)).unwrap();
        let order = [
            "kind",
            "metadata",
            "name: orders",
            "namespace",
            "spec",
            "name: app",
            "image",
            "env",
            "name: a\n",
            "value",
        ];
        let places: Vec<usize> = order.iter().map(|word| text.find(word).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }
}
