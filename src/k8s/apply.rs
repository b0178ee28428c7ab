//! Server-side apply that writes only when something changed, and notices what others changed.
//!
//! Whether a write is needed is decided from what was applied last and what the watch shows, so
//! that an object at rest costs nothing. The answer of an apply is the truth about what our fields
//! look like once defaults, webhooks and other spellings (`1000m` is `1`) have been at them.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use kube::api::{Api, Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::packed;

/// What was applied to one object, and how our fields looked afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// The object; another one of the same name was never applied to.
    pub uid: String,
    /// The resource version of our last write; a cache that shows an older one lags behind.
    pub version: u64,
    applied: u64,
    /// Packed, as they are rarely looked at.
    fields: Box<[u8]>,
}

impl Memory {
    fn new(desired: &Value, live: &Value) -> Self {
        Self {
            uid: text_at(live, "uid").to_owned(),
            version: version(live),
            applied: fingerprint(desired),
            fields: packed::pack(&projection(desired, live)).into(),
        }
    }
}

/// `desired` with a hash of itself as the annotation `name`, by which [`recognise`] knows it again.
pub fn signed(mut desired: Value, name: &str) -> Value {
    let hash = format!("{:016x}", fingerprint(&desired));
    let metadata = &mut desired["metadata"];
    if metadata["annotations"].is_null() {
        metadata["annotations"] = Value::Object(serde_json::Map::new());
    }
    metadata["annotations"][name] = Value::String(hash);
    desired
}

/// What an earlier process remembered of `live`, if `desired` is what was applied last and everything
/// still looks so. A field that the API server spells in another way is taken for a change: then it
/// is applied once more.
pub fn recognise(desired: &Value, live: &Value, name: &str) -> Option<Memory> {
    let signature = |object: &Value| {
        object["metadata"]["annotations"][name]
            .as_str()
            .map(str::to_owned)
    };
    let ours = signature(desired)?;
    (signature(live)? == ours && projection(desired, live) == *desired)
        .then(|| Memory::new(desired, live))
}

/// Whether to apply, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Everything is as it was applied.
    Nothing,
    /// The object does not exist and was never made by this process.
    Create,
    /// The object existed and is gone.
    Recreate,
    /// It should look different, or this process has not applied it yet.
    Update,
    /// Somebody else changed these fields.
    Drifted(Vec<String>),
}

/// Decides whether `desired` must be applied, given what is `live`.
pub fn need(memory: Option<&Memory>, desired: &Value, live: Option<&Value>) -> Need {
    match (memory, live) {
        (None, None) => Need::Create,
        (Some(_), None) => Need::Recreate,
        (None, Some(_)) => Need::Update,
        (Some(memory), Some(live)) => {
            if memory.uid != text_at(live, "uid") {
                return Need::Update;
            }
            if memory.applied != fingerprint(desired) {
                return Need::Update;
            }
            if memory.version == version(live) {
                return Need::Nothing;
            }
            let mut paths = Vec::new();
            let before = packed::unpack(&memory.fields);
            differences("", &before, &projection(desired, live), &mut paths);
            if paths.is_empty() {
                Need::Nothing
            } else {
                Need::Drifted(paths)
            }
        }
    }
}

/// Applies `desired` as `manager`, taking over fields that others hold.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn apply<K>(
    api: &Api<K>,
    name: &str,
    manager: &str,
    desired: &Value,
) -> Result<(K, Memory), kube::Error>
where
    K: Clone + Serialize + DeserializeOwned + Debug,
{
    let params = PatchParams::apply(manager).force();
    let live = api.patch(name, &params, &Patch::Apply(desired)).await?;
    let value = serde_json::to_value(&live).map_err(kube::Error::SerdeError)?;
    let memory = Memory::new(desired, &value);
    Ok((live, memory))
}

/// The resource version as a number: since Kubernetes 1.35 its order is part of the API, and it
/// has been a number with every version of etcd. 0 where it is absent.
pub fn version_of(meta: &kube::api::ObjectMeta) -> u64 {
    meta.resource_version
        .as_deref()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

fn version(object: &Value) -> u64 {
    text_at(object, "resourceVersion")
        .parse()
        .unwrap_or_default()
}

fn text_at<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn fingerprint(desired: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    desired.to_string().hash(&mut hasher);
    hasher.finish()
}

/// The part of `live` that `desired` speaks of. Elements of a list are told by `name` where they
/// have one, else by place.
fn projection(desired: &Value, live: &Value) -> Value {
    match (desired, live) {
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .filter_map(|(key, wanted)| Some((key.clone(), projection(wanted, found.get(key)?))))
            .collect(),
        (Value::Array(wanted), Value::Array(found)) => wanted
            .iter()
            .enumerate()
            .filter_map(|(place, wanted)| {
                let counterpart = match wanted.get("name") {
                    Some(name) => found
                        .iter()
                        .find(|element| element.get("name") == Some(name)),
                    None => found.get(place),
                };
                Some(projection(wanted, counterpart?))
            })
            .collect(),
        _ => live.clone(),
    }
}

/// The paths at which two projections differ.
fn differences(path: &str, before: &Value, now: &Value, paths: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            for key in before
                .keys()
                .chain(now.keys().filter(|key| !before.contains_key(*key)))
            {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let absent = &Value::Null;
                differences(
                    &path,
                    before.get(key).unwrap_or(absent),
                    now.get(key).unwrap_or(absent),
                    paths,
                );
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (place, (before, now)) in before.iter().zip(now).enumerate() {
                differences(&format!("{path}[{place}]"), before, now, paths);
            }
        }
        _ if before != now => paths.push(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn memory(desired: &Value, live: &Value) -> Memory {
        Memory::new(desired, live)
    }

    fn live(version: &str, cpu: &str, image: &str) -> Value {
        json!({
            "metadata": { "uid": "u", "resourceVersion": version, "labels": { "ours": "1", "theirs": version } },
            "spec": { "replicas": 3, "containers": [
                { "name": "injected", "image": version },
                { "name": "worker", "image": image, "cpu": cpu, "pullPolicy": "Always" },
            ]},
        })
    }

    fn desired() -> Value {
        json!({
            "metadata": { "labels": { "ours": "1" } },
            "spec": { "containers": [{ "name": "worker", "image": "a", "cpu": "1000m" }] },
        })
    }

    #[test]
    fn other_spellings_and_other_peoples_fields_are_no_drift() {
        let memory = memory(&desired(), &live("1", "1", "a"));
        let need = need(Some(&memory), &desired(), Some(&live("2", "1", "a")));
        assert_eq!(need, Need::Nothing);
    }

    const HASH: &str = "example.com/applied";

    /// As the API server gives it back, with fields of others.
    fn stored(desired: &Value) -> Value {
        let mut stored = desired.clone();
        stored["metadata"]["uid"] = json!("u");
        stored["metadata"]["resourceVersion"] = json!("7");
        stored["metadata"]["annotations"]["theirs"] = json!("1");
        stored["spec"]["replicas"] = json!(3);
        stored
    }

    #[test]
    fn what_an_earlier_process_applied_is_recognised() {
        let desired = signed(desired(), HASH);
        let live = stored(&desired);
        let memory = recognise(&desired, &live, HASH).expect("recognised");
        assert_eq!(need(Some(&memory), &desired, Some(&live)), Need::Nothing);
    }

    #[test]
    fn what_was_changed_meanwhile_or_is_wanted_otherwise_or_never_signed_is_not_recognised() {
        let signed_once = signed(desired(), HASH);
        let live = stored(&signed_once);
        let mut drifted = live.clone();
        drifted["spec"]["containers"][0]["image"] = json!("b");
        assert_eq!(recognise(&signed_once, &drifted, HASH), None);
        // A field that was wanted once and is not any more would stay.
        let mut less = desired();
        less["metadata"]["labels"] = json!({});
        assert_eq!(recognise(&signed(less, HASH), &live, HASH), None);
        let mut unsigned = live;
        unsigned["metadata"]["annotations"] = json!({});
        assert_eq!(recognise(&signed_once, &unsigned, HASH), None);
    }

    #[test]
    fn a_changed_field_of_ours_is_drift_and_named() {
        let memory = memory(&desired(), &live("1", "1", "a"));
        let need = need(Some(&memory), &desired(), Some(&live("2", "1", "b")));
        assert_eq!(need, Need::Drifted(vec!["spec.containers[0].image".into()]));
    }

    #[test]
    fn a_removed_container_is_drift() {
        let memory = memory(&desired(), &live("1", "1", "a"));
        let mut other = live("2", "1", "a");
        other["spec"]["containers"] = json!([{ "name": "injected" }]);
        assert!(matches!(
            need(Some(&memory), &desired(), Some(&other)),
            Need::Drifted(_)
        ));
    }

    #[test]
    fn what_was_never_applied_or_changed_or_replaced_is_applied() {
        let now = live("1", "1", "a");
        assert_eq!(need(None, &desired(), None), Need::Create);
        assert_eq!(need(None, &desired(), Some(&now)), Need::Update);
        let memory = memory(&desired(), &now);
        assert_eq!(need(Some(&memory), &desired(), None), Need::Recreate);
        let mut changed = desired();
        changed["spec"]["containers"][0]["image"] = json!("c");
        assert_eq!(need(Some(&memory), &changed, Some(&now)), Need::Update);
        let mut namesake = live("1", "1", "a");
        namesake["metadata"]["uid"] = json!("other");
        assert_eq!(
            need(Some(&memory), &desired(), Some(&namesake)),
            Need::Update
        );
    }
}
