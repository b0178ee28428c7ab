//! Specs that the schema and its rules refuse, each with what the refusal must name; a file for each part of a spec.

mod delivery;
mod encryption;
mod handler;
mod idempotency;
mod kafka;
mod scaling;

use serde_json::{Value, json};

use super::consumers::{http_url, with};

/// One wrong spec.
pub struct Wrong {
    /// The document.
    pub document: Value,
    /// The field that the API server's message must name.
    pub field: &'static str,
    /// What to do, as the API server's message must say it.
    pub remedy: &'static str,
}

fn wrong(document: Value, field: &'static str, remedy: &'static str) -> Wrong {
    Wrong {
        document,
        field,
        remedy,
    }
}

/// All that a schema can see.
pub fn wrong_specs() -> Vec<Wrong> {
    let name = "a".repeat(47);
    let mut all = vec![wrong(
        with(http_url(), "/metadata/name", json!(name)),
        "metadata.name",
        "choose a shorter name",
    )];
    all.extend(kafka::wrong_kafka());
    all.extend(kafka::wrong_oauth());
    all.extend(handler::wrong_handlers());
    all.extend(delivery::wrong_delivery());
    all.extend(scaling::wrong_scaling());
    all.extend(scaling::wrong_schedules());
    all.extend(encryption::wrong_encryption());
    all.extend(idempotency::wrong_idempotency());
    all
}
