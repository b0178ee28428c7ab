//! The namespaces that are looked after: all at once, or each that was named.
//!
//! Each named one has watches and a queue of its own, so that one that is gone, or where rights are
//! missing, stops no other. What is remembered of fleets, and the clients of Kafka, all share.

use std::fmt;
use std::sync::Arc;

use kube::runtime::reflector::{self, Store, store::Writer};
use tokio::sync::mpsc;

use super::context::Guarded;
use super::fleets::FleetKey;
use super::watches;
use crate::lag::Wakes;

/// Wakes that wait to be taken. Nobody takes any until everything is listed, and each object that is listed then
/// is one: with less room than objects the lists would never end. What is not used takes no memory.
const WAKES: usize = 1 << 20;

/// Namespaces that are watched together: one, or all there are.
pub struct Scope {
    /// None for all.
    pub namespace: Option<String>,
    /// The resources in it, once they are listed.
    pub consumers: Store<Guarded>,
    /// Has a resource in it looked at.
    pub wake: mpsc::Sender<FleetKey>,
}

/// The other ends of a [`Scope`]: for whoever looks after it.
pub struct Inlets {
    /// Fills its store.
    pub writer: Writer<Guarded>,
    /// Resources to look at.
    pub wakes: mpsc::Receiver<FleetKey>,
}

impl Scope {
    /// One for each of `namespaces`, or one for all if none is named.
    pub fn each(namespaces: &[String]) -> Vec<(Self, Inlets)> {
        if namespaces.is_empty() {
            return vec![Self::new(None)];
        }
        let named = namespaces.iter().cloned();
        named.map(|name| Self::new(Some(name))).collect()
    }

    fn new(namespace: Option<String>) -> (Self, Inlets) {
        let (consumers, writer) = reflector::store();
        let (wake, wakes) = mpsc::channel(WAKES);
        let scope = Self {
            namespace,
            consumers,
            wake,
        };
        (scope, Inlets { writer, wakes })
    }

    /// Whether the resource would be in here.
    fn covers(&self, key: &FleetKey) -> bool {
        let namespace = self.namespace.as_ref();
        namespace.is_none_or(|namespace| *namespace == key.namespace)
    }

    /// Whether the resource is in here.
    pub fn shows(&self, key: &FleetKey) -> bool {
        let reference = watches::reference(key.clone());
        self.covers(key) && self.consumers.get(&reference).is_some()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "namespace {namespace}"),
            None => f.write_str("all namespaces"),
        }
    }
}

/// Hands news of offsets to the scope that they are of, for ever.
pub async fn hand_out(news: Arc<Wakes<FleetKey>>, scopes: &[Arc<Scope>]) {
    loop {
        let key = news.next().await;
        if let Some(scope) = scopes.iter().find(|scope| scope.covers(&key)) {
            // Closed only when leading ends, and with it this.
            let _ = scope.wake.send(key).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> FleetKey {
        FleetKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn without_names_there_is_one_scope_for_all() {
        let all = Scope::each(&[]);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].0.to_string(), "all namespaces");
        assert!(all[0].0.covers(&key("anywhere", "a")));
    }

    #[tokio::test]
    async fn news_reach_the_scope_they_are_of() {
        let names = ["shop".to_owned(), "billing".to_owned()];
        let (scopes, mut inlets): (Vec<_>, Vec<_>) = Scope::each(&names)
            .into_iter()
            .map(|(scope, inlets)| (Arc::new(scope), inlets))
            .unzip();
        let news = Arc::new(Wakes::default());
        news.add(key("elsewhere", "c"));
        news.add(key("shop", "a"));
        news.add(key("billing", "b"));
        let (first, second) = inlets.split_at_mut(1);
        tokio::select! {
            () = hand_out(news, &scopes) => unreachable!(),
            found = first[0].wakes.recv() => assert_eq!(found, Some(key("shop", "a"))),
        };
        // What sorts first was handed out before.
        assert_eq!(second[0].wakes.try_recv().ok(), Some(key("billing", "b")));
        assert!(first[0].wakes.try_recv().is_err());
    }
}
