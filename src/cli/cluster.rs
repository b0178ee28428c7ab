//! A Kubernetes cluster, as the kubeconfig names it, and the KafkaConsumers in it.

use std::io;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use kube::api::ListParams;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Config};

use super::readable::{Readable, read};
use crate::api::{KafkaConsumer, Span};
use crate::k8s::patience;

/// How long an API server is waited for where nobody says it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Which cluster and namespace.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// The namespace; default is the context's
    #[arg(long, short)]
    pub namespace: Option<String>,
    /// The context of the kubeconfig; default is its current one
    #[arg(long)]
    pub context: Option<String>,
    /// How long to wait for each answer of the API server; default is 30s
    #[arg(long, value_name = "TIME")]
    pub request_timeout: Option<Span>,
}

impl ClusterArgs {
    /// What a command in a message needs behind a name, where the namespace was said: ` -n shop`.
    pub(super) fn here(&self) -> String {
        let namespace = self.namespace.as_ref();
        let here = namespace.map(|namespace| format!(" -n {namespace}"));
        here.unwrap_or_default()
    }
}

/// A cluster that can be asked.
pub(super) struct Cluster {
    pub client: Client,
    /// Its address, for messages.
    pub server: String,
    pub namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig; nothing is asked yet.
    ///
    /// # Errors
    /// In one line with its remedy, if there is none or its credentials cannot be used.
    pub async fn connect(args: &ClusterArgs) -> anyhow::Result<Self> {
        let config = config(args.context.clone()).await?;
        let server = config.cluster_url.to_string();
        let namespace = args.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let patience = args
            .request_timeout
            .map_or(REQUEST_TIMEOUT, |asked| asked.0);
        let client = patience::build(config, patience)
            .context("the kubeconfig's credentials cannot be used")?;
        Ok(Self {
            client,
            server,
            namespace,
        })
    }

    /// The KafkaConsumers of a namespace, whatever is in them.
    pub fn consumers_of(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = ApiResource::erase::<KafkaConsumer>(&());
        Api::namespaced_with(self.client.clone(), namespace, &kind)
    }

    /// The KafkaConsumers of all namespaces, or of the one that is meant, whatever is in them.
    pub fn consumers(&self, everywhere: bool) -> Api<DynamicObject> {
        if everywhere {
            let kind = ApiResource::erase::<KafkaConsumer>(&());
            Api::all_with(self.client.clone(), &kind)
        } else {
            self.consumers_of(&self.namespace)
        }
    }

    /// One KafkaConsumer whose spec is known.
    ///
    /// # Errors
    /// In one line with its remedy, also if it does not exist or cannot be read.
    pub async fn consumer(&self, name: &str) -> anyhow::Result<KafkaConsumer> {
        let Readable {
            consumer, wrong, ..
        } = self.readable(name).await?;
        match wrong {
            Some(why) => Err(anyhow!("KafkaConsumer {name} cannot be read: {why}")),
            None => Ok(consumer),
        }
    }

    /// One KafkaConsumer, as far as it can be read.
    ///
    /// # Errors
    /// In one line with its remedy, also if it does not exist.
    pub async fn readable(&self, name: &str) -> anyhow::Result<Readable> {
        let name = plain(name);
        // No other has a path to ask for.
        let possible = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        if name.is_empty() || !name.chars().all(possible) {
            return Err(self.not_found(&format!("{name:?}")));
        }
        let found = self.consumers_of(&self.namespace).get(name).await;
        let object = found.map_err(|error| match &error {
            // With details: of an object. Of a path that it does not know it says 404 without.
            kube::Error::Api(answer) if answer.code == 404 && answer.details.is_some() => {
                self.not_found(name)
            }
            _ => self.unanswered(error),
        })?;
        let object = serde_json::to_value(object)?;
        read(object).with_context(|| format!("{} has something else for {name}", self.server))
    }

    /// Those that a label selector means, of the namespace or of all, each as far as it can be read.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub async fn readables(
        &self,
        everywhere: bool,
        selector: Option<&str>,
    ) -> anyhow::Result<Vec<Readable>> {
        let api = self.consumers(everywhere);
        let mut params = ListParams::default();
        if let Some(selector) = selector {
            params = params.labels(selector);
        }
        let listed = api.list(&params).await;
        let listed = listed.map_err(|error| self.unanswered(error))?.items;
        let objects = listed.into_iter().map(serde_json::to_value);
        let objects: Vec<_> = objects.collect::<Result<_, _>>()?;
        Ok(objects.into_iter().filter_map(read).collect())
    }

    /// What is wrong, and what to do, where KafkaConsumers were asked for.
    pub fn unanswered(&self, error: kube::Error) -> anyhow::Error {
        let server = &self.server;
        match &error {
            kube::Error::Api(answer) if answer.code == 404 => anyhow!(
                "{server} does not know KafkaConsumers; install Drover: helm install drover charts/drover, or these alone: drover crd | kubectl apply --server-side -f -"
            ),
            _ => self.unanswered_of("kafkaconsumers.drover.dev", error),
        }
    }

    /// The same where something else was asked for, by this name.
    pub fn unanswered_of(&self, what: &str, error: kube::Error) -> anyhow::Error {
        let server = &self.server;
        match &error {
            kube::Error::Api(answer) if answer.code == 404 => anyhow!(
                "{server} does not know {what}; is it the API server of a cluster? See the kubeconfig and --context"
            ),
            kube::Error::Api(answer) if answer.code == 401 || answer.code == 403 => {
                anyhow!(
                    "{server} refuses: {}; use credentials that may do that with {what}",
                    answer.message
                )
            }
            kube::Error::Api(answer) => anyhow!("{server} answered: {}", answer.message),
            _ => because(error).context(format!(
                "{server} does not answer; check the kubeconfig and --context"
            )),
        }
    }

    /// There is no such KafkaConsumer.
    pub fn not_found(&self, name: &str) -> anyhow::Error {
        not_found_in(&self.namespace, name)
    }
}

/// Without kube's word for all that is no answer, which tells the same twice.
pub(super) fn because(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Service(why) => anyhow::Error::from_boxed(why),
        error => anyhow::Error::new(error),
    }
}

/// A name as `drover status -o name` and kubectl write it, without its kind.
fn plain(name: &str) -> &str {
    const KINDS: [&str; 4] = [
        "kafkaconsumer.drover.dev",
        "kafkaconsumer",
        "kafkaconsumers",
        "kc",
    ];
    match name.split_once('/') {
        Some((kind, name)) if KINDS.contains(&kind) => name,
        _ => name,
    }
}

/// A label selector that means some. An empty one means all, and may come of a variable that is not set.
///
/// # Errors
/// In words for clap.
pub(super) fn some_labels(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it names no label, and so would mean every KafkaConsumer of the namespace; name labels such as team=shop, or the KafkaConsumers".to_owned());
    }
    Ok(text.to_owned())
}

/// There is no such KafkaConsumer in this namespace.
pub(super) fn not_found_in(namespace: &str, name: &str) -> anyhow::Error {
    anyhow!(
        "no KafkaConsumer {name} in namespace {namespace}; see `drover status -A`, or name the namespace with -n"
    )
}

/// There is a kubeconfig, whatever is wrong with it.
fn is_written(error: &InferConfigError) -> bool {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref()) {
        Some(KubeconfigError::ReadConfig(error, _)) => error.kind() != io::ErrorKind::NotFound,
        Some(KubeconfigError::FindPath) | None => false,
        Some(_) => true,
    }
}

async fn config(context: Option<String>) -> anyhow::Result<Config> {
    let missing = "no cluster to ask; set KUBECONFIG, or write ~/.kube/config";
    let Some(context) = context else {
        return Config::infer().await.map_err(|error| {
            // In a cluster or not: what is wrong with a kubeconfig that is there comes first.
            let kubeconfig = std::error::Error::source(&error).map(ToString::to_string);
            match kubeconfig.filter(|_| is_written(&error)) {
                Some(why) => {
                    anyhow!("{why}; correct the kubeconfig, or name another in KUBECONFIG")
                }
                None => anyhow::Error::new(error).context(missing),
            }
        });
    };
    let kubeconfig = Kubeconfig::read().context(missing)?;
    let names = kubeconfig.contexts.iter().map(|known| known.name.as_str());
    if let Some(why) = unknown_context(&context, &names.collect::<Vec<_>>()) {
        bail!(why);
    }
    let options = KubeConfigOptions {
        context: Some(context.clone()),
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .with_context(|| format!("context {context} of the kubeconfig"))
}

/// That the kubeconfig has no such context, and which it has.
fn unknown_context(context: &str, known: &[&str]) -> Option<String> {
    if known.contains(&context) {
        return None;
    }
    let has = match known {
        [] => "it has none".to_owned(),
        known => format!("it has: {}", known.join(", ")),
    };
    Some(format!("the kubeconfig has no context {context}; {has}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_context_that_is_not_there_those_that_are_are_named() {
        assert_eq!(unknown_context("home", &["work", "home"]), None);
        assert_eq!(
            unknown_context("nope", &["work", "home"]).unwrap(),
            "the kubeconfig has no context nope; it has: work, home"
        );
        assert!(
            unknown_context("nope", &[])
                .unwrap()
                .ends_with("it has none")
        );
    }
}
