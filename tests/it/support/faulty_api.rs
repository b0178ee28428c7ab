//! A proxy between a controller and the real API server that answers wrongly, late or not at all where
//! a test says so, and keeps a list of all calls.
//!
//! ```ignore
//! let api = FaultyApi::start(cluster).await;
//! api.faults(|call| if call.writes() { Fault::Answer(500) } else { Fault::None });
//! controller::run(api.config(), …);
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::control_plane::ControlPlane;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It goes through.
    None,
    /// It never reaches the API server, which is said to have answered so.
    Answer(u16),
    /// 429, with the seconds after which to come again.
    TooMany(u64),
    /// It never reaches the API server, and the connection breaks.
    NoAnswer,
    /// It is carried out, and the connection breaks before the answer.
    LostAnswer,
    /// It goes through, but late.
    Slow(Duration),
    /// A watch that breaks after this long.
    Cut(Duration),
    /// A watch whose resource version has expired.
    Expired,
}

/// One call, as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: String,
    /// Whom an event is about.
    regarding: Option<String>,
    pub fault: Fault,
}

impl Call {
    pub fn writes(&self) -> bool {
        self.method != Method::GET
    }

    pub fn watches(&self) -> bool {
        self.query.contains("watch=true") || self.query.contains("watch=1")
    }

    pub fn is_about_lease(&self) -> bool {
        self.path.contains("/leases")
    }

    /// Whether it is about an object that is called so, or about a Secret of its own.
    pub fn is_about(&self, name: &str) -> bool {
        let own = |segment: &str| segment == name || segment.strip_suffix("-keys") == Some(name);
        self.path.split('/').any(own) || self.regarding.as_deref() == Some(name)
    }
}

type Plan = Box<dyn FnMut(&Call) -> Fault + Send>;

struct Shared {
    upstream: Client,
    plan: Mutex<Plan>,
    calls: Mutex<Vec<Call>>,
}

/// The proxy. Ends when it is dropped.
pub struct FaultyApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for FaultyApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FaultyApi {
    /// Without faults, to begin with.
    pub async fn start(cluster: &ControlPlane) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: cluster.client().await,
            plan: Mutex::new(Box::new(|_| Fault::None)),
            calls: Mutex::default(),
        });
        let task = tokio::spawn(serve(listener, shared.clone()));
        Self {
            address,
            shared,
            task,
        }
    }

    /// `config`, but by way of this proxy.
    pub fn before(&self, config: Config) -> Config {
        let mut config = config;
        config.cluster_url = format!("http://{}", self.address).parse().unwrap();
        config
    }

    /// Decides what becomes of each call from now on.
    pub fn faults(&self, plan: impl FnMut(&Call) -> Fault + Send + 'static) {
        *self.shared.plan.lock().unwrap() = Box::new(plan);
    }

    /// All calls until now.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// All calls about one object, but for watches.
    pub fn calls_about(&self, name: &str) -> Vec<Call> {
        let calls = self.shared.calls.lock().unwrap();
        let about = |call: &&Call| call.is_about(name);
        calls.iter().filter(about).cloned().collect()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the task: dropping the set aborts them.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, shared.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // It breaks where a fault says so.
            let _ = connection.await;
        });
    }
}

/// The connection breaks without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection breaks here")]
struct Broken;

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let mut call = Call {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        regarding: regarding(parts.uri.path(), &body),
        fault: Fault::None,
    };
    call.fault = (shared.plan.lock().unwrap())(&call);
    let fault = call.fault;
    shared.calls.lock().unwrap().push(call);

    let mut forwarded = Request::builder()
        .method(parts.method)
        .uri(parts.uri.path_and_query().unwrap().as_str());
    *forwarded.headers_mut().unwrap() = without_hops(parts.headers);
    let forwarded = forwarded.body(kube::client::Body::from(body)).unwrap();
    match fault {
        Fault::None => forward(&shared, forwarded).await,
        Fault::Answer(code) => Ok(refusal(code, None)),
        Fault::TooMany(seconds) => Ok(refusal(429, Some(seconds))),
        Fault::NoAnswer => Err(Broken),
        Fault::LostAnswer => {
            let _ = forward(&shared, forwarded)
                .await?
                .into_body()
                .collect()
                .await;
            Err(Broken)
        }
        Fault::Slow(wait) => {
            tokio::time::sleep(wait).await;
            forward(&shared, forwarded).await
        }
        Fault::Cut(after) => {
            let (head, body) = forward(&shared, forwarded).await?.into_parts();
            Ok(Response::from_parts(head, cut(body, after)))
        }
        Fault::Expired => Ok(expired()),
    }
}

fn regarding(path: &str, body: &Bytes) -> Option<String> {
    let event = || serde_json::from_slice::<Value>(body).ok();
    let is_event = path.ends_with("/events");
    let event = is_event.then(event).flatten()?;
    event["regarding"]["name"].as_str().map(str::to_owned)
}

fn without_hops(mut headers: HeaderMap) -> HeaderMap {
    for name in [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
    headers
}

async fn forward(
    shared: &Shared,
    request: Request<kube::client::Body>,
) -> Result<Response<Body>, Broken> {
    let answer = shared.upstream.send(request).await.map_err(|_| Broken)?;
    let (mut head, body) = answer.into_parts();
    head.headers = without_hops(head.headers);
    let body = body.map_err(std::io::Error::other);
    Ok(Response::from_parts(head, body.boxed_unsync()))
}

fn refusal(code: u16, retry_after: Option<u64>) -> Response<Body> {
    // Priority and fairness answers in plain words; everything else is a Status.
    let body = match retry_after {
        Some(_) => "Too many requests, please try again later.\n".to_owned(),
        None => json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "a fault of the test", "code": code,
            "reason": if code == 409 { "Conflict" } else { "InternalError" },
        })
        .to_string(),
    };
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    if let Some(seconds) = retry_after {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// As the API server says it to a watch that is too old: in the stream, after a good beginning.
fn expired() -> Response<Body> {
    let event = json!({ "type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410,
    }});
    Response::new(whole(format!("{event}\n")))
}

fn whole(text: String) -> Body {
    let never = |never: Infallible| match never {};
    Full::new(Bytes::from(text)).map_err(never).boxed_unsync()
}

/// `body` until `after`, then an end that is none.
fn cut(body: Body, after: Duration) -> Body {
    let deadline = tokio::time::Instant::now() + after;
    let frames = futures::stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some(body))),
            Ok(_) => None,
            Err(_) => {
                let broken: Result<Frame<Bytes>, _> = Err(std::io::Error::other("cut"));
                Some((broken, None))
            }
        }
    });
    http_body_util::StreamBody::new(frames).boxed_unsync()
}
