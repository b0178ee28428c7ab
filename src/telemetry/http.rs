//! The admin port: `/livez`, `/readyz` and `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// What the probes ask.
pub trait Probes: Send + Sync + 'static {
    /// Ok unless a restart would help; the error says why. A broker or handler that is away is
    /// nothing that a restart helps against.
    fn live(&self) -> Result<(), String>;
    /// Ok if the work can be done; the error says what is missing.
    fn ready(&self) -> Result<(), String>;
    /// Called before each reading of the metrics, for those that are not kept up to date.
    fn before_metrics(&self) {}
}

struct Admin<P> {
    probes: Arc<P>,
    registry: Registry,
}

/// Opens the port. Apart from [`serve`], so that a port that is taken is told at the start.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until the future is dropped.
pub async fn serve<P: Probes>(
    listener: TcpListener,
    probes: Arc<P>,
    registry: Registry,
) -> std::io::Result<()> {
    let admin = Arc::new(Admin { probes, registry });
    let router = Router::new()
        .route("/livez", get(livez::<P>))
        .route("/readyz", get(readyz::<P>))
        .route("/metrics", get(metrics::<P>))
        .with_state(admin);
    axum::serve(listener, router).await
}

async fn livez<P: Probes>(State(admin): State<Arc<Admin<P>>>) -> Response {
    probe(admin.probes.live())
}

async fn readyz<P: Probes>(State(admin): State<Arc<Admin<P>>>) -> Response {
    probe(admin.probes.ready())
}

async fn metrics<P: Probes>(State(admin): State<Arc<Admin<P>>>) -> Response {
    admin.probes.before_metrics();
    let mut text = String::new();
    if encode(&mut text, &admin.registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn probe(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
