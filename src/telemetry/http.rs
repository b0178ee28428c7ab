//! The admin port: `/livez`, `/readyz` and `/metrics`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use rustix::io::Errno;
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

/// This port of every address of the machine, of IPv6 and of IPv4: a kubelet asks a pod at its first address,
/// which may be of either.
pub const fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// Opens the port. Apart from [`serve`], so that a port that is taken is told at the start. Where there is
/// no IPv6, [`everywhere`] is every address of IPv4.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_without_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// As on a node that was booted with `ipv6.disable=1`.
fn is_without_ipv6(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(number, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

/// Answers until the future is dropped.
pub async fn serve<P: Probes>(
    listener: TcpListener,
    probes: Arc<P>,
    registry: Registry,
) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn everywhere_is_ipv4_and_where_there_is_one_ipv6() {
        let listener = bind(everywhere(0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                .await
                .unwrap();
        }
        let taken = bind(everywhere(port)).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_machine_without_ipv6_is_told_from_a_port_that_is_taken() {
        let of = |number: Errno| is_without_ipv6(&number.into());
        assert!(of(Errno::AFNOSUPPORT) && of(Errno::ADDRNOTAVAIL));
        assert!(!of(Errno::ADDRINUSE) && !of(Errno::ACCESS));
    }
}
