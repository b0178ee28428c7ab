//! Gives a client its OAuth tokens, for as long as it lives.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::clock;
use crate::kafka::oauth::{Endpoint, Grant, Token, pace};

/// Gets tokens in a thread of its own, so that nobody's poll waits for another server. It must not
/// outlive its client: it is to be dropped before.
pub struct Tokens {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
    missing: Missing,
}

/// Why there is no token that holds; none while there is one, or nobody knows yet.
#[derive(Clone, Default)]
struct Missing(Arc<Mutex<Option<String>>>);

/// A client of librdkafka's.
struct Handle(*mut rd::rd_kafka_t);

// SAFETY: librdkafka's handles may be used from any thread; `Tokens` ends its thread before the client goes.
unsafe impl Send for Handle {}

impl Tokens {
    /// Begins; nothing where there is no grant.
    pub fn keep<C: ClientContext>(client: &Client<C>, grant: Option<Grant>) -> Option<Self> {
        let grant = grant?;
        let handle = Handle(client.native_ptr());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let missing = Missing::default();
        let told = missing.clone();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => {
                    runtime.block_on(stopped.run_until_cancelled(supply(handle, grant, told)));
                    // Not to wait for a name that is being looked up.
                    runtime.shutdown_background();
                }
                Err(error) => handle.fail(&format!("no runtime to ask for it: {error}"), 1),
            }
        };
        let thread = thread::Builder::new()
            .name("oauth-tokens".to_owned())
            .spawn(run);
        Some(Self {
            stop,
            thread: thread
                .inspect_err(|error| warn!(%error, "no thread for OAuth tokens"))
                .ok(),
            missing,
        })
    }

    /// Why there is no token that holds; none while there is one, or before the first was asked for.
    pub fn missing(&self) -> Option<String> {
        self.missing.get()
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It ends at its next await; a panic in it was said by the panic itself.
            let _ = thread.join();
        }
    }
}

/// One token after the other. A failure is told to librdkafka, and so to whoever listens to the client, only once
/// no token holds any more.
async fn supply(handle: Handle, grant: Grant, missing: Missing) -> std::convert::Infallible {
    let clock = clock::Monotonic::start();
    let mut holds_until = Duration::ZERO;
    let mut failures: u32 = 0;
    let endpoint = Endpoint::new(grant.clone());
    loop {
        // The token may be older than the answer with it.
        let asked = clock.elapsed();
        let got = match &endpoint {
            Ok(endpoint) => endpoint.token().await,
            Err(why) => Err(why.clone()),
        };
        let got = got.and_then(|token| {
            let holds_for = token.holds_for.saturating_sub(clock.elapsed() - asked);
            handle.set(&token, holds_for, &grant).map(|()| holds_for)
        });
        let wait = match got {
            Ok(holds_for) => {
                debug!(?holds_for, "OAuth token");
                failures = 0;
                holds_until = clock.elapsed() + holds_for;
                missing.set(None);
                pace::renewal(holds_for, luck())
            }
            Err(why) => {
                failures = failures.saturating_add(1);
                let wait = pace::again(failures, luck());
                if clock.elapsed() >= holds_until {
                    handle.fail(&why, failures);
                    missing.set(Some(why));
                } else {
                    if failures == 1 {
                        warn!(
                            why,
                            "no new OAuth token; the one before holds for some time"
                        );
                    }
                    // The moment from which nobody is let in is worth a word of its own.
                    let left = holds_until.saturating_sub(clock.elapsed());
                    tokio::time::sleep(wait.min(left)).await;
                    continue;
                }
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// From 0 to 1.
fn luck() -> f64 {
    let mut byte = [128];
    // Without randomness nothing is wrong but that many may ask at once.
    let _ = SystemRandom::new().fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

impl Missing {
    fn get(&self) -> Option<String> {
        let why = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        why.clone()
    }

    fn set(&self, why: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

impl Handle {
    fn set(&self, token: &Token, holds_for: Duration, grant: &Grant) -> Result<(), String> {
        let text = |text: &str| CString::new(text).map_err(|_| "a zero byte in it".to_owned());
        let value = text(&token.value)?;
        let name = text(&grant.client_id)?;
        let mut extensions = Vec::new();
        for (key, value) in &grant.extensions {
            extensions.extend([text(key)?, text(value)?]);
        }
        let mut pointers: Vec<*const c_char> = extensions.iter().map(|it| it.as_ptr()).collect();
        let now = clock::now().as_millisecond();
        let holds_for = i64::try_from(holds_for.as_millis()).unwrap_or(i64::MAX);
        let mut words: [c_char; 512] = [0; 512];
        // SAFETY: the client is alive; all texts and the list of them outlive the call, which copies them, and
        // the error's text ends within its room.
        let code = unsafe {
            rd::rd_kafka_oauthbearer_set_token(
                self.0,
                value.as_ptr(),
                now.saturating_add(holds_for),
                name.as_ptr(),
                if pointers.is_empty() {
                    ptr::null_mut()
                } else {
                    pointers.as_mut_ptr()
                },
                pointers.len(),
                words.as_mut_ptr(),
                words.len(),
            )
        };
        if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(());
        }
        // SAFETY: librdkafka ends the text with a zero.
        let words = unsafe { CStr::from_ptr(words.as_ptr()) };
        Err(words.to_string_lossy().into_owned())
    }

    /// librdkafka passes the same words on once only, and a broker's refusal of the old token may have been heard
    /// since: the number makes them new.
    fn fail(&self, why: &str, failures: u32) {
        let mut why = why.replace('\0', " ");
        if failures > 1 {
            why = format!("{why} (tried {failures} times)");
        }
        let Ok(why) = CString::new(why) else {
            return;
        };
        // SAFETY: the client is alive; the text is copied.
        unsafe { rd::rd_kafka_oauthbearer_set_token_failure(self.0, why.as_ptr()) };
    }
}
