//! A storm: a topic, a handler, a fleet of workers, and what is done to them while they work.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use drover::api::KafkaConsumer;
use drover::fleet::{References, validate};
use drover::worker_config::Ordering;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::fleet::Fleet;
use crate::history::{Findings, History, Micros, Pod, check};
use crate::topic::Topic;
use crate::wait::{eventually, pause};
use crate::witness::{Manner, Witness};

/// How records get to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A request for each.
    Http,
    /// Lines of JSON to a command, which asks the witness.
    Exec,
    /// The same, so many in a line at most.
    Batches(u32),
}

impl Way {
    /// The handler and the batches of a spec.
    fn spec(self, concurrency: usize) -> (Value, u32) {
        let exec = json!({ "exec": { "command": ["to-be-replaced"], "processes": concurrency } });
        match self {
            Self::Http => (json!({ "http": { "url": "http://to-be-replaced/" } }), 1),
            Self::Exec => (exec, 1),
            Self::Batches(most) => (exec, most),
        }
    }

    /// Where a pod's handler is, in its configuration.
    fn show(self, address: SocketAddr, pod: Pod, handler: &mut Value) {
        if self == Self::Http {
            handler["http"]["url"] = format!("http://{address}/{pod}").into();
            return;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/storms/forward.py");
        let (address, pod) = (address.to_string(), pod.to_string());
        handler["exec"]["command"] = json!(["python3", script, address, pod]);
    }
}

/// What a storm is like.
#[derive(Debug, Clone)]
pub struct Weather {
    pub name: &'static str,
    pub seed: u64,
    pub workers: usize,
    pub partitions: i32,
    /// In all; a share of them is produced before each fault.
    pub records: usize,
    pub keys: usize,
    /// `Classic` or `Consumer`.
    pub protocol: &'static str,
    pub way: Way,
    pub ordering: Ordering,
    pub concurrency: usize,
    pub properties: Vec<(&'static str, &'static str)>,
    /// Instead of what follows from the handler's time-out.
    pub max_poll: Option<Duration>,
    pub handler_timeout: Duration,
    pub manner: Manner,
    /// Attempts in quick succession,
    pub attempts: u32,
    /// and the waits before later ones, in seconds.
    pub then: &'static [u64],
    /// Brokers, and so copies of each record.
    pub copies: i32,
}

impl Weather {
    /// A short storm in which nothing goes wrong by itself.
    pub fn fair(name: &'static str, seed: u64) -> Self {
        Self {
            name,
            seed: Chance::seed(name, seed),
            workers: 3,
            partitions: 12,
            records: 6_000,
            keys: 240,
            protocol: "Classic",
            way: Way::Http,
            ordering: Ordering::Key,
            concurrency: 8,
            properties: Vec::new(),
            max_poll: None,
            handler_timeout: Duration::from_secs(20),
            manner: Manner {
                work: (Duration::from_millis(1), Duration::from_millis(6)),
                poison: None,
                broken: None,
            },
            attempts: 5,
            then: &[],
            copies: 1,
        }
    }

    /// The configuration that the controller would write for these workers.
    fn config(&self, servers: &str, topic: &Topic) -> Value {
        let mut properties: BTreeMap<_, _> = self.properties.iter().copied().collect();
        // `DROVER_STORM_DEBUG=cgrp` with `DROVER_STORM_LOG=debug` has librdkafka tell what it does.
        let debug = std::env::var("DROVER_STORM_DEBUG").unwrap_or_default();
        if !debug.is_empty() {
            properties.insert("debug", &debug);
        }
        let (mut handler, most) = self.way.spec(self.concurrency);
        // The command's; nothing is made of it here.
        let of_command = json!({ "name": "worker", "image": "none" });
        let containers = match self.way {
            Way::Http => vec![],
            Way::Exec | Way::Batches(_) => vec![of_command],
        };
        let then: Vec<_> = self.then.iter().map(|wait| format!("{wait}s")).collect();
        handler["timeout"] = format!("{}s", self.handler_timeout.as_secs()).into();
        let consumer: KafkaConsumer = serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1",
            "kind": "KafkaConsumer",
            "metadata": { "name": "orders", "namespace": "shop" },
            "spec": {
                "kafka": {
                    "bootstrapServers": servers,
                    "groupProtocol": self.protocol,
                    "properties": properties,
                },
                "topics": [topic.name],
                "groupId": topic.name,
                "handler": handler,
                "template": { "spec": { "containers": containers } },
                "delivery": {
                    "batch": { "maxRecords": most, "maxWait": "20ms" },
                    "ordering": format!("{:?}", self.ordering),
                    "concurrency": self.concurrency,
                    "retry": {
                        "attempts": self.attempts, "initialBackoff": "20ms", "maxBackoff": "200ms", "then": then,
                    },
                    "deadLetter": { "topic": topic.dead() },
                },
            },
        }))
        .unwrap();
        let fleet = validate(&consumer, &References::default()).unwrap();
        let config = drover::resources::worker_config(&fleet).unwrap();
        let mut config = serde_json::to_value(config).unwrap();
        if let Some(time) = self.max_poll {
            config["maxPollInterval"] = u64::try_from(time.as_millis()).unwrap().into();
        }
        config
    }
}

fn micros(seconds: u64) -> Micros {
    i64::try_from(seconds).unwrap() * 1_000_000
}

/// A storm under way.
pub struct Storm {
    pub weather: Weather,
    pub topic: Topic,
    pub witness: Witness,
    pub fleet: Fleet,
    pub chance: Chance,
    produced: usize,
    /// Faults so far, by name.
    faults: BTreeMap<&'static str, usize>,
}

impl Storm {
    /// Starts the fleet, and waits until each partition is held.
    pub fn begin(servers: &str, weather: Weather) -> Self {
        let mut storm = Self::prepare(servers, weather);
        storm.scale_to(storm.weather.workers);
        storm.settle();
        storm
    }

    /// Topic and handler, and no workers yet.
    pub fn prepare(servers: &str, weather: Weather) -> Self {
        let topic = Topic::create(servers, weather.name, weather.partitions, weather.copies);
        // Without it no worker begins.
        topic.make_dead(&[]);
        let witness = Witness::start(weather.manner, weather.seed);
        let address = witness.address;
        let way = weather.way;
        let handler = move |pod, handler: &mut Value| way.show(address, pod, handler);
        Self {
            fleet: Fleet::new(weather.config(servers, &topic), handler),
            chance: Chance::of(weather.seed),
            topic,
            witness,
            produced: 0,
            faults: BTreeMap::new(),
            weather,
        }
    }

    fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Waits until each partition is held by a worker that runs, and each worker has its part.
    #[track_caller]
    pub fn settle(&self) {
        let partitions = usize::try_from(self.weather.partitions).unwrap();
        let running = &self.fleet.running;
        eventually("each partition held, and by all workers", || {
            let held = self.fleet.held();
            let holders: BTreeSet<_> = held.values().copied().collect();
            let all_run = holders.iter().all(|pod| running.contains_key(pod));
            let all_hold = holders.len() == running.len().min(partitions);
            (held.len() == partitions && all_run && all_hold).then_some(())
        });
    }

    /// Produces one of `shares` shares of the records and waits until a random part of it is
    /// handled, so that what comes next meets workers at work.
    pub fn work(&mut self, shares: usize) {
        let before = self.produced;
        let share = self.weather.records / shares;
        self.topic
            .produce(before, before + share, self.weather.keys);
        self.produced += share;
        let part = u64::try_from(share / 2).unwrap();
        let wanted = before + usize::try_from(self.chance.below(part)).unwrap();
        let poisoned = self.poisoned(wanted);
        eventually("the workers to be at work", || {
            (self.witness.handled() + poisoned >= wanted).then_some(())
        });
    }

    /// How many of the first `count` records may be dead-lettered, generously.
    fn poisoned(&self, count: usize) -> usize {
        let manner = self.weather.manner;
        let some = [manner.poison, manner.broken].into_iter().flatten();
        some.map(|one_in| 2 * count / usize::try_from(one_in).unwrap() + 64)
            .sum()
    }

    /// Any worker that runs.
    pub fn any(&mut self) -> Pod {
        let all: Vec<_> = self.fleet.running.keys().copied().collect();
        *self.chance.one_of(&all)
    }

    /// Starts or stops workers until there are `count`; those that go, go together, the oldest
    /// first.
    pub fn scale_to(&mut self, count: usize) {
        self.count("scale changes");
        let more = count.saturating_sub(self.fleet.running.len());
        (0..more).for_each(|_| _ = self.fleet.start());
        let less = self.fleet.running.len() - count;
        let going: Vec<_> = self.fleet.running.keys().copied().take(less).collect();
        self.stop(&going);
    }

    /// SIGTERM to all of these at once, and they go in order.
    #[track_caller]
    pub fn stop(&mut self, pods: &[Pod]) {
        pods.iter().for_each(|pod| self.fleet.signal(*pod, "-TERM"));
        pods.iter().for_each(|pod| self.fleet.gone(*pod));
    }

    /// All pods are replaced at once, as a roll-out of Drover's does.
    pub fn roll_out(&mut self) {
        self.count("roll-outs");
        let old: Vec<_> = self.fleet.running.keys().copied().collect();
        (0..old.len()).for_each(|_| _ = self.fleet.start());
        self.stop(&old);
    }

    /// The same with another configuration, and as Kubernetes does it: those before go when all their
    /// successors are ready.
    pub fn roll_out_to(&mut self, change: impl FnOnce(&mut Value)) {
        self.count("changes");
        self.fleet.change(change);
        let old: Vec<_> = self.fleet.running.keys().copied().collect();
        let new: Vec<_> = old.iter().map(|_| self.fleet.start()).collect();
        eventually("ready successors", || {
            new.iter()
                .all(|pod| self.fleet.is_ready(*pod))
                .then_some(())
        });
        self.stop(&old);
        self.settle();
    }

    /// One worker is told to go, and another takes its place.
    pub fn replace(&mut self) {
        self.count("stops");
        let pod = self.any();
        self.fleet.start();
        self.stop(&[pod]);
    }

    /// One worker dies in the middle of its work, and another takes its place.
    pub fn kill(&mut self) {
        let pod = self.busy();
        self.count("kills");
        self.fleet.kill(pod);
        self.fleet.start();
    }

    /// A worker dies, and its container is started again.
    pub fn kill_and_start_again(&mut self, pod: Pod) {
        self.count("containers killed");
        self.fleet.kill(pod);
        self.fleet.start_again(pod);
    }

    /// A worker in the middle of its work. Any, where no work is left.
    pub fn busy(&mut self) -> Pod {
        let one = self.any();
        // From a random one on, so that it is not always the eldest.
        let running = self.fleet.running.keys().copied();
        let (before, after): (Vec<_>, Vec<_>) = running.partition(|&pod| pod < one);
        let pods = [after, before].concat();
        let poisoned = self.poisoned(self.produced);
        eventually("work in a handler", || {
            let over = self.witness.handled() + poisoned >= self.produced;
            let busy = pods.iter().find(|&&pod| self.witness.inside(pod) > 0);
            busy.copied().or(over.then_some(one))
        })
    }

    /// One worker is frozen until all that it held is someone else's, and for `at_least` so long.
    pub fn freeze(&mut self, at_least: Duration) {
        self.count("freezes");
        // With an eager assignor nobody holds anything while partitions are shared out.
        let held = eventually("somebody to hold a partition", || {
            let held = self.fleet.held();
            (!held.is_empty()).then_some(held)
        });
        let holders: Vec<_> = held.values().copied().collect();
        let pod = *self.chance.one_of(&holders);
        let its_own: Vec<_> = held
            .iter()
            .filter(|(_, p)| **p == pod)
            .map(|(p, _)| *p)
            .collect();
        let since = crate::wait::now();
        self.fleet.signal(pod, "-STOP");
        eventually("the others to take over", || {
            let taken = self.fleet.holdings().into_iter();
            let taken: Vec<_> = taken
                .filter(|holding| holding.from > since && holding.pod != pod)
                .map(|holding| holding.partition)
                .collect();
            its_own.iter().all(|p| taken.contains(p)).then_some(())
        });
        let passed = u64::try_from(crate::wait::now() - since).unwrap();
        pause(at_least.saturating_sub(Duration::from_micros(passed)));
        let thawed = crate::wait::now();
        self.fleet.signal(pod, "-CONT");
        eventually("the frozen worker to begin anew, or to end", || {
            let holdings = self.fleet.holdings().into_iter();
            let anew = holdings.filter(|holding| holding.pod == pod && holding.from > thawed);
            (anew.count() > 0 || self.fleet.has_ended(pod)).then_some(())
        });
        self.restart_the_dead();
    }

    /// A worker whose client has failed for good ends, and is started again, as the kubelet does.
    fn restart_the_dead(&mut self) {
        let all: Vec<_> = self.fleet.running.keys().copied().collect();
        for pod in all {
            if self.fleet.has_ended(pod) {
                self.count("restarts");
                self.fleet.failed(pod);
                self.fleet.start();
            }
        }
    }

    /// The dead-letter topic takes nothing until a worker has said so, then it does again.
    pub fn dead_letters_refused(&mut self) {
        self.count("refused dead letters");
        let dead = self.topic.dead();
        let own_time = ("message.timestamp.type", "LogAppendTime");
        self.topic
            .set(&dead, &[own_time, ("max.message.bytes", "1")]);
        let (said, over) = (self.fleet.refusals(), self.produced);
        eventually("a refused dead letter", || {
            let all = self.witness.handled() + self.poisoned(over) >= over;
            (self.fleet.refusals() > said || all).then_some(())
        });
        self.topic.set(&dead, &[own_time]);
    }

    /// Waits until all that was produced is finished and committed, stops the fleet in order, and
    /// looks at what the run comes to.
    #[track_caller]
    pub fn finish(mut self) -> Findings {
        let rest = self.weather.records.saturating_sub(self.produced);
        self.topic
            .produce(self.produced, self.produced + rest, self.weather.keys);
        self.produced += rest;
        self.topic.wait_until_all_is_committed();
        let all: Vec<_> = self.fleet.running.keys().copied().collect();
        assert_eq!(self.fleet.deserters(), Vec::<String>::new());
        self.stop(&all);
        let dead_letters = self.topic.dead_letters();
        let history = History {
            ordering: self.weather.ordering,
            concurrency: self.weather.concurrency,
            attempts: self.weather.attempts,
            then: self.weather.then.iter().map(|wait| micros(*wait)).collect(),
            records: self.topic.records(),
            deliveries: self.witness.deliveries(),
            dead_letters,
            commits: self.topic.commits(),
            holdings: self.fleet.holdings(),
        };
        let findings = check(&history);
        let Weather { name, seed, .. } = self.weather;
        eprintln!("{name}: seed {seed}, faults {:?}: {findings}", self.faults);
        findings
    }
}
