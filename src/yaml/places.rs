//! Where in a document a field stands.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A line and a column, both from 1.
pub type Place = (usize, usize);

/// The places of a document's fields; of one that was not written as YAML there are none.
#[derive(Debug, Default, PartialEq)]
pub struct Places {
    root: Option<Node>,
    /// Lines of the file before the document.
    before: usize,
}

#[derive(Debug, PartialEq)]
enum Node {
    Map(Vec<(String, Place, Self)>),
    List(Vec<(Place, Self)>),
    Text(String),
    Other,
}

impl Places {
    /// Of a document that begins on this line of its file.
    pub(super) fn of(text: &str, line: usize) -> Self {
        Self {
            root: serde_saphyr::from_str(text).ok(),
            before: line - 1,
        }
    }

    /// Where `field` stands, such as `spec.topics[0]` or `spec.template.spec.containers[app].image`; where it is missing,
    /// what it is missing in. None where not even that is there.
    pub fn find(&self, field: &str) -> Option<Place> {
        let mut node = self.root.as_ref()?;
        let mut found = None;
        for part in parts(field) {
            let next = match node {
                Node::Map(entries) => entries
                    .iter()
                    .find(|(name, ..)| name == part)
                    .map(|(_, place, node)| (*place, node)),
                Node::List(items) => match part.parse::<usize>() {
                    Ok(index) => items.get(index),
                    Err(_) => items.iter().find(|(_, item)| item.is_named(part)),
                }
                .map(|(place, node)| (*place, node)),
                Node::Text(_) | Node::Other => None,
            };
            let Some((place, inner)) = next else {
                break;
            };
            (found, node) = (Some(place), inner);
        }
        found.map(|(line, column)| (line + self.before, column))
    }
}

impl Node {
    /// It has a `name`, as containers and their like are told apart by.
    fn is_named(&self, wanted: &str) -> bool {
        let Self::Map(entries) = self else {
            return false;
        };
        let mut entries = entries.iter();
        entries.any(|(key, _, value)| {
            key == "name" && matches!(value, Self::Text(text) if text == wanted)
        })
    }
}

/// `a.b[c.d][0]` is `a`, `b`, `c.d` and `0`.
fn parts(field: &str) -> impl Iterator<Item = &str> {
    let mut rest = field;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('.');
        if rest.is_empty() {
            return None;
        }
        let part;
        if let Some(inner) = rest.strip_prefix('[') {
            (part, rest) = inner.split_once(']').unwrap_or((inner, ""));
        } else {
            (part, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        }
        Some(part)
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let place = place(&key);
            entries.push((key.value, place, map.next_value()?));
        }
        Ok(Node::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Spanned<Node>>()? {
            let place = place(&item);
            items.push((place, item.value));
        }
        Ok(Node::List(items))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

fn place<T>(spanned: &Spanned<T>) -> Place {
    let whole = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let at = &spanned.referenced;
    (whole(at.line()), whole(at.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_where_it_stands_and_a_missing_one_where_it_would_be() {
        let text = "apiVersion: v1\nspec:\n  topics: [a, b]\n  kafka:\n    properties:\n      group.id: x\n  template:\n    spec:\n      containers:\n        - name: app\n          image: app:1\n";
        let places = Places::of(text, 11);
        for (field, place) in [
            ("spec.topics", Some((13, 3))),
            ("spec.topics[1]", Some((13, 15))),
            ("spec.kafka.properties[group.id]", Some((16, 7))),
            ("spec.template.spec.containers[0].image", Some((21, 11))),
            ("spec.template.spec.containers[app].image", Some((21, 11))),
            ("spec.template.spec.containers[app].command", Some((20, 11))),
            ("spec.handler", Some((12, 1))),
            ("metadata.name", None),
            ("", None),
        ] {
            assert_eq!(places.find(field), place, "{field}");
        }
        assert_eq!(Places::of("a: [", 1).find("a"), None);
        assert_eq!(Places::default().find("a"), None);
    }
}
