//! Benchmark: a handler that answers 200 with nothing, in one thread.
//!
//! `bench_handler ADDRESS COUNT` writes a line when the first request and when request COUNT is
//! answered, for whoever measures.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8089".to_owned());
    let count: u64 = arguments
        .next()
        .map_or(Ok(u64::MAX), |count| count.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    LocalSet::new().block_on(&runtime, serve(address, count))
}

async fn serve(address: String, count: u64) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&address).await?;
    println!("listening {}", listener.local_addr()?);
    let seen = Rc::new(Cell::new(0_u64));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let seen = Rc::clone(&seen);
        spawn_local(async move {
            let answer = service_fn(|request: Request<Incoming>| {
                let seen = Rc::clone(&seen);
                async move {
                    // An answer before the body is read would close the connection.
                    let _ = request.into_body().collect().await;
                    seen.set(seen.get() + 1);
                    if seen.get() == 1 {
                        println!("first");
                    }
                    if seen.get() == count {
                        println!("done");
                    }
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}
