//! The dead-letter topic is looked at before the first record is taken: one that will not do would
//! be found out by a record that cannot be handled, which then holds its key or partition up.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::health::Health;
use crate::kafka::admin::{Admin, Error};
use crate::kafka::dead_letter_topic::look;
use crate::worker_config::{OnExhausted, WorkerConfig};

/// How long Kafka may take for an answer.
const ASK: Duration = Duration::from_secs(5);
/// Between two looks at a topic that will not do, or that nothing is known of.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Waits until the dead-letter topic will do, if records go to one.
pub(super) async fn wait(config: &WorkerConfig, health: &Health) {
    let topic = match (&config.dead_letter_topic, config.on_exhausted) {
        (Some(topic), OnExhausted::DeadLetter) => topic,
        _ => return,
    };
    let admin = match Admin::open(&config.bootstrap_servers, &config.properties) {
        Ok(admin) => admin,
        // The consumer will say it in its own words.
        Err(error) => return debug!(%error, "open a client for the dead-letter topic"),
    };
    loop {
        let trouble = match look(&admin, topic, &config.topics, ASK).await {
            Ok(facts) => facts.flaw().map(|flaw| flaw.message),
            Err(error @ (Error::Unreachable(_) | Error::Later(_) | Error::Moved)) => {
                Some(format!("dead-letter topic {topic}: {error}"))
            }
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
