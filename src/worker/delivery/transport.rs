//! How the handler is reached, and what a slot keeps open to it.

use std::rc::Rc;
use std::task::Context;

use super::document::Item;
use super::exec::{self, Exec, Group};
use super::http::connection::Connection;
use super::http::{Http, Protocol};
use super::spans::Hop;
use crate::engine::Verdict;

/// The ways to a handler.
#[derive(Debug)]
pub enum Transport {
    /// A POST for each record.
    Http(Http),
    /// A line for each record, to a command.
    Exec(Exec),
}

/// What a slot keeps between two deliveries.
pub enum Line {
    /// A connection of its own, once there was one, and as long as it stands; where all slots share
    /// connections there is none here.
    Http(Option<Connection>),
    /// A process, once it was needed.
    Exec(Box<exec::Line>),
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Attempted {
    /// What it means.
    pub verdict: Verdict,
    /// Some if it could be told whether the handler is there.
    pub reached: Option<bool>,
}

impl Attempted {
    /// The handler was not asked.
    pub fn without_handler(verdict: Verdict) -> Self {
        Self {
            verdict,
            reached: None,
        }
    }
}

impl Transport {
    /// What a new slot begins with; `group` is for those who must end what works on its delivery.
    pub fn line(&self, group: &Rc<Group>) -> Line {
        match self {
            Self::Http(_) => Line::Http(None),
            Self::Exec(exec) => Line::Exec(Box::new(exec.line(Rc::clone(group)))),
        }
    }

    /// Gives the record to the handler, with `hop` if there is a span to go on with, and reads its
    /// answer. If this is dropped before, the handler is told so as well as the transport can.
    pub async fn attempt(&self, line: &mut Line, item: &Item<'_>, hop: Option<&Hop>) -> Attempted {
        match (self, line) {
            (Self::Http(http), Line::Http(connection)) => http.attempt(connection, item, hop).await,
            (Self::Exec(exec), Line::Exec(line)) => exec.attempt(line, item, hop).await,
            _ => unreachable!("a line is of its transport"),
        }
    }

    /// Gives several records to the handler together; each gets a verdict.
    pub async fn attempt_batch(
        &self,
        line: &mut Line,
        items: &[Item<'_>],
        hop: Option<&Hop>,
    ) -> (Vec<Verdict>, Option<bool>) {
        match (self, line) {
            (Self::Http(http), Line::Http(connection)) => {
                http.attempt_batch(connection, items, hop).await
            }
            (Self::Exec(exec), Line::Exec(line)) => exec.attempt_batch(line, items, hop).await,
            _ => unreachable!("a line is of its transport"),
        }
    }
}

impl Transport {
    /// Lets go of what all slots share and none has used since the last call.
    pub fn hang_up_idle(&self) {
        if let Self::Http(Http {
            protocol: Protocol::H2c(pool),
            ..
        }) = self
        {
            pool.hang_up_idle();
        }
    }
}

impl Line {
    /// To be called while the slot is idle: lets go of what the handler has closed.
    pub fn poll_idle(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http(connection) => {
                let closed = |open: &mut Connection| open.poll_closed(cx).is_ready();
                if connection.as_mut().is_some_and(closed) {
                    *connection = None;
                }
            }
            Self::Exec(line) => line.poll_idle(cx),
        }
    }

    /// Lets go of what was idle for too long to be used again.
    pub fn hang_up(&mut self) {
        match self {
            Self::Http(connection) => *connection = None,
            // A process is dear to start, and does not go stale.
            Self::Exec(_) => {}
        }
    }

    /// Takes leave in good order.
    pub async fn close(&mut self) {
        match self {
            Self::Http(connection) => *connection = None,
            Self::Exec(line) => line.close().await,
        }
    }
}
