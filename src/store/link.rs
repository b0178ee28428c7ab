//! A connection that is made again when it breaks, and asked again what it could not answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clock::Monotonic;

/// How long one question waits for its answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a question is asked again, and waits for a connection. With one answer it is at most
/// [`super::LONGEST_QUESTION`].
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection, with its greeting, may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// The wait after a second failure in a row; the first is followed at once. It doubles.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// A connection that breaks sooner than this, and without an answer, was no success.
const LASTING: Duration = Duration::from_secs(5);

/// Why there is no answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The connection broke, or the server is of no use at present; another connection may be.
    Server(String),
    /// The server says no to this question alone: others may be asked over the same connection.
    Question(String),
}

/// The way to a server. `C` is cheap to clone.
pub(super) struct Link<C> {
    shared: Rc<Shared<C>>,
    _task: JoinSet<()>,
}

struct Shared<C> {
    clock: Monotonic,
    state: RefCell<State<C>>,
    /// Something in `state` changed.
    changed: Notify,
}

struct State<C> {
    connection: Option<C>,
    /// A question was answered over it.
    answers: bool,
    /// Counts connections, so that what breaks late does not break the next one.
    generation: u64,
    /// Since when the server has not been of use, and why.
    trouble: Option<(Duration, String)>,
    /// Since when it has refused each question for its own sake.
    refusing: Option<Duration>,
    /// It has refused all of them for a while: that it can be connected to proves nothing.
    useless: bool,
}

impl<C: Clone + 'static> Link<C> {
    /// Begins to connect, and to connect again whenever it must.
    pub(super) fn new<F>(clock: Monotonic, connect: F) -> Self
    where
        F: AsyncFn() -> Result<C, String> + 'static,
    {
        let shared = Rc::new(Shared {
            clock,
            state: RefCell::new(State {
                connection: None,
                answers: false,
                generation: 0,
                trouble: None,
                refusing: None,
                useless: false,
            }),
            changed: Notify::new(),
        });
        let mut task = JoinSet::new();
        task.spawn_local(keep_connected(Rc::clone(&shared), connect));
        Self {
            shared,
            _task: task,
        }
    }

    /// Asks, and asks again over a new connection where the answer was lost. What is asked must
    /// bear that.
    ///
    /// # Errors
    ///
    /// No answer within a few seconds, or at once where the server has been away for longer or refuses the question.
    pub(super) async fn ask<T, F>(&self, question: F) -> Result<T, Failed>
    where
        F: AsyncFn(C) -> Result<T, Failed>,
    {
        let until = self.shared.clock.elapsed() + PATIENCE;
        loop {
            let connected = self.connection(until).await;
            let (generation, connection) = connected.map_err(Failed::Server)?;
            let (why, hangs) = match timeout(ANSWER, question(connection)).await {
                Ok(Ok(answer)) => {
                    self.shared.answered();
                    return Ok(answer);
                }
                Ok(Err(Failed::Question(why))) => {
                    self.shared.refused(generation, &why);
                    return Err(Failed::Question(why));
                }
                Ok(Err(Failed::Server(why))) => (why, false),
                Err(_) => (format!("no answer within {} s", ANSWER.as_secs()), true),
            };
            self.shared.broke(generation, why.clone(), hangs);
            if self.shared.clock.elapsed() >= until {
                return Err(Failed::Server(why));
            }
        }
    }

    /// Why the server is of no use at present.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = self.shared.state.borrow();
        state.trouble.as_ref().map(|(_, why)| why.clone())
    }

    async fn connection(&self, until: Duration) -> Result<(u64, C), String> {
        loop {
            let changed = self.shared.changed.notified();
            let now = self.shared.clock.elapsed();
            {
                let state = self.shared.state.borrow();
                if let Some(connection) = &state.connection {
                    return Ok((state.generation, connection.clone()));
                }
                let long = |since: &Duration| now >= *since + PATIENCE;
                match &state.trouble {
                    Some((since, why)) if long(since) || now >= until => return Err(why.clone()),
                    None if now >= until => return Err("no connection yet".to_owned()),
                    _ => {}
                }
            }
            // Over time, the state is looked at once more.
            let _ = timeout(until - now, changed).await;
        }
    }
}

impl<C> Shared<C> {
    /// A question was answered.
    fn answered(&self) {
        let mut state = self.state.borrow_mut();
        state.refusing = None;
        state.answers = true;
        if std::mem::take(&mut state.useless) && state.connection.is_some() {
            state.trouble = None;
        }
    }

    /// A question was refused. Where that has been so of each for a while, it is not the questions' fault.
    fn refused(&self, generation: u64, why: &str) {
        let now = self.clock.elapsed();
        let since = *self.state.borrow_mut().refusing.get_or_insert(now);
        if now >= since + PATIENCE {
            self.state.borrow_mut().useless = true;
            self.broke(generation, why.to_owned(), true);
        }
    }

    /// The connection with that number is of no use; `tells` of the server, not of this connection alone.
    fn broke(&self, generation: u64, why: String, tells: bool) {
        let mut state = self.state.borrow_mut();
        if state.generation == generation && state.connection.take().is_some() {
            // Servers close what is idle. Only where another connection is not to be had either, the server is away.
            if tells || !state.answers {
                state.failed(self.clock.elapsed(), why);
            }
            drop(state);
            self.changed.notify_waiters();
        }
    }
}

impl<C> State<C> {
    fn failed(&mut self, now: Duration, why: String) {
        let since = self.trouble.as_ref().map_or(now, |(since, _)| *since);
        self.trouble = Some((since, why));
    }
}

async fn keep_connected<C, F>(shared: Rc<Shared<C>>, connect: F)
where
    F: AsyncFn() -> Result<C, String>,
{
    let mut wait = Duration::ZERO;
    loop {
        let made = match timeout(CONNECT, connect()).await {
            Ok(made) => made,
            Err(_) => Err(format!("no connection within {} s", CONNECT.as_secs())),
        };
        let connected_at = shared.clock.elapsed();
        match made {
            Ok(connection) => {
                {
                    let mut state = shared.state.borrow_mut();
                    state.connection = Some(connection);
                    state.answers = false;
                    state.generation += 1;
                    if !state.useless {
                        state.trouble = None;
                    }
                    state.refusing = None;
                }
                shared.changed.notify_waiters();
                loop {
                    let changed = shared.changed.notified();
                    if shared.state.borrow().connection.is_none() {
                        break;
                    }
                    changed.await;
                }
                let lasted = shared.clock.elapsed() >= connected_at + LASTING;
                if lasted || shared.state.borrow().answers {
                    wait = Duration::ZERO;
                }
            }
            Err(why) => {
                shared.state.borrow_mut().failed(connected_at, why);
                shared.changed.notify_waiters();
            }
        }
        if !wait.is_zero() {
            sleep(wait).await;
        }
        wait = (2 * wait).clamp(SHORTEST_WAIT, LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::task::LocalSet;

    use super::*;

    fn block_on(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_question_survives_a_connection_that_breaks() {
        block_on(async {
            let link = Link::new(Monotonic::start(), async || Ok(Rc::new(Cell::new(0))));
            let asked = Cell::new(0);
            let answer = link
                .ask(async |_| {
                    asked.set(asked.get() + 1);
                    if asked.get() == 1 {
                        Err(Failed::Server("reset".to_owned()))
                    } else {
                        Ok(7)
                    }
                })
                .await;
            assert_eq!((answer, asked.get()), (Ok(7), 2));
            assert_eq!(link.trouble(), None);
        });
    }

    /// A link, and how many connections it has made.
    fn counted() -> (Link<()>, Rc<Cell<u32>>) {
        let made = Rc::new(Cell::new(0));
        let count = Rc::clone(&made);
        let connect = async move || {
            count.set(count.get() + 1);
            Ok(())
        };
        (Link::new(Monotonic::start(), connect), made)
    }

    #[test]
    fn a_connection_that_was_of_use_and_is_closed_is_no_trouble_of_the_server() {
        block_on(async {
            let (may_connect, connects) = tokio::sync::mpsc::unbounded_channel();
            let connects = tokio::sync::Mutex::new(connects);
            let link = Link::new(Monotonic::start(), async move || {
                connects
                    .lock()
                    .await
                    .recv()
                    .await
                    .unwrap_or(Err("over".to_owned()))
            });
            may_connect.send(Ok(())).unwrap();
            for _ in 0..20 {
                assert_eq!(link.ask(async |()| Ok(7)).await, Ok(7));
                let closed = Cell::new(false);
                let again = link.ask(async |()| {
                    if closed.replace(true) {
                        return Ok(8);
                    }
                    Err(Failed::Server("closed while idle".to_owned()))
                });
                let meanwhile = async {
                    while !closed.get() || link.shared.state.borrow().connection.is_some() {
                        tokio::task::yield_now().await;
                    }
                    assert_eq!(link.trouble(), None);
                    may_connect.send(Ok(())).unwrap();
                };
                let (answer, ()) = futures::join!(again, meanwhile);
                assert_eq!((answer, link.trouble()), (Ok(8), None));
            }
        });
    }

    #[test]
    fn a_question_that_is_refused_leaves_the_connection_to_others() {
        block_on(async {
            let (link, made) = counted();
            let refusal = || Failed::Question("wrong type".to_owned());
            for _ in 0..10 {
                let refused: Result<(), _> = link.ask(async |()| Err(refusal())).await;
                assert_eq!(refused, Err(refusal()));
                assert_eq!(link.ask(async |()| Ok(7)).await, Ok(7));
            }
            assert_eq!((made.get(), link.trouble()), (1, None));
        });
    }

    #[test]
    fn a_server_that_refuses_each_question_is_connected_to_anew() {
        block_on(async {
            let (link, made) = counted();
            while made.get() < 2 {
                let refusal = Failed::Question("no".to_owned());
                let refused: Result<(), _> = link.ask(async |()| Err(refusal.clone())).await;
                refused.unwrap_err();
                sleep(Duration::from_millis(10)).await;
            }
        });
    }

    #[test]
    fn a_server_that_is_away_for_long_fails_at_once_and_is_found_again() {
        block_on(async {
            let there = Rc::new(Cell::new(false));
            let seen = Rc::clone(&there);
            let clock = Monotonic::start();
            let link = Link::new(clock, async move || {
                if seen.get() {
                    Ok(())
                } else {
                    Err("refused".to_owned())
                }
            });
            let ask = async || link.ask(async |()| Ok(())).await;
            // The first waits a while, in case it is only a moment.
            let refused = Err(Failed::Server("refused".to_owned()));
            assert_eq!(ask().await, refused);
            let before = clock.elapsed();
            for _ in 0..1000 {
                assert_eq!(ask().await, refused);
            }
            // Had each waited, it would have been half an hour.
            assert!(clock.elapsed() - before < Duration::from_secs(60));
            assert_eq!(link.trouble().as_deref(), Some("refused"));
            there.set(true);
            while ask().await.is_err() {
                tokio::task::yield_now().await;
            }
            assert_eq!(link.trouble(), None);
        });
    }

    #[test]
    fn a_server_that_does_not_answer_is_given_up_in_bounded_time() {
        block_on(async {
            let link = Link::new(Monotonic::start(), async || Ok(()));
            let answer: Result<(), _> = link.ask(async |()| std::future::pending().await).await;
            let silent = Failed::Server("no answer within 2 s".to_owned());
            assert_eq!(answer, Err(silent));
        });
    }
}
