//! The edge to the Kubernetes API: client, leadership, server-side apply, events.
//!
//! Knows nothing of fleets or Kafka; `controller` decides what to write, this module how.

pub mod apply;
pub mod client;
pub mod events;
pub mod lease;
pub mod packed;
pub mod patience;

/// An error with its sources in one line: kube wraps what went wrong in layers, and the innermost
/// says it. Of an answer of the API server only its words, once: kube adds all its fields.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut link = Some(error);
    while let Some(inner) = link {
        let shown = inner.to_string();
        let answer = inner.downcast_ref().and_then(answer);
        let words = answer.as_ref().unwrap_or(&shown);
        if text.contains(&shown) {
            text = text.replace(&shown, words);
        } else if !text.contains(words) {
            text = format!("{text}: {words}");
        }
        link = inner.source().filter(|_| answer.is_none());
    }
    text
}

/// What the API server said.
fn answer(error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else {
        return None;
    };
    Some(match (status.message.as_str(), status.reason.as_str()) {
        ("", "") => format!("the API server answered {}", status.code),
        ("", reason) => format!("the API server answered {}: {reason}", status.code),
        (message, _) => message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("apply Deployment orders")]
    struct Apply(#[source] kube::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("watch of pods: {0}")]
    struct Watch(#[source] kube::Error);

    fn refused(message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status::failure(message, "Invalid").with_code(422)))
    }

    #[test]
    fn an_answer_of_the_api_server_is_told_once_in_its_own_words() {
        let words = "ports[1].name: Duplicate value: \"admin\"";
        let applied = chain(&Apply(refused(words)));
        assert_eq!(applied, format!("apply Deployment orders: {words}"));
        let watched = chain(&Watch(refused(words)));
        assert_eq!(watched, format!("watch of pods: {words}"));
        assert_eq!(chain(&refused(words)), words);
        let silent = chain(&Apply(refused("")));
        assert_eq!(
            silent,
            "apply Deployment orders: the API server answered 422: Invalid"
        );
    }
}
