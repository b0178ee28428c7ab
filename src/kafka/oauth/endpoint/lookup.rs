//! Looks up names, and leaves out where they must not lead.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

use crate::kafka::oauth::place;

/// The system's way to look up names, with [`place::may_stand_for`].
#[derive(Clone)]
pub(super) struct Lookup(GaiResolver);

impl Lookup {
    pub fn new() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.0.call(name.clone());
        Box::pin(async move {
            let mut found: Vec<SocketAddr> = found.await?.collect();
            found.retain(|address| place::may_stand_for(name.as_str(), address.ip()));
            if found.is_empty() {
                return Err(io::Error::other(
                    "its name leads to nothing but loopback or the link, where no token is fetched",
                ));
            }
            Ok(found.into_iter())
        })
    }
}
