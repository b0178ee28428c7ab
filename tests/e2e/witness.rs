//! The handler of a scenario, which is also the witness of what was delivered. It is asked through
//! the API server, so that any cluster will do.

use http::{Method, Request};
use serde_json::Value;

/// `examples/handler`, running in the scenario's namespace.
#[derive(Clone)]
pub struct Witness {
    pub client: kube::Client,
    pub namespace: String,
}

/// What the witness saw; see the example for the meaning of each.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub handled: u64,
    pub handled_twice: u64,
    pub handled_again_on_retry: u64,
    pub out_of_order: u64,
    pub overlapping: u64,
    pub failed: u64,
    pub in_flight: u64,
    /// The first few that were handled twice or out of order, in words; for a failed assertion.
    #[allow(dead_code, reason = "shown by Debug")]
    pub examples: Vec<String>,
}

impl Witness {
    async fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<String> {
        let uri = format!(
            "/api/v1/namespaces/{}/services/http:handler:8080/proxy/{path}",
            self.namespace
        );
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", "application/json")
            .body(body)?;
        Ok(self.client.request_text(request).await?)
    }

    pub async fn stats(&self) -> anyhow::Result<Stats> {
        Ok(serde_json::from_str(
            &self.ask(Method::GET, "stats", vec![]).await?,
        )?)
    }

    /// Makes matching deliveries go wrong; see `examples/handler/faults.rs`.
    pub async fn fault(&self, fault: Value) -> anyhow::Result<()> {
        self.ask(Method::POST, "faults", serde_json::to_vec(&fault)?)
            .await?;
        Ok(())
    }

    /// Mends the handler.
    pub async fn mend(&self) -> anyhow::Result<()> {
        self.ask(Method::DELETE, "faults", vec![]).await?;
        Ok(())
    }
}
