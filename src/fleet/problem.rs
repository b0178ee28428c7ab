//! What is wrong with a spec, and the list that the checks fill.

use crate::api::names::reason;

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The field, such as `spec.scaling.minReplicas`.
    pub field: String,
    /// Stable CamelCase word for the condition's reason.
    pub reason: &'static str,
    /// What, why and what to do; names the field.
    pub message: String,
    /// Waiting can help (a missing Secret may appear); else only a change of the spec can.
    pub may_heal: bool,
}

/// More than this are not listed: nobody reads them, and each is compared with all before it.
const MOST: usize = 100;

/// All problems found so far, each field and reason once.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, reason: &'static str, field: &str, message: impl Into<String>) {
        self.push(reason, field, message.into(), false);
    }

    pub(super) fn missing(
        &mut self,
        reason: &'static str,
        field: &str,
        message: impl Into<String>,
    ) {
        self.push(reason, field, message.into(), true);
    }

    pub(super) fn invalid(&mut self, field: &str, message: impl Into<String>) {
        self.add(reason::INVALID_VALUE, field, message);
    }

    pub(super) fn contradiction(&mut self, field: &str, message: impl Into<String>) {
        self.add(reason::CONTRADICTION, field, message);
    }

    pub(super) fn template(&mut self, field: &str, message: impl Into<String>) {
        self.add(reason::INVALID_TEMPLATE, field, message);
    }

    fn push(&mut self, reason: &'static str, field: &str, message: String, may_heal: bool) {
        let problem = Problem {
            field: field.to_owned(),
            reason,
            message,
            may_heal,
        };
        if self.0.len() < MOST && !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }
}
