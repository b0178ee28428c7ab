//! librdkafka's admin requests, each with a channel for its answer.
//!
//! A client has one thread of ours. It waits on one queue, to which results come and to which the
//! client's other queues are forwarded, so that log lines and errors are served too. When the last
//! handle goes, that thread destroys the client: destroying waits for librdkafka's own threads,
//! which no async task may do.
//!
//! **Requests to a group's coordinator must never time out inside librdkafka** (2.12 to 2.15 at
//! least; its issues 3663 and 4605). The request is freed when it does, but the search for the
//! coordinator goes on; when a broker comes back it finds the freed memory and aborts the process.
//! So these requests get an hour, callers stop waiting by themselves, and a client with a request
//! that has waited long is replaced ([`Native::longest_wait`]) well before that hour is over.
//!
//! **The client is a consumer with a group, though it joins none.** When a broker answers that it is
//! not the group's coordinator any more, librdkafka tells its own group to look for a new one, and
//! follows a null pointer in a client that has no group. It also goes on asking the old one: such a
//! client is replaced too.

mod complaint;
mod requests;

pub use complaint::Complaint;

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaType;
use tokio::sync::oneshot;

use super::answers::{self, Answer, Committed, Configs, Group, PerPartition, Topics};
use super::tokens::Tokens;
use crate::clock::Monotonic;
use crate::kafka::oauth::Grant;
use complaint::Context;

/// How long the thread waits for an event before it looks whether it is still needed; a handle
/// that goes wakes it at once.
const WAIT_MS: c_int = 1000;
/// librdkafka's longest time-out, for requests that must not time out.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// Where it will be.
pub type Receiver<T> = oneshot::Receiver<Answer<T>>;

/// A request that is under way.
struct Waiting {
    /// The group whose coordinator is asked.
    group: Option<CString>,
    since: Duration,
    pending: Pending,
}

/// Where its answer goes.
enum Pending {
    Offsets(oneshot::Sender<Answer<PerPartition<i64>>>),
    Committed(oneshot::Sender<Answer<PerPartition<Committed>>>),
    Altered(oneshot::Sender<Answer<PerPartition<()>>>),
    Topics(oneshot::Sender<Answer<Topics>>),
    Group(oneshot::Sender<Answer<Group>>),
    Configs(oneshot::Sender<Answer<Configs>>),
}

impl Pending {
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Offsets(sender) => sender.is_closed(),
            Self::Committed(sender) => sender.is_closed(),
            Self::Altered(sender) => sender.is_closed(),
            Self::Topics(sender) => sender.is_closed(),
            Self::Group(sender) => sender.is_closed(),
            Self::Configs(sender) => sender.is_closed(),
        }
    }
}

/// Whom a request is for.
enum Target<'a> {
    /// Brokers by their number; with librdkafka's own time-out.
    Brokers(Duration),
    /// The coordinator of a group; without.
    Coordinator(&'a CStr),
}

/// One client of one Kafka cluster.
pub struct Native {
    shared: Option<Arc<Shared>>,
    /// The way to the thread for the last handle.
    last: mpsc::Sender<Arc<Shared>>,
}

struct Shared {
    // Before the client: fields are dropped in this order, and these must go first.
    queue: Queue,
    tokens: Option<Tokens>,
    client: Client<Context>,
    pending: Mutex<HashMap<usize, Waiting>>,
    next: AtomicUsize,
    stop: AtomicBool,
    clock: Monotonic,
}

/// Results, and everything else that the client has to say.
struct Queue(*mut rd::rd_kafka_queue_t);

// SAFETY: librdkafka's queues may be used from any thread ("the library is completely thread
// safe"); the pointer is freed once, by `Drop`.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `rd_kafka_queue_new` and nobody uses it any more: it is
        // owned by `Shared`, which is going.
        unsafe { rd::rd_kafka_queue_destroy(self.0) }
    }
}

impl Native {
    /// Opens a client. Nothing is connected yet.
    pub fn open(config: &ClientConfig) -> KafkaResult<Self> {
        let context = Context::default();
        let (config, grant) = Grant::take(config);
        let native_config = config.create_native_config()?;
        let client = Client::new(
            &config,
            native_config,
            RDKafkaType::RD_KAFKA_CONSUMER,
            context,
        )?;
        // SAFETY: the client is alive; the queue is destroyed before it (order of fields).
        let queue = unsafe {
            let queue = rd::rd_kafka_queue_new(client.native_ptr());
            for other in [
                rd::rd_kafka_queue_get_main(client.native_ptr()),
                rd::rd_kafka_queue_get_consumer(client.native_ptr()),
            ] {
                if !other.is_null() {
                    rd::rd_kafka_queue_forward(other, queue);
                    // Only the reference that was got.
                    rd::rd_kafka_queue_destroy(other);
                }
            }
            Queue(queue)
        };
        let shared = Arc::new(Shared {
            queue,
            tokens: Tokens::keep(&client, grant),
            client,
            pending: Mutex::default(),
            next: AtomicUsize::new(1),
            stop: AtomicBool::new(false),
            clock: Monotonic::start(),
        });
        let (last, receiver) = mpsc::channel();
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("kafka-admin".to_owned())
            .spawn(move || serve(own, &receiver))
            .map_err(|error| KafkaError::ClientCreation(format!("start a thread: {error}")))?;
        Ok(Self {
            shared: Some(shared),
            last,
        })
    }

    /// What librdkafka last complained of; or why there is no token, from which all else follows.
    pub fn complaint(&self) -> Option<Complaint> {
        let shared = self.shared.as_ref()?;
        let missing = shared.tokens.as_ref().and_then(Tokens::missing);
        missing
            .map(Complaint::Token)
            .or_else(|| lock(&shared.client.context().said).complaint.clone())
    }

    /// For how long no broker has let us in, for a reason that waiting does not mend; none where one may.
    pub fn refused_for(&self) -> Option<Duration> {
        let shared = self.shared.as_ref()?;
        lock(&shared.client.context().said).refused_for()
    }

    /// Whether a question to this group's coordinator is unanswered although nobody waits for it
    /// any more. To ask another one then would only make the pile higher.
    pub fn is_abandoned(&self, group: &CStr) -> bool {
        self.shared.as_ref().is_some_and(|shared| {
            lock(&shared.pending).values().any(|waiting| {
                waiting.group.as_deref() == Some(group) && waiting.pending.is_abandoned()
            })
        })
    }

    /// How long the oldest question to a coordinator has been unanswered.
    pub fn longest_wait(&self) -> Duration {
        self.shared.as_ref().map_or(Duration::ZERO, |shared| {
            let now = shared.clock.elapsed();
            lock(&shared.pending)
                .values()
                .filter(|waiting| waiting.group.is_some())
                .map(|waiting| now.saturating_sub(waiting.since))
                .max()
                .unwrap_or(Duration::ZERO)
        })
    }

    /// Sends a request: every one gets exactly one event back, also when it times out.
    fn request(
        &self,
        op: rd::rd_kafka_admin_op_t,
        target: Target<'_>,
        pending: Pending,
        send: impl FnOnce(
            *mut rd::rd_kafka_t,
            *mut rd::rd_kafka_AdminOptions_t,
            *mut rd::rd_kafka_queue_t,
        ),
    ) {
        let Some(shared) = &self.shared else {
            return;
        };
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        let (group, timeout) = match target {
            Target::Brokers(timeout) => (None, timeout),
            Target::Coordinator(group) => (Some(group.to_owned()), AN_HOUR),
        };
        let waiting = Waiting {
            group,
            since: shared.clock.elapsed(),
            pending,
        };
        lock(&shared.pending).insert(id, waiting);
        let rk = shared.client.native_ptr();
        let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the client is alive as long as `shared`. The opaque is a number, never
        // followed as a pointer. The options are copied by the call and destroyed here. The
        // error text is not asked for.
        unsafe {
            let options = rd::rd_kafka_AdminOptions_new(rk, op);
            rd::rd_kafka_AdminOptions_set_opaque(options, id as *mut c_void);
            rd::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ptr::null_mut(), 0);
            send(rk, options, shared.queue.0);
            rd::rd_kafka_AdminOptions_destroy(options);
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        shared.stop.store(true, Ordering::Release);
        // SAFETY: `shared`, which is still ours, keeps the queue alive.
        unsafe { rd::rd_kafka_queue_yield(shared.queue.0) };
        // The thread waits for this handle, drops the last one and with it the client. Should the
        // thread be gone, the handle comes back in the error and the client goes here.
        let _ = self.last.send(shared);
    }
}

/// The thread of a client.
fn serve(shared: Arc<Shared>, last: &mpsc::Receiver<Arc<Shared>>) {
    while !shared.stop.load(Ordering::Acquire) {
        // SAFETY: `shared` keeps the queue alive; the event is ours and destroyed below.
        let event = unsafe { rd::rd_kafka_queue_poll(shared.queue.0, WAIT_MS) };
        if !event.is_null() {
            shared.dispatch(event);
            // SAFETY: the event came from the poll above and is not used any more.
            unsafe { rd::rd_kafka_event_destroy(event) };
        }
    }
    // Whoever still waits for an answer learns of the end by the closed channel.
    lock(&shared.pending).clear();
    drop((last.recv(), shared));
}

impl Shared {
    fn dispatch(&self, event: *mut rd::rd_kafka_event_t) {
        // SAFETY: the event is alive until `serve` destroys it, after this call.
        let (kind, id) = unsafe {
            (
                rd::rd_kafka_event_type(event),
                rd::rd_kafka_event_opaque(event) as usize,
            )
        };
        match kind {
            rd::RD_KAFKA_EVENT_LOG => return self.log(event),
            rd::RD_KAFKA_EVENT_ERROR => {
                return self.client.context().complain(answers::failure_of(event));
            }
            _ => {}
        }
        let Some(Waiting { pending, .. }) = lock(&self.pending).remove(&id) else {
            return;
        };
        let failure = answers::failure_of(event);
        let ok = failure.code == 0;
        // A caller that has gone away does not want the answer.
        match pending {
            Pending::Offsets(sender) => {
                let _ = sender.send(if ok {
                    Ok(answers::offsets(event))
                } else {
                    Err(failure)
                });
            }
            Pending::Committed(sender) => {
                let _ = sender.send(if ok {
                    answers::committed(event)
                } else {
                    Err(failure)
                });
            }
            Pending::Altered(sender) => {
                let _ = sender.send(if ok {
                    answers::altered(event)
                } else {
                    Err(failure)
                });
            }
            Pending::Topics(sender) => {
                let _ = sender.send(if ok {
                    Ok(answers::topics(event))
                } else {
                    Err(failure)
                });
            }
            Pending::Configs(sender) => {
                let _ = sender.send(if ok {
                    Ok(answers::configs(event))
                } else {
                    Err(failure)
                });
            }
            Pending::Group(sender) => {
                let _ = sender.send(if ok {
                    answers::group(event)
                } else {
                    Err(failure)
                });
            }
        }
    }

    fn log(&self, event: *mut rd::rd_kafka_event_t) {
        let (mut facility, mut message, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: a log event gives texts that live as long as the event.
        unsafe {
            if rd::rd_kafka_event_log(event, &mut facility, &mut message, &mut level) == 0 {
                let context = self.client.context();
                let level = RDKafkaLogLevel::Debug;
                context.log(
                    level,
                    &answers::text(facility),
                    answers::text(message).trim(),
                );
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the map whole: every change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
