//! What was found, in the order in which one thing needs the other. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::api::KafkaConsumer;
use crate::api::names::condition;
use crate::cli::columns::aligned_within;
use crate::cli::fit::wrapped_lines;
use crate::cli::status::{is_well, late, says_again};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Well,
    Wrong,
    Unknown,
}

/// One link of the chain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub what: String,
    pub state: State,
    /// What it is, or what is wrong and what to do.
    pub says: String,
}

impl Finding {
    pub fn value(&self) -> Value {
        json!({ "what": self.what, "state": format!("{:?}", self.state), "says": self.says })
    }
}

/// All links.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub findings: Vec<Finding>,
    /// Names alone do not say which is meant.
    namespaces: bool,
}

/// In the order in which one makes the next: who has no Kafka has no dead-letter topic either.
const ORDER: [&str; 9] = [
    condition::KAFKA_REACHABLE,
    condition::DEAD_LETTER_WRITABLE,
    condition::STALLED,
    condition::GROUP_SHARED,
    condition::SCALING_ACTIVE,
    condition::SCALING_LIMITED,
    condition::PAUSED,
    condition::READY,
    condition::PROGRESSING,
];

impl Chain {
    /// Of fleets of one namespace, or of several.
    pub fn new(namespaces: bool) -> Self {
        Self {
            findings: Vec::new(),
            namespaces,
        }
    }

    fn add(&mut self, state: State, what: &str, says: &str) {
        self.findings.push(Finding {
            what: what.to_owned(),
            state,
            says: says.to_owned(),
        });
    }

    pub fn well(&mut self, what: &str, says: &str) {
        self.add(State::Well, what, says);
    }

    pub fn wrong(&mut self, what: &str, says: &str) {
        self.add(State::Wrong, what, says);
    }

    pub fn unknown(&mut self, what: &str, says: &str) {
        self.add(State::Unknown, what, says);
    }

    /// How a KafkaConsumer is called here.
    pub fn name(&self, consumer: &KafkaConsumer) -> String {
        let name = consumer.name_any();
        match self.namespaces {
            true => format!("{}/{name}", consumer.namespace().unwrap_or_default()),
            false => name,
        }
    }

    /// What the controller says of a KafkaConsumer.
    pub fn conditions(&mut self, consumer: &KafkaConsumer) {
        let whose = consumer.namespace().unwrap_or_default();
        let name = self.name(consumer);
        let Some(status) = &consumer.status else {
            return self.wrong(
                &name,
                "it has no status yet; see that the controller runs and looks after this namespace",
            );
        };
        let newest = consumer.metadata.generation.unwrap_or_default();
        if status.observed_generation.unwrap_or_default() < newest {
            self.wrong(&name, "its status speaks of an older spec; see that the controller runs and looks after this namespace");
        }
        let all: Vec<_> = status.conditions.iter().filter(|it| !is_well(it)).collect();
        let mut bad = false;
        for kind in ORDER {
            let found = status.conditions.iter().find(|found| found.type_ == kind);
            let told = |found: &&Condition| !is_well(found) && !says_again(found, &all);
            let Some(found) = found.filter(told) else {
                continue;
            };
            let what = format!("{name} {kind}");
            let says = format!("{} ({}): {}", found.status, found.reason, found.message);
            match (kind, found.status.as_str()) {
                // What somebody chose, what bounds and what is under way is no fault.
                (condition::PAUSED | condition::SCALING_LIMITED | condition::PROGRESSING, _) => {
                    self.well(&what, &says);
                }
                (_, "Unknown") => self.unknown(&what, &says),
                _ => {
                    bad = true;
                    self.wrong(&what, &says);
                }
            }
        }
        if let Some((delay, promise)) = late(consumer).filter(|_| !consumer.spec.paused) {
            bad = true;
            let whose = format!("{} -n {whose}", consumer.name_any());
            let says = format!(
                "the oldest record waits {delay}, and spec.scaling.maxDelay promises {promise}; drover lag {whose} says in which partition, and whether its attempts fail; drover explain {whose} why the fleet is not larger"
            );
            self.wrong(&format!("{name} promise"), &says);
        }
        if !bad {
            let ready = status
                .conditions
                .iter()
                .find(|found| found.type_ == condition::READY);
            let says = ready.map_or("nothing is known to be wrong", |ready| {
                ready.message.as_str()
            });
            self.well(&name, says);
        }
    }

    pub fn first_wrong(&self) -> Option<&Finding> {
        self.findings
            .iter()
            .find(|finding| finding.state == State::Wrong)
    }

    /// For people, in lines of this width where there is one.
    pub fn text(&self, width: Option<usize>) -> String {
        let rows: Vec<Vec<String>> = self
            .findings
            .iter()
            .map(|Finding { what, state, says }| {
                let state = match state {
                    State::Well => "well",
                    State::Wrong => "WRONG",
                    State::Unknown => "unknown",
                };
                vec![state.to_owned(), what.clone(), says.clone()]
            })
            .collect();
        let last = match self.first_wrong() {
            Some(Finding { what, says, .. }) => format!("First of all, {what}: {says}"),
            None => "Nothing is wrong that can be seen from here.".to_owned(),
        };
        let rows = aligned_within(&rows, "", width);
        format!("{rows}\n{}\n", wrapped_lines(&last, width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ScalingMode;

    fn consumer(conditions: &[(&str, &str)]) -> KafkaConsumer {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status)| {
                json!({
                    "type": kind, "status": status, "reason": "R", "message": format!("{kind} says"),
                    "lastTransitionTime": "2026-11-01T00:00:00Z",
                })
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "generation": 2 },
            "spec": {
                "kafka": { "bootstrapServers": "kafka:9092" },
                "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } },
            },
            "status": { "observedGeneration": 2, "conditions": conditions },
        }))
        .unwrap()
    }

    #[test]
    fn the_cause_comes_before_what_follows_from_it() {
        let mut chain = Chain::default();
        chain.conditions(&consumer(&[
            ("Ready", "False"),
            ("Stalled", "True"),
            ("KafkaReachable", "False"),
        ]));
        let first = chain.first_wrong().unwrap();
        assert_eq!(first.what, "orders KafkaReachable");
        assert!(
            chain
                .text(None)
                .ends_with("First of all, orders KafkaReachable: False (R): KafkaReachable says\n")
        );
    }

    #[test]
    fn what_is_chosen_or_under_way_is_no_fault_and_unknown_is_not_well() {
        let mut chain = Chain::default();
        chain.conditions(&consumer(&[
            ("Paused", "True"),
            ("Progressing", "False"),
            ("DeadLetterWritable", "Unknown"),
            ("Ready", "True"),
        ]));
        assert_eq!(chain.first_wrong(), None);
        let unknown = chain
            .findings
            .iter()
            .find(|finding| finding.state == State::Unknown);
        assert_eq!(unknown.unwrap().what, "orders DeadLetterWritable");
        assert!(chain.text(None).contains("orders Paused"));
    }

    #[test]
    fn a_fleet_that_is_paused_by_somebody_is_no_fault() {
        let mut paused = consumer(&[
            ("Paused", "True"),
            ("ScalingActive", "False"),
            ("Ready", "True"),
        ]);
        let conditions = &mut paused.status.as_mut().unwrap().conditions;
        conditions[1].reason = "Paused".to_owned();
        let mut chain = Chain::default();
        chain.conditions(&paused);
        assert_eq!(chain.first_wrong(), None);
    }

    #[test]
    fn a_promise_that_is_broken_is_wrong_though_every_pod_is_ready() {
        let mut late = consumer(&[("Ready", "True")]);
        late.status.as_mut().unwrap().delay = Some("61s".to_owned());
        let mut chain = Chain::default();
        chain.conditions(&late);
        let first = chain.first_wrong().unwrap();
        assert_eq!(first.what, "orders promise");
        for words in ["1m1s", "promises 1m;", "drover lag orders"] {
            assert!(first.says.contains(words), "{words}: {first:?}");
        }
        // Who stops a fleet or sets its size was promised nothing.
        let mut manual = late.clone();
        manual.spec.scaling.mode = ScalingMode::Manual;
        late.spec.paused = true;
        for theirs in [late, manual] {
            let mut chain = Chain::default();
            chain.conditions(&theirs);
            assert_eq!(chain.first_wrong(), None);
        }
    }

    #[test]
    fn of_several_namespaces_each_is_named_with_its_own() {
        let mut of_shop = consumer(&[("Stalled", "True")]);
        of_shop.metadata.namespace = Some("shop".to_owned());
        of_shop.status.as_mut().unwrap().delay = Some("61s".to_owned());
        let mut chain = Chain::new(true);
        chain.conditions(&of_shop);
        let whats: Vec<&str> = chain.findings.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(whats, ["shop/orders Stalled", "shop/orders promise"]);
        // A command takes the name and the namespace apart.
        let promise = &chain.findings[1].says;
        assert!(promise.contains("drover lag orders -n shop "), "{promise}");
    }

    #[test]
    fn an_older_status_is_wrong() {
        let mut old = consumer(&[("Ready", "True")]);
        old.metadata.generation = Some(3);
        let mut chain = Chain::default();
        chain.conditions(&old);
        assert!(chain.first_wrong().unwrap().says.contains("older spec"));
    }
}
