//! The objects of the input, and finding one by what another calls it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// One object as it was written.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// The API group; empty for the core's.
    pub group: String,
    pub kind: String,
    /// Empty where none is written.
    pub namespace: String,
    pub name: String,
    pub value: Value,
}

impl Object {
    /// None of what is no object of Kubernetes.
    pub fn of(value: Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer)?.as_str().map(str::to_owned);
        let version = text("/apiVersion")?;
        let group = version.split_once('/').map_or("", |(group, _)| group);
        Some(Self {
            group: group.to_owned(),
            kind: text("/kind")?,
            namespace: text("/metadata/namespace").unwrap_or_default(),
            name: text("/metadata/name").unwrap_or_default(),
            value,
        })
    }

    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// `namespace/name`, as far as it is written.
    pub fn id(&self) -> String {
        match self.namespace.as_str() {
            "" => self.name.clone(),
            namespace => format!("{namespace}/{}", self.name),
        }
    }

    /// For people: `Deployment shop/orders`.
    pub fn called(&self) -> String {
        format!("{} {}", self.kind, self.id())
    }

    /// The `kubectl` argument that chooses its namespace, with a blank before it.
    pub fn namespace_flag(&self) -> String {
        match self.namespace.as_str() {
            "" => String::new(),
            namespace => format!(" -n {namespace}"),
        }
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.value["metadata"]["annotations"][name].as_str()
    }
}

/// All objects of all files, in their order.
#[derive(Debug, Default)]
pub(super) struct Input(pub Vec<Object>);

impl Input {
    pub fn of_kind<'a>(
        &'a self,
        group: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = (usize, &'a Object)> {
        let all = self.0.iter().enumerate();
        all.filter(move |(_, object)| object.is(group, kind))
    }

    pub fn find(
        &self,
        group: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<(usize, &Object)> {
        let mut all = self.0.iter().enumerate();
        all.find(|(_, object)| {
            object.is(group, kind) && object.namespace == namespace && object.name == name
        })
    }

    /// What a ConfigMap of the input has under a key.
    pub fn config(&self, namespace: &str, name: &str, key: &str) -> Option<String> {
        let (_, object) = self.find("", "ConfigMap", namespace, name)?;
        object.value["data"][key].as_str().map(str::to_owned)
    }

    /// Which of these words a Secret of the input has under a key. Nothing else of a Secret is ever looked at, so that
    /// nothing of it can be repeated.
    pub fn secret_word<'a>(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
        words: &[&'a str],
    ) -> Option<&'a str> {
        let (_, object) = self.find("", "Secret", namespace, name)?;
        let written = match object.value["stringData"][key].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => BASE64_STANDARD
                .decode(object.value["data"][key].as_str()?)
                .ok()?,
        };
        let written = written.trim_ascii();
        words
            .iter()
            .find(|word| word.as_bytes() == written)
            .copied()
    }
}
