//! How a question is asked: by which client, how long its answer is awaited, and what is told where there is none.

use std::ffi::CStr;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Admin, Answers, Current, Error};
use crate::clock::Monotonic;
use crate::kafka::native::admin::{Complaint, Native, Receiver};

/// A client with a question to a coordinator that has waited for so long is replaced.
const WORN_OUT: Duration = Duration::from_secs(600);
/// A client that knows a coordinator from before it moved is replaced, but not more often.
const REPLACED_AFTER: Duration = Duration::from_secs(5);

impl Admin {
    /// The client; a new one where the old one is worn out. See `native::admin`.
    pub(super) fn native(&self) -> Arc<Native> {
        let mut current = self.lock_native();
        if current.native.longest_wait() > WORN_OUT {
            self.replace(&mut current);
        }
        Arc::clone(&current.native)
    }

    fn lock_native(&self) -> MutexGuard<'_, Current> {
        self.native.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, current: &mut Current) {
        match Native::open(&self.config) {
            Ok(native) => {
                current.native = Arc::new(native);
                current.since = Monotonic::start();
            }
            Err(error) => tracing::warn!(%error, "replacing a Kafka client failed"),
        }
    }

    /// Takes note of a coordinator that has moved: the client would go on asking the old one.
    pub(super) fn learn<T>(
        &self,
        asked: &Arc<Native>,
        answer: Result<Answers<T>, Error>,
    ) -> Result<Answers<T>, Error> {
        let moved = match &answer {
            Ok(answers) => answers
                .values()
                .any(|answer| matches!(answer, Err(Error::Moved))),
            Err(error) => *error == Error::Moved,
        };
        if moved {
            let mut current = self.lock_native();
            if Arc::ptr_eq(&current.native, asked) && current.since.elapsed() > REPLACED_AFTER {
                self.replace(&mut current);
            }
        }
        answer
    }

    /// The client for a question to a group's coordinator, if the last one is not still open.
    pub(super) async fn native_for(&self, group: &CStr) -> Result<Arc<Native>, Error> {
        let native = self.native();
        if native.is_abandoned(group) {
            let error = Error::Unreachable("the group's coordinator does not answer".to_owned());
            return Err(self.explain(&native, error).await);
        }
        Ok(native)
    }

    /// Waits for the answer for as long as `patience`.
    pub(super) async fn answer<T>(
        &self,
        native: &Native,
        receiver: Receiver<T>,
        patience: Duration,
    ) -> Result<T, Error> {
        let waited = tokio::select! {
            waited = tokio::time::timeout(patience, receiver) => waited,
            () = self.refusal.ends_it(native) => {
                let error = Error::Unreachable("no broker lets us in".to_owned());
                return Err(self.explain(native, error).await);
            }
        };
        let error = match waited {
            Ok(Ok(Ok(answer))) => {
                self.refusal.answered();
                return Ok(answer);
            }
            Ok(Ok(Err(failure))) => Error::of(failure),
            Ok(Err(_)) => Error::Unreachable("the client was closed".to_owned()),
            Err(_) => Error::Unreachable(format!("no answer within {patience:?}")),
        };
        Err(self.explain(native, error).await)
    }

    /// What connections ended with; and where that may be TLS, what a handshake of our own ends with.
    pub(super) async fn explain(&self, native: &Native, error: Error) -> Error {
        let error = with_complaint(error, native.complaint());
        match (&error, &self.handshake) {
            (Error::Tls(said) | Error::Unreachable(said), Some(handshake)) => {
                let why = handshake.explain(said).await;
                why.map_or(error, Error::Tls)
            }
            _ => error,
        }
    }
}

/// "Timed out" says less than what the connections ended with.
fn with_complaint(error: Error, complaint: Option<Complaint>) -> Error {
    match (error, complaint) {
        (Error::Unreachable(_), Some(Complaint::Tls(why))) => Error::tls(&why),
        (Error::Unreachable(_), Some(Complaint::Authentication(why))) => {
            Error::authentication(&why)
        }
        (Error::Unreachable(_) | Error::Authentication(_), Some(Complaint::Token(why))) => {
            Error::Token(why)
        }
        (Error::Unreachable(message), Some(Complaint::Connection(why))) => {
            Error::Unreachable(format!("{message}; last: {why}"))
        }
        (error, _) => error,
    }
}
