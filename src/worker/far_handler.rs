//! A handler that is not in this pod, before the group is joined.
//!
//! While a wrong URL is rolled out the workers that have it never reach their handler, and those before them work on: a
//! worker that joined would take partitions from these and let them stand. Where nobody else is in the group it joins
//! all the same: nothing is taken from anyone, and its report says what is wrong.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::health::Health;
use super::reachability::{self, Place};
use crate::kafka::admin::Admin;
use crate::kafka::security::Security;
use crate::worker_config::{Handler, WorkerConfig};

/// A handler that does not answer for so long is looked for while others are.
const SOON: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long Kafka may take for an answer.
const ASK: Duration = Duration::from_secs(5);

/// Waits until the handler can be reached, or nobody else is in the group.
pub(super) async fn wait(
    place: &Place,
    config: &WorkerConfig,
    security: &Security,
    health: &Health,
) {
    if !matches!(config.handler, Handler::Http(_)) {
        return;
    }
    let mut told = false;
    let mut patience = SOON;
    loop {
        let why = match timeout(patience, place.look()).await {
            Ok(Ok(())) => break,
            Ok(Err(why)) => why,
            Err(_) => format!("no connection within {patience:?}"),
        };
        if !others_are_there(config, security).await {
            return;
        }
        reachability::handler(health, Some(&why));
        if !told {
            info!(
                "others of the group work on; this worker joins them when it reaches the handler"
            );
        }
        told = true;
        patience = ASK;
        sleep(LOOK_AGAIN).await;
    }
    if told {
        reachability::handler(health, None);
        health.handler_is_back();
    }
}

/// Not known counts as no: it is then as if nobody had looked.
async fn others_are_there(config: &WorkerConfig, security: &Security) -> bool {
    let admin = Admin::secured(&config.bootstrap_servers, &config.properties, security);
    let group = match admin {
        Ok(admin) => admin.group(&config.group_id, ASK).await,
        Err(error) => Err(error),
    };
    match group {
        Ok(group) => !group.members.is_empty(),
        Err(error) => {
            debug!(%error, "ask for the members of the group");
            false
        }
    }
}
