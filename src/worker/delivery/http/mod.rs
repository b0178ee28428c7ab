//! The handler as an HTTP server.

pub mod connection;
pub mod request;

use self::connection::{Connection, Exchanged};
use self::request::Target;
use super::prepare::Prepared;
use super::transport::Attempted;

/// How an HTTP handler is spoken to.
#[derive(Debug)]
pub struct Http {
    /// Where it is.
    pub target: Target,
}

impl Http {
    /// One attempt, over `connection` if it still stands; what can be used again is left there.
    pub async fn attempt(
        &self,
        connection: &mut Option<Connection>,
        prepared: &Prepared<'_>,
        attempt: u32,
    ) -> Attempted {
        let request = request::request(&self.target, prepared, attempt);
        let Exchanged {
            verdict,
            connection: kept,
            reached,
        } = connection::attempt(&self.target, connection.take(), request).await;
        *connection = kept;
        Attempted {
            verdict,
            reached: Some(reached),
        }
    }
}
