//! The handler: it writes down what it is sent and what it answers, and misbehaves as it is told.
//!
//! HTTP by hand, because it must be able to break a connection anywhere around its answer.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::chance::Chance;
use crate::history::{Answer, Delivery, Micros, Place, Pod};
use crate::wait::now;

/// How the handler is at present. A part of the requests is treated so, the others well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Every request is handled.
    Well,
    /// Handled, but slowly.
    Slow(Duration),
    /// Asks for less: 503.
    Refusing,
    /// Fails: 500.
    Failing,
    /// Handles the record and breaks the connection before, within or after the answer.
    Breaking,
    /// Says nothing until the worker hangs up.
    Hanging,
}

/// What is always so.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// The least and the most time that a record takes.
    pub work: (Duration, Duration),
    /// One in so many records is rejected for good, by its place: 422.
    pub poison: Option<i64>,
    /// One in so many fails each time, by its place: 500.
    pub broken: Option<i64>,
}

const FAILED: &str = "500 Internal Server Error";

struct Shared {
    manner: Manner,
    state: Mutex<State>,
    changed: Condvar,
    over: CancellationToken,
}

struct State {
    mood: Mood,
    /// One in so many requests feels the mood.
    one_in: u64,
    chance: Chance,
    deliveries: Vec<Delivery>,
    handled: HashSet<Place>,
    /// What is in the handler, by pod.
    inside: HashMap<Pod, usize>,
}

/// A handler that listens until it is dropped.
pub struct Witness {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    pub fn start(manner: Manner, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            manner,
            state: Mutex::new(State {
                mood: Mood::Well,
                one_in: 1,
                chance: Chance::of(seed),
                deliveries: Vec::new(),
                handled: HashSet::new(),
                inside: HashMap::new(),
            }),
            changed: Condvar::new(),
            over: CancellationToken::new(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let over = serving.over.clone();
                over.run_until_cancelled(listen(listener, serving)).await;
            });
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// From now on one in `one_in` requests feels `mood`.
    pub fn feel(&self, mood: Mood, one_in: u64) {
        let mut state = self.shared.state.lock().unwrap();
        (state.mood, state.one_in) = (mood, one_in);
    }

    /// Records that were handled, each counted once.
    pub fn handled(&self) -> usize {
        self.shared.state.lock().unwrap().handled.len()
    }

    /// Requests of `pod` that are in the handler.
    pub fn inside(&self, pod: Pod) -> usize {
        let state = self.shared.state.lock().unwrap();
        state.inside.get(&pod).copied().unwrap_or_default()
    }

    /// Everything that came in.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.state.lock().unwrap().deliveries.clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.over.cancel();
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || std::thread::panicking());
        }
    }
}

async fn listen(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves a connection until one of both ends it. What goes wrong with it is the worker's to see.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let inside = Inside::begin(&shared, request);
        match answer(&mut stream, inside).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
    }
}

struct Request {
    pod: Pod,
    place: Place,
    attempt: Option<u32>,
}

/// A request, once all of it is there; none if the connection ends.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let text = std::str::from_utf8(&buffer[..head]).unwrap().to_owned();
            let header = |name: &str| {
                let lines = text.lines().filter_map(|line| line.split_once(": "));
                let mut value = lines
                    .filter(|(n, _)| n.eq_ignore_ascii_case(name))
                    .map(|(_, v)| v);
                value.next_back()?.parse::<i64>().ok()
            };
            let length = usize::try_from(header("content-length").unwrap_or(0)).unwrap();
            while buffer.len() < head + 4 + length {
                if stream.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            }
            buffer.drain(..head + 4 + length);
            let path = text.split(' ').nth(1).unwrap();
            return Some(Request {
                pod: path.trim_start_matches('/').parse().unwrap(),
                place: Place {
                    partition: i32::try_from(header("drover-partition").unwrap()).unwrap(),
                    offset: header("drover-offset").unwrap(),
                },
                attempt: header("drover-attempt").and_then(|number| number.try_into().ok()),
            });
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// A request that is in the handler; if nothing else is said, it was not handled.
struct Inside<'a> {
    shared: &'a Shared,
    index: usize,
    place: Place,
    pod: Pod,
    mood: Mood,
    work: Duration,
    choice: u64,
}

impl<'a> Inside<'a> {
    fn begin(shared: &'a Shared, request: Request) -> Self {
        let Request {
            pod,
            place,
            attempt,
        } = request;
        let mut state = shared.state.lock().unwrap();
        let (least, most) = shared.manner.work;
        let spread = u64::try_from((most - least).as_micros()).unwrap().max(1);
        let work = least + Duration::from_micros(state.chance.below(spread));
        let one_in = state.one_in;
        let feels = state.chance.below(one_in) == 0;
        let mood = if feels { state.mood } else { Mood::Well };
        let choice = state.chance.below(3);
        let begun = now();
        let index = state.deliveries.len();
        state.deliveries.push(Delivery {
            pod,
            place,
            begun,
            over: None,
            attempt,
            failed: false,
        });
        *state.inside.entry(pod).or_default() += 1;
        drop(state);
        shared.changed.notify_all();
        Self {
            shared,
            index,
            place,
            pod,
            mood,
            work,
            choice,
        }
    }

    /// Writes down what was done. Before the answer is sent, so that nothing that follows from the
    /// answer is earlier.
    fn over(&self, answer: Answer) {
        let mut state = self.shared.state.lock().unwrap();
        let at: Micros = now();
        let delivery = &mut state.deliveries[self.index];
        if delivery.over.is_none() {
            delivery.over = Some((at, answer));
            *state.inside.entry(self.pod).or_default() -= 1;
            if answer != Answer::NotDone {
                state.handled.insert(self.place);
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// As [`Self::over`], of what the handler says that it failed.
    fn failed(&self) {
        let mut state = self.shared.state.lock().unwrap();
        let delivery = &mut state.deliveries[self.index];
        delivery.failed = delivery.over.is_none();
        drop(state);
        self.over(Answer::NotDone);
    }

    fn is_one_in(&self, one_in: Option<i64>) -> bool {
        one_in.is_some_and(|one_in| self.place.offset % one_in == one_in / 2)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.over(Answer::NotDone);
    }
}

/// The worker does not wait for the answer any longer: it sends nothing before it has one.
async fn hung_up(stream: &TcpStream) {
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut [0]) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

/// Handles a request and answers it; true if the connection goes on.
async fn answer(stream: &mut TcpStream, inside: Inside<'_>) -> std::io::Result<bool> {
    let work = match inside.mood {
        Mood::Slow(more) => inside.work + more,
        Mood::Hanging => Duration::MAX,
        _ => inside.work,
    };
    tokio::select! {
        () = tokio::time::sleep(work) => {}
        () = hung_up(stream) => return Ok(false),
    }
    let status = match inside.mood {
        _ if inside.is_one_in(inside.shared.manner.poison) => "422 Unprocessable Content",
        _ if inside.is_one_in(inside.shared.manner.broken) => FAILED,
        Mood::Refusing => "503 Service Unavailable\r\nretry-after: 0",
        Mood::Failing => FAILED,
        _ => "200 OK",
    };
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    let breaks = inside.mood == Mood::Breaking && status == "200 OK";
    if !breaks {
        match status {
            "200 OK" => inside.over(Answer::Done),
            FAILED => inside.failed(),
            _ => inside.over(Answer::NotDone),
        }
        stream.write_all(text.as_bytes()).await?;
        return Ok(true);
    }
    inside.over(Answer::Unheard);
    let sent = match inside.choice {
        0 => 0,
        1 => text.len() / 2,
        _ => text.len(),
    };
    stream.write_all(&text.as_bytes()[..sent]).await?;
    // Dropped with nothing to say, the connection is reset at once.
    stream.set_zero_linger()?;
    Ok(false)
}
