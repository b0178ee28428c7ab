//! The client of one cluster, made when it may be asked first: see [`crate::lag::trials`].

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::kafka::admin::{Admin, Error};
use crate::lag::Source;
use crate::lag::journal::Place;
use crate::lag::trials::Verdict;

/// Whose turn may come is looked at this often.
const TURN: Duration = Duration::from_secs(1);
/// Who is left alone looks this often.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// Who waits for its turn for longer is told so.
const SHORT: Duration = Duration::from_secs(120);
/// As people read times.
const FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

pub(super) struct Client {
    source: Source,
    place: Arc<Place>,
    since: Instant,
    /// None where it could not be made, and why.
    admin: OnceLock<Result<Arc<Admin>, Error>>,
}

/// Whether the cluster may be asked.
pub(super) enum Access<'a> {
    /// By this client.
    Granted(Result<&'a Arc<Admin>, Error>),
    /// In a moment, after this.
    Soon(Duration),
    /// Not for long, and why; it is looked at again after this.
    Refused(Error, Duration),
}

impl Client {
    pub(super) fn new(source: Source, place: Arc<Place>) -> Self {
        Self {
            source,
            place,
            since: Instant::now(),
            admin: OnceLock::new(),
        }
    }

    pub(super) fn access(&self) -> Access<'_> {
        match self.place.verdict() {
            Verdict::Ask => {
                let admin = self.admin.get_or_init(|| self.open());
                Access::Granted(admin.as_ref().map_err(Clone::clone))
            }
            Verdict::Waits if self.since.elapsed() < SHORT => Access::Soon(TURN),
            Verdict::Waits => {
                let why = "the controller died when it began to ask several Kafka clusters, and asks them again one after the other; it is not the turn of these brokers yet";
                Access::Refused(Error::Suspected(why.to_owned()), TURN)
            }
            Verdict::LeftAlone { times, last, until } => {
                let times = match times {
                    1 => "once".to_owned(),
                    times => format!("{times} times"),
                };
                let why = format!(
                    "the controller died {times} within seconds of asking these brokers, last before {}; they are asked again at {}, or when spec.kafka.bootstrapServers changes",
                    last.strftime(FORMAT),
                    until.strftime(FORMAT),
                );
                Access::Refused(Error::Suspected(why), LEFT_ALONE)
            }
        }
    }

    /// The client, if the cluster was asked before.
    pub(super) fn opened(&self) -> Result<&Arc<Admin>, Error> {
        match self.admin.get() {
            Some(admin) => admin.as_ref().map_err(Clone::clone),
            None => Err(Error::Later("it was not asked yet".to_owned())),
        }
    }

    fn open(&self) -> Result<Arc<Admin>, Error> {
        let source = &self.source;
        let admin = Admin::secured(
            &source.bootstrap_servers,
            &source.properties,
            &source.security,
        );
        admin.map(Arc::new)
    }
}
