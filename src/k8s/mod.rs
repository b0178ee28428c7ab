//! The edge to the Kubernetes API: client, leadership, server-side apply, events.
//!
//! Knows nothing of fleets or Kafka; `controller` decides what to write, this module how.

pub mod apply;
pub mod client;
pub mod events;
pub mod lease;
pub mod packed;

/// An error with its sources in one line: kube wraps what went wrong in layers, and the innermost
/// says it.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
