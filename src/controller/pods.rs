//! Pods by fleet: whoever asks for a fleet's does not look through those of all.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

use super::fleets::FleetKey;
use super::watches::owner;
use crate::api::names::LABEL_CONSUMER;

/// The pods that the watch shows.
pub struct Pods {
    store: Store<Pod>,
    names: Arc<Names>,
}

/// Names of pods by fleet, told of each event of the watch after the store was. One that is gone may
/// still be in here; the store knows.
#[derive(Debug, Default)]
pub struct Names(Mutex<Known>);

type ByFleet = HashMap<FleetKey, BTreeSet<String>>;

#[derive(Debug, Default)]
struct Known {
    current: ByFleet,
    /// Of a list that is not complete yet: the store shows it all at once.
    coming: ByFleet,
}

impl Names {
    /// Takes note of what the watch tells.
    pub fn note(&self, event: &Event<Pod>) {
        let Known { current, coming } = &mut *self.lock();
        match event {
            Event::Init => coming.clear(),
            Event::InitApply(pod) => insert(coming, pod),
            Event::InitDone => *current = std::mem::take(coming),
            Event::Apply(pod) => insert(current, pod),
            Event::Delete(pod) => remove(current, pod),
        }
    }

    fn of(&self, key: &FleetKey) -> Vec<String> {
        let known = self.lock();
        known
            .current
            .get(key)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert(fleets: &mut ByFleet, pod: &Pod) {
    if let Some(key) = owner(&pod.metadata) {
        fleets.entry(key).or_default().insert(pod.name_any());
    }
}

fn remove(fleets: &mut ByFleet, pod: &Pod) {
    let Some(key) = owner(&pod.metadata) else {
        return;
    };
    if let Some(names) = fleets.get_mut(&key) {
        names.remove(&pod.name_any());
        if names.is_empty() {
            fleets.remove(&key);
        }
    }
}

impl Pods {
    /// Those of `store`, by `names`.
    pub fn new(store: Store<Pod>, names: Arc<Names>) -> Self {
        Self { store, names }
    }

    /// The pods that carry the fleet's label.
    pub fn of(&self, key: &FleetKey) -> Vec<Arc<Pod>> {
        let names = self.names.of(key).into_iter();
        let pods = names.filter_map(|name| {
            let reference = ObjectRef::new(&name).within(&key.namespace);
            self.store.get(&reference)
        });
        pods.filter(|pod| pod.labels().get(LABEL_CONSUMER) == Some(&key.name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::reflector;
    use serde_json::json;

    fn pod(name: &str, fleet: &str) -> Pod {
        let labels = json!({ LABEL_CONSUMER: fleet });
        let meta = json!({ "name": name, "namespace": "shop", "labels": labels });
        serde_json::from_value(json!({ "metadata": meta })).unwrap()
    }

    fn key(name: &str) -> FleetKey {
        FleetKey {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_fleet_has_its_own_pods_as_long_as_they_are_there() {
        let (store, mut writer) = reflector::store();
        let pods = Pods::new(store, Arc::default());
        let mut tell = |event: Event<Pod>| {
            writer.apply_watcher_event(&event);
            pods.names.note(&event);
        };
        let of = |fleet: &str| -> Vec<String> {
            pods.of(&key(fleet))
                .iter()
                .map(|pod| pod.name_any())
                .collect()
        };
        tell(Event::Init);
        for (name, fleet) in [("a-1", "a"), ("a-2", "a"), ("b-1", "b")] {
            tell(Event::InitApply(pod(name, fleet)));
        }
        tell(Event::InitDone);
        assert_eq!(
            (of("a"), of("b"), of("c")),
            (vec!["a-1".into(), "a-2".into()], vec!["b-1".into()], vec![])
        );
        tell(Event::Delete(pod("a-1", "a")));
        assert_eq!(of("a"), ["a-2"]);
        // The list after an interruption: what it does not name is gone.
        tell(Event::Init);
        tell(Event::InitApply(pod("b-1", "b")));
        tell(Event::InitDone);
        assert_eq!((of("a"), of("b")), (vec![], vec!["b-1".to_owned()]));
        assert!(!pods.names.lock().current.contains_key(&key("a")));
    }
}
