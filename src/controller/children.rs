//! One child object: is it ours, must it be written, and what came of it.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, ObjectMeta};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Error;
use crate::api::names;
use crate::fleet::Fleet;
use crate::k8s::apply::{self, Memory, Need, version_of};
use crate::k8s::packed;

/// What was applied to each child.
#[derive(Clone, Debug, Default)]
pub struct ChildMemories {
    /// The ServiceAccount.
    pub service_account: Option<Memory>,
    /// The PodDisruptionBudget.
    pub pod_disruption_budget: Option<Memory>,
    /// The Deployment.
    pub deployment: Option<Memory>,
}

/// A correction of what somebody else changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// `Deployment`, say.
    pub kind: &'static str,
    /// The fields; empty where the whole object was gone.
    pub fields: Vec<String>,
}

/// Everything that any of our children's kinds can do.
pub trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Child for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// The place of one child of one fleet in the API.
pub struct Place<'a, K> {
    api: Api<K>,
    kind: &'static str,
    name: String,
    fleet: &'a Fleet,
}

impl<'a, K: Child> Place<'a, K> {
    /// The child `name` of `fleet`.
    pub fn new(client: &Client, fleet: &'a Fleet, kind: &'static str, name: String) -> Self {
        Self {
            api: Api::namespaced(client.clone(), &fleet.namespace),
            kind,
            name,
            fleet,
        }
    }

    /// The live object: from the cache, unless the cache has none or is older than `floor`, our
    /// own last write. The cache holds only what carries our labels, so "none" must be asked.
    pub async fn live(&self, cached: Option<K>, floor: u64) -> Result<Option<K>, Error> {
        if let Some(cached) = cached
            && version_of(cached.meta()) >= floor
        {
            return Ok(Some(cached));
        }
        self.api
            .get_opt(&self.name)
            .await
            .map_err(|source| self.error("read", source))
    }

    /// Refuses an object that is somebody else's.
    pub fn claim(&self, live: &K, memory: Option<&Memory>) -> Result<(), Error> {
        let meta = live.meta();
        let known = memory.is_some_and(|memory| Some(&memory.uid) == meta.uid.as_ref());
        match owner(meta) {
            Owner::Uid(uid) if uid == self.fleet.uid => Ok(()),
            // Its owner of the same name was deleted, and the garbage collector is on its way.
            Owner::Uid(_) if self.is_predecessors(meta) => Err(Error::PredecessorLeaving {
                kind: self.kind,
                name: self.name.clone(),
            }),
            Owner::None if known || self.carries_our_labels(live) => Ok(()),
            Owner::Uid(_) | Owner::None => Err(Error::NameTaken {
                kind: self.kind,
                name: self.name.clone(),
            }),
        }
    }

    fn is_predecessors(&self, meta: &ObjectMeta) -> bool {
        meta.owner_references.iter().flatten().any(|owner| {
            owner.controller == Some(true)
                && owner.kind == "KafkaConsumer"
                && owner.name == self.fleet.name
        })
    }

    fn carries_our_labels(&self, live: &K) -> bool {
        let labels = live.labels();
        let is = |key: &str, value: &str| labels.get(key).is_some_and(|found| found == value);
        is("app.kubernetes.io/managed-by", names::MANAGED_BY)
            && is(names::LABEL_CONSUMER, &self.fleet.name)
    }

    /// Makes the object look like `desired`; writes only if it must. Returns the object as it is
    /// now, and what was put right if somebody else had changed it.
    pub async fn ensure(
        &self,
        desired: Value,
        live: Option<K>,
        memory: &mut Option<Memory>,
    ) -> Result<(K, Option<Correction>), Error> {
        let desired = &apply::signed(desired, names::ANNOTATION_APPLIED);
        if let Some(live) = &live {
            self.claim(live, memory.as_ref())?;
            if live.meta().deletion_timestamp.is_some() {
                return Err(Error::ChildLeaving {
                    kind: self.kind,
                    name: self.name.clone(),
                });
            }
        }
        let live_value = live.as_ref().map(serde_json::to_value).transpose();
        let mut live_value =
            live_value.map_err(|source| self.error("compare", kube::Error::SerdeError(source)))?;
        if let Some(live) = &mut live_value {
            packed::unpack_template(live);
        }
        if let (None, Some(live)) = (&memory, &live_value) {
            *memory = apply::recognise(desired, live, names::ANNOTATION_APPLIED);
        }
        let fields = match (
            apply::need(memory.as_ref(), desired, live_value.as_ref()),
            live,
        ) {
            (Need::Nothing, Some(live)) => return Ok((live, None)),
            (Need::Drifted(fields), _) => Some(fields),
            (Need::Recreate, _) => Some(Vec::new()),
            (Need::Nothing | Need::Create | Need::Update, _) => None,
        };
        let (live, applied) = apply::apply(&self.api, &self.name, names::FIELD_MANAGER, desired)
            .await
            .map_err(|source| self.error("apply", source))?;
        *memory = Some(applied);
        let kind = self.kind;
        Ok((live, fields.map(|fields| Correction { kind, fields })))
    }

    /// For the calls on this object that are made elsewhere.
    pub fn error(&self, verb: &'static str, source: kube::Error) -> Error {
        Error::Api {
            verb,
            kind: self.kind,
            name: self.name.clone(),
            source,
        }
    }
}

enum Owner<'a> {
    None,
    Uid(&'a str),
}

fn owner(meta: &ObjectMeta) -> Owner<'_> {
    let mut owners = meta.owner_references.iter().flatten();
    match owners.find(|owner| owner.controller == Some(true)) {
        Some(owner) => Owner::Uid(&owner.uid),
        None => Owner::None,
    }
}
