//! Tells the handler example what was consumed, as the worker would.

use anyhow::{Context, bail};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rdkafka::message::{BorrowedMessage, Message};

/// A kept connection to the witness.
pub struct WitnessClient {
    uri: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl WitnessClient {
    /// A client for `url`, such as `http://witness:8080/`.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let uri = url.parse().with_context(|| format!("WITNESS_URL {url}"))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { uri, client })
    }

    /// Posts one record; anything but 2xx is an error.
    pub async fn tell(&self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let body = Bytes::copy_from_slice(message.payload().unwrap_or_default());
        let request = Request::post(self.uri.clone())
            .header("drover-topic", message.topic())
            .header("drover-partition", message.partition())
            .header("drover-offset", message.offset())
            .body(Full::new(body))?;
        let response = self
            .client
            .request(request)
            .await
            .context("post the record")?;
        if !response.status().is_success() {
            bail!("the witness answered {}", response.status());
        }
        Ok(())
    }
}
