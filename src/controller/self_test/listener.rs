//! The handler of the tested fleet.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::telemetry::http;

/// Accepts every record, and notices one. Ends when it is dropped.
pub struct Listener {
    handled: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Listens at this port of every address, and waits for the record with this value.
    pub async fn start(port: u16, value: String) -> io::Result<Self> {
        let listener = http::bind(http::everywhere(port)).await?;
        let handled = Arc::new(Notify::new());
        let noticed = handled.clone();
        let accept = move |body: Bytes| async move {
            if body == value.as_bytes() {
                noticed.notify_one();
            }
            StatusCode::NO_CONTENT
        };
        let router = Router::new().fallback(accept);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the handler has ended");
            }
        });
        Ok(Self { handled, task })
    }

    /// Waits until it was handed over, be that before or after.
    pub async fn handled(&self) {
        self.handled.notified().await;
    }
}
