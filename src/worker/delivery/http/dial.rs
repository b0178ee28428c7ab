//! Connects to a name that may have several addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// An address that has said nothing for so long is not waited for: the next is tried beside it (RFC 8305, section 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// Names that are looked up at once. A resolver that does not answer keeps a thread for all of its patience, also when
/// nobody waits for it any more, and what is asked of Kafka needs threads as well.
static LOOK_UPS: Semaphore = Semaphore::const_new(4);

/// Looks `host` up and connects to the first of its addresses that takes the connection. `localhost` needs no looking
/// up (RFC 6761, section 6.3): it is both loopbacks, as a server that binds that name may listen on either.
///
/// # Errors
/// Of the look-up, or of the last address that refused.
pub(super) async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = match host {
        "localhost" => loopbacks(port).into(),
        _ => look_up(host, port).await?,
    };
    first_of(addresses).await
}

async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let host = host.to_owned();
    in_turn(move || Ok((host, port).to_socket_addrs()?.collect())).await?
}

/// Looks up in a thread that may block, with few others.
async fn in_turn<T: Send + 'static>(look_up: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    // It is never closed.
    let turn = LOOK_UPS.acquire().await.ok();
    let looking = spawn_blocking(move || {
        let found = look_up();
        drop(turn);
        found
    });
    Ok(looking.await?)
}

fn loopbacks(port: u16) -> [SocketAddr; 2] {
    [
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
    ]
}

async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = addresses.into_iter();
    let mut tried = FuturesUnordered::new();
    let mut why = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match left.next() {
            Some(address) => tried.push(TcpStream::connect(address)),
            None if tried.is_empty() => return Err(why),
            None => {}
        }
        let patience = match left.len() {
            0 => Duration::MAX,
            _ => NEXT_AFTER,
        };
        match timeout(patience, tried.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => why = error,
            Ok(None) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// An address that drops what wants to connect, as one behind a dead route does: its queue is full.
    async fn silent() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(connected) = timeout(NEXT_AFTER, TcpStream::connect(address)).await {
            queued.push(connected.unwrap());
        }
        (listener, queued)
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_or_refuses_is_passed_by() {
        let (silent, _queued) = silent().await;
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let (silent, good, refuses) = (address(&silent), address(&good), address(&gone));
        drop(gone);
        for first in [vec![], vec![silent], vec![refuses], vec![silent, refuses]] {
            let all = first.iter().copied().chain([good]).collect();
            let stream = first_of(all).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good, "{first:?}");
        }
    }

    #[tokio::test]
    async fn a_resolver_that_says_nothing_keeps_few_threads_whoever_has_given_up_waiting() {
        let (answers, answer) = mpsc::channel::<()>();
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(Mutex::new(0)));
        for _ in 0..10 {
            let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
            let look_up = in_turn(move || {
                *asked.lock().unwrap() += 1;
                answer.lock().unwrap().recv().unwrap_err()
            });
            let patience = Duration::from_millis(5);
            timeout(patience, look_up).await.unwrap_err();
        }
        assert_eq!(LOOK_UPS.available_permits(), 0);
        drop(answers);
        let _all = LOOK_UPS.acquire_many(4).await.unwrap();
        assert!(*asked.lock().unwrap() <= 4, "the others gave up their turn");
    }

    #[tokio::test]
    async fn a_server_on_either_loopback_is_on_localhost() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let server = TcpListener::bind(address).await.unwrap();
            let address = server.local_addr().unwrap();
            let stream = dial("localhost", address.port()).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
        }
    }

    #[tokio::test]
    async fn where_none_takes_it_the_reason_is_said() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let error = first_of(vec![address]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(first_of(vec![]).await.is_err());
    }
}
