//! What many groups have committed, in a few questions.
//!
//! Brokers since 3.0 answer for any number of groups at once (KIP-709, and KIP-699 for who coordinates them), which
//! librdkafka, as of 2.12, cannot ask: it takes two requests for each group, each time. So this asks by itself,
//! over a connection of its own to each broker, and only where many groups are asked for. It is never needed: what
//! it cannot do, does not know or does not get, librdkafka is asked for, in whose words errors are told.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{
    ApiKey, BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, OffsetFetchResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use tokio::sync::Mutex;

use super::connection::{Connection, Trouble};
use super::messages::{Partitions, questions, read, request};
use super::way::Way;
use super::{A_GROUP, FIND_COORDINATOR};
use crate::clock::Monotonic;
use crate::kafka::admin::{Answers, Committed};
use crate::kafka::client_config;

/// For fewer groups a connection of its own is not worth it.
pub const WORTH_IT: usize = 16;
/// Groups whose coordinator is asked for in one question.
const MOST_KEYS: usize = 1000;
/// The first version for many groups.
const OFFSET_FETCH: i16 = 8;
const ASKED: [(ApiKey, i16); 2] = [
    (ApiKey::FindCoordinator, FIND_COORDINATOR),
    (ApiKey::OffsetFetch, OFFSET_FETCH),
];
/// Groups whose coordinator is kept in mind: fleets come and go.
const MOST_KNOWN: usize = 100_000;
/// What is known by a broker's address only.
const BOOTSTRAP: BrokerId = BrokerId(-1);
/// After a failure librdkafka is asked for so long, doubled with each: a refused password must not become a
/// thousand refused passwords.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);

/// Asks one cluster.
pub struct GroupOffsets {
    way: Way,
    state: Mutex<State>,
}

/// Answers, and how many questions they took.
#[derive(Debug, Default)]
pub struct Round {
    /// Of the groups of which all is known.
    pub answers: BTreeMap<String, Answers<Committed>>,
    /// Questions to brokers.
    pub questions: u64,
}

#[derive(Default)]
struct State {
    brokers: HashMap<BrokerId, Broker>,
    coordinators: HashMap<String, BrokerId>,
    failures: u32,
    failed: Option<Monotonic>,
}

struct Broker {
    host: String,
    port: u16,
    connection: Option<Connection>,
}

impl GroupOffsets {
    /// None where it is not known how brokers are reached.
    pub fn of(connection: &client_config::Connection<'_>) -> Option<Self> {
        Some(Self {
            way: Way::of(connection)?,
            state: Mutex::default(),
        })
    }

    /// What groups have committed for these partitions, as far as it comes within `patience`.
    pub async fn ask(&self, groups: &BTreeMap<String, Partitions>, patience: Duration) -> Round {
        let mut round = Round::default();
        let mut state = self.state.lock().await;
        if state.pauses() {
            return round;
        }
        let asked = state.ask(&self.way, groups, &mut round);
        let outcome = tokio::time::timeout(patience, asked).await;
        let trouble = match outcome {
            Ok(Ok(())) => {
                state.failures = 0;
                return round;
            }
            Ok(Err(trouble)) => trouble.to_string(),
            Err(_) => format!("no answer within {patience:?}"),
        };
        let pause = state.fail();
        tracing::debug!(
            trouble,
            ?pause,
            "offsets of many groups at once were not read; librdkafka is asked for each"
        );
        round
    }
}

impl State {
    fn pauses(&self) -> bool {
        let failed = self.failed.as_ref();
        failed.is_some_and(|failed| failed.elapsed() < pause(self.failures))
    }

    /// Begins anew after a pause.
    fn fail(&mut self) -> Duration {
        let failures = self.failures + 1;
        *self = Self {
            failures,
            failed: Some(Monotonic::start()),
            ..Self::default()
        };
        pause(failures)
    }

    async fn ask(
        &mut self,
        way: &Way,
        groups: &BTreeMap<String, Partitions>,
        round: &mut Round,
    ) -> Result<(), Trouble> {
        if self.coordinators.len() > MOST_KNOWN {
            self.coordinators.clear();
        }
        self.find(way, groups, round).await?;
        let mut shares: HashMap<BrokerId, Vec<(&String, &Partitions)>> = HashMap::new();
        for group in groups {
            if let Some(&broker) = self.coordinators.get(group.0) {
                shares.entry(broker).or_default().push(group);
            }
        }
        for (id, share) in shares {
            for question in questions(&share) {
                let request = request(question);
                let (key, version) = ASKED[1];
                let answer: OffsetFetchResponse = self
                    .question(way, id, key, version, &request, round)
                    .await?;
                let mut said: HashMap<&str, &OffsetFetchResponseGroup> = HashMap::new();
                for group in &answer.groups {
                    said.insert(group.group_id.as_str(), group);
                }
                for (group, partitions) in question {
                    match said
                        .get(group.as_str())
                        .and_then(|said| read(said, partitions))
                    {
                        Some(answers) => _ = round.answers.insert((*group).clone(), answers),
                        // It may have another coordinator now.
                        None => _ = self.coordinators.remove(*group),
                    }
                }
            }
        }
        Ok(())
    }

    /// Learns who coordinates the groups of which that is not known.
    async fn find(
        &mut self,
        way: &Way,
        groups: &BTreeMap<String, Partitions>,
        round: &mut Round,
    ) -> Result<(), Trouble> {
        let unknown: Vec<&String> = groups
            .keys()
            .filter(|group| !self.coordinators.contains_key(*group))
            .collect();
        for keys in unknown.chunks(MOST_KEYS) {
            let names = keys.iter().map(|key| StrBytes::from_string((*key).clone()));
            let request = FindCoordinatorRequest::default()
                .with_key_type(A_GROUP)
                .with_coordinator_keys(names.collect());
            let id = self.any(way).await?;
            let (key, version) = ASKED[0];
            let answer: FindCoordinatorResponse = self
                .question(way, id, key, version, &request, round)
                .await?;
            for found in answer.coordinators {
                let Ok(port) = u16::try_from(found.port) else {
                    continue;
                };
                if found.error_code != 0 {
                    continue;
                }
                let host = found.host.to_string();
                let known = self.brokers.get(&found.node_id);
                if known.is_none_or(|known| known.host != host || known.port != port) {
                    let broker = Broker {
                        host,
                        port,
                        connection: None,
                    };
                    self.brokers.insert(found.node_id, broker);
                }
                self.coordinators
                    .insert(found.key.to_string(), found.node_id);
            }
        }
        self.brokers.remove(&BOOTSTRAP);
        Ok(())
    }

    /// A broker that can be asked who coordinates: one that is known, or one of those to begin with.
    async fn any(&mut self, way: &Way) -> Result<BrokerId, Trouble> {
        if let Some(id) = self.brokers.keys().find(|&&id| id != BOOTSTRAP) {
            return Ok(*id);
        }
        let connection = Connection::open_any(way, &ASKED).await?;
        let broker = Broker {
            host: connection.host.clone(),
            port: connection.port,
            connection: Some(connection),
        };
        self.brokers.insert(BOOTSTRAP, broker);
        Ok(BOOTSTRAP)
    }

    async fn question<Q: Encodable, A: Decodable>(
        &mut self,
        way: &Way,
        id: BrokerId,
        key: ApiKey,
        version: i16,
        question: &Q,
        round: &mut Round,
    ) -> Result<A, Trouble> {
        let broker = self.brokers.get_mut(&id);
        let broker =
            broker.ok_or_else(|| Trouble::Unreadable("a broker without a place".to_owned()))?;
        // Taken, so that one that is left in the middle of an answer is not used again.
        if let Some(mut connection) = broker.connection.take().filter(|held| !held.is_over()) {
            round.questions += 1;
            match connection.ask(key, version, question).await {
                Ok(answer) => {
                    broker.connection = Some(connection);
                    return Ok(answer);
                }
                // Brokers close connections that were idle.
                Err(Trouble::Io(_)) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        let mut connection = Connection::open(&broker.host, broker.port, way, &ASKED).await?;
        round.questions += 1;
        let answer = connection.ask(key, version, question).await?;
        broker.connection = Some(connection);
        Ok(answer)
    }
}

fn pause(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_far_between() {
        assert_eq!(pause(1), FIRST_PAUSE);
        assert_eq!(pause(2), 2 * FIRST_PAUSE);
        assert_eq!(pause(1000), LONGEST_PAUSE);
    }
}
