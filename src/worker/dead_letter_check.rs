//! The dead-letter topic is looked at before the first record is taken: one that will not do would
//! be found out by a record that cannot be handled, which then holds its key or partition up.
//!
//! It is looked at again while the worker runs, and soon when it has refused a copy: what became of
//! it is said in the reports. Records are taken all the same: most can be handled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::health::Health;
use crate::kafka::admin::{Admin, Error};
use crate::kafka::dead_letter_topic::look;
use crate::kafka::security::Security;
use crate::worker_config::{OnExhausted, WorkerConfig};

/// How long Kafka may take for an answer.
const ASK: Duration = Duration::from_secs(5);
/// Between two looks at a topic that will not do, or that nothing is known of.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Between two looks at one that is well, as far as nothing is refused.
const KEPT: Duration = Duration::from_secs(30);
/// Between two looks in any case, once records are taken.
const NOT_SOONER: Duration = Duration::from_secs(5);

/// What the loop has of the looks.
#[derive(Debug)]
pub(super) struct Watch {
    /// What is wrong with the topic, in a word.
    pub flaw: watch::Receiver<Option<&'static str>>,
    /// To be told when the topic has refused a copy.
    pub refused: Arc<Notify>,
}

/// Waits until the dead-letter topic will do, if records go to one.
pub(super) async fn wait(config: &WorkerConfig, security: &Security, health: &Health) {
    let Some(topic) = used(config) else {
        return;
    };
    let admin = match Admin::secured(&config.bootstrap_servers, &config.properties, security) {
        Ok(admin) => admin,
        // The consumer will say it in its own words.
        Err(error) => return debug!(%error, "open a client for the dead-letter topic"),
    };
    loop {
        let trouble = match look(&admin, topic, &config.topics, ASK).await {
            Ok(facts) => facts.flaw().map(|flaw| flaw.message),
            Err(
                error @ (Error::Unreachable(_)
                | Error::Tls(_)
                | Error::Authentication(_)
                | Error::Token(_)
                | Error::Later(_)
                | Error::Moved),
            ) => Some(format!("dead-letter topic {topic}: {error}")),
            // It cannot be found out here; a copy that is refused stalls its record.
            Err(error) => {
                warn!(%error, topic, "the dead-letter topic could not be looked at");
                None
            }
        };
        let news = health.dead_letters(trouble.as_deref());
        match trouble {
            None => {
                if news {
                    info!(topic, "the dead-letter topic will do");
                }
                return;
            }
            Some(why) if news => warn!(why, "no record is taken; it is looked at again"),
            Some(_) => {}
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Looks at the dead-letter topic for as long as the worker runs. The future does the looking; it ends
/// where there is nothing to look at.
pub(super) fn watch(
    config: &WorkerConfig,
    security: &Security,
) -> (Watch, impl Future<Output = ()> + use<>) {
    let (says, flaw) = watch::channel(None);
    let refused = Arc::new(Notify::new());
    let told = Arc::clone(&refused);
    let topic = used(config).map(str::to_owned);
    let sources = config.topics.clone();
    let (servers, properties) = (config.bootstrap_servers.clone(), config.properties.clone());
    let security = security.clone();
    let looking = async move {
        let Some(topic) = topic else {
            return;
        };
        loop {
            sleep(NOT_SOONER).await;
            if says.borrow().is_none() {
                // Looked at when the time is over, or when a copy is refused.
                let _ = timeout(KEPT - NOT_SOONER, told.notified()).await;
            }
            // A client for each look: one that is kept would cost memory and a connection for ever.
            let looked = match Admin::secured(&servers, &properties, &security) {
                Ok(admin) => look(&admin, &topic, &sources, ASK).await,
                Err(error) => Err(error),
            };
            let flaw = match looked {
                Ok(facts) => facts.flaw(),
                // Nothing is known: what was said last stands.
                Err(error) => {
                    debug!(%error, topic, "look at the dead-letter topic");
                    continue;
                }
            };
            let reason = flaw.as_ref().map(|flaw| flaw.reason);
            if *says.borrow() == reason {
                continue;
            }
            match &flaw {
                Some(flaw) => warn!(
                    why = flaw.message,
                    "the dead-letter topic will not do any more; what would go there waits"
                ),
                None => info!(topic, "the dead-letter topic will do again"),
            }
            if says.send(reason).is_err() {
                return; // the loop is over
            }
        }
    };
    (Watch { flaw, refused }, looking)
}

/// The topic, if records go to one.
fn used(config: &WorkerConfig) -> Option<&str> {
    match config.on_exhausted {
        OnExhausted::DeadLetter => config.dead_letter_topic.as_deref(),
        OnExhausted::Stall | OnExhausted::Skip => None,
    }
}
