//! A line to the API server that can be cut: what goes through it then hangs, as when packets are
//! lost.

use std::net::SocketAddr;

use kube::Config;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The line. Ends with the test's runtime.
pub struct Line {
    pub address: SocketAddr,
    cut: watch::Sender<bool>,
}

impl Line {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, is_cut) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(near, server, is_cut.clone()));
            }
        });
        Self { address, cut }
    }

    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

async fn carry(mut near: TcpStream, server: SocketAddr, mut is_cut: watch::Receiver<bool>) {
    if is_cut.wait_for(|cut| !cut).await.is_err() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(server).await else {
        return;
    };
    let ended = {
        let carried = tokio::io::copy_bidirectional(&mut near, &mut far);
        tokio::select! {
            _ = carried => true,
            _ = is_cut.wait_for(|cut| *cut) => false,
        }
    };
    if !ended {
        // Neither closed nor carried on: the other end waits.
        let _ = is_cut.wait_for(|cut| !cut).await;
    }
}

/// Where the API server of a configuration is.
pub fn server(config: &Config) -> SocketAddr {
    let url = &config.cluster_url;
    format!("{}:{}", url.host().unwrap(), url.port_u16().unwrap())
        .parse()
        .unwrap()
}
