//! Records that somebody gave up.

use serde::{Deserialize, Serialize};

/// A record that no handler is to be given any more.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Skip {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds since 1970: another record has another one.
    pub timestamp: i64,
    /// Why, for the log.
    pub reason: String,
}
