//! What the lines of `drover decide` have in common: what can be wrong with one, and the answer. Pure.

use serde::Serialize;

use crate::scaling::Decision;

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No JSON, or not of the right form.
    #[error("{0}; {1}")]
    Form(String, &'static str),
    /// Of the right form, but it cannot be.
    #[error("{0}")]
    Value(String),
}

impl Error {
    /// JSON counts lines too, but each of ours is its first.
    pub fn form(error: &serde_json::Error, example: &'static str) -> Self {
        let text = error.to_string();
        Self::Form(text.replace(" at line 1 column ", " at column "), example)
    }

    pub fn value(what: &str) -> Self {
        Self::Value(what.to_owned())
    }
}

/// The answer to a sample.
#[derive(Serialize)]
pub(super) struct Answer {
    at: f64,
    replicas: u32,
    why: Vec<Reason>,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: String,
}

impl Answer {
    pub fn new(at: f64, decision: &Decision) -> Self {
        let why = decision.reasons.iter().map(|why| Reason {
            code: why.label(),
            message: why.to_string(),
        });
        Self {
            at,
            replicas: decision.replicas,
            why: why.collect(),
        }
    }

    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON") + "\n"
    }
}
