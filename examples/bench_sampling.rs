//! Benchmark: offsets of many fleets read, and a size decided for each: CPU time and memory of it.
//!
//! `bench_sampling BROKERS FLEETS TOPICS PARTITIONS`. Makes the topics, commits first offsets for a group
//! of each fleet, registers all fleets and prints a JSON object: the first round, in which nothing is known;
//! a round of fleets at rest; a round of fleets in all of which records wait.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use drover::clock::{self, Monotonic};
use drover::kafka::admin::Admin;
use drover::lag::{LagReader, Need, Source};
use drover::scaling::{self, Policy, State};
use drover::topic::{Offset, TopicPartition};
use futures::StreamExt;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const PATIENCE: Duration = Duration::from_secs(600);
const POLICY: Policy = Policy {
    min: 1,
    max: None,
    schedule: drover::scaling::Schedule(Vec::new()),
    max_delay: Duration::from_secs(60),
    idle_to_zero: None,
    rate: None,
    concurrency: 16,
};

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, fleets, topics, partitions] = arguments.as_slice() else {
        anyhow::bail!("usage: bench_sampling BROKERS FLEETS TOPICS PARTITIONS");
    };
    let (fleets, topics, partitions) = (fleets.parse()?, topics.parse()?, partitions.parse()?);
    let bench = Bench::prepare(brokers, fleets, topics, partitions).await?;
    let mut states = vec![State::default(); fleets];
    let empty = memory_mib()?;

    let before = bench.reader.numbers().requests;
    let cpu = cpu_seconds()?;
    bench.register();
    bench.read_since(clock::now()).await?;
    let first = cpu_seconds()? - cpu;
    let first_requests = bench.reader.numbers().requests - before;
    let cpu = cpu_seconds()?;
    bench.decide(&mut states)?;
    let first_decided = cpu_seconds()? - cpu;

    let rest = bench.round(&mut states).await?;
    bench.produce()?;
    bench.read_since(clock::now()).await?;
    let work = bench.round(&mut states).await?;
    println!(
        "{}",
        serde_json::json!({
            "fleets": fleets, "topics": topics, "partitions": partitions,
            "first": { "readCpuSeconds": first, "decideCpuSeconds": first_decided, "requests": first_requests },
            "rest": rest, "work": work,
            "memoryMiB": memory_mib()? - empty, "peakMiB": peak_mib()?,
        })
    );
    Ok(())
}

struct Bench {
    reader: LagReader<usize>,
    needs: Vec<Need>,
    topics: Vec<String>,
    partitions: i32,
    producer: BaseProducer,
}

impl Bench {
    async fn prepare(
        brokers: &str,
        fleets: usize,
        topics: usize,
        partitions: i32,
    ) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        let names: Vec<String> = (0..topics)
            .map(|number| format!("sampling-{number}"))
            .collect();
        let admin: AdminClient<DefaultClientContext> = config.create()?;
        let new: Vec<NewTopic<'_>> = names
            .iter()
            .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
            .collect();
        for created in admin.create_topics(&new, &AdminOptions::new()).await? {
            created.map_err(|(topic, error)| anyhow::anyhow!("create {topic}: {error}"))?;
        }
        let source = Source {
            bootstrap_servers: brokers.to_owned(),
            properties: BTreeMap::new(),
            security: Default::default(),
        };
        let need = |fleet: usize| Need {
            source: source.clone(),
            topics: vec![names[fleet % topics].clone()],
            group_id: format!("sampling-{fleet}"),
            dead_letter_topic: None,
            own_consumer: false,
        };
        let needs: Vec<Need> = (0..fleets).map(need).collect();
        let writer = Admin::open(brokers, &BTreeMap::new())?;
        {
            let committed = futures::stream::iter(&needs)
                .map(|need| {
                    let each = |number| {
                        (
                            TopicPartition::new(need.topics[0].as_str(), number),
                            (Offset(0), Vec::new()),
                        )
                    };
                    let offsets: BTreeMap<_, _> = (0..partitions).map(each).collect();
                    let writer = &writer;
                    async move {
                        writer
                            .alter_committed(&need.group_id, &offsets, Duration::from_secs(60))
                            .await
                    }
                })
                .buffer_unordered(32);
            let mut committed = std::pin::pin!(committed);
            while let Some(done) = committed.next().await {
                done?;
            }
        }
        Ok(Self {
            reader: LagReader::new(),
            needs,
            topics: names,
            partitions,
            producer: config.create()?,
        })
    }

    fn register(&self) {
        for (key, need) in self.needs.iter().enumerate() {
            self.reader.register(&key, need);
        }
    }

    /// Waits until every fleet was read after `then`.
    async fn read_since(&self, then: jiff::Timestamp) -> anyhow::Result<()> {
        let clock = Monotonic::start();
        let mut next = 0;
        while next < self.needs.len() {
            let offsets = self.reader.latest(&next).and_then(|latest| latest.offsets);
            if offsets.is_some_and(|offsets| offsets.at > then) {
                next += 1;
                continue;
            }
            anyhow::ensure!(clock.elapsed() < PATIENCE, "fleet {next} is not read");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn decide(&self, states: &mut [State]) -> anyhow::Result<()> {
        for (key, state) in states.iter_mut().enumerate() {
            let latest = self.reader.latest(&key).context("registered")?;
            let sample = latest
                .offsets
                .context("read")?
                .sample(Vec::new(), 1, 1, false, false);
            let (next, _) = scaling::step(&POLICY, std::mem::take(state), &sample, clock::now());
            *state = next;
        }
        Ok(())
    }

    /// The mean of several rounds in which all are read and decided on.
    async fn round(&self, states: &mut [State]) -> anyhow::Result<serde_json::Value> {
        const ROUNDS: u32 = 5;
        let (cpu, before) = (cpu_seconds()?, self.reader.numbers());
        let mut deciding = 0.0;
        for _ in 0..ROUNDS {
            self.read_since(clock::now()).await?;
            let cpu = cpu_seconds()?;
            self.decide(states)?;
            deciding += cpu_seconds()? - cpu;
        }
        let all = cpu_seconds()? - cpu;
        let requests = self.reader.numbers().requests - before.requests;
        let mean = |sum: f64| sum / f64::from(ROUNDS);
        Ok(serde_json::json!({
            "readCpuSeconds": mean(all - deciding), "decideCpuSeconds": mean(deciding),
            "requests": requests as f64 / f64::from(ROUNDS),
        }))
    }

    /// A record for each partition: it waits for every fleet.
    fn produce(&self) -> anyhow::Result<()> {
        for topic in &self.topics {
            for number in 0..self.partitions {
                let record = BaseRecord::<(), str>::to(topic)
                    .partition(number)
                    .payload("x");
                self.producer.send(record).map_err(|(error, _)| error)?;
            }
            self.producer.poll(Duration::ZERO);
        }
        self.producer
            .flush(Duration::from_secs(60))
            .context("flush")
    }
}

/// CPU time of all threads that live.
fn cpu_seconds() -> anyhow::Result<f64> {
    let mut nanos = 0_u64;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split(' ').next().context("a number")?.parse::<u64>()?;
    }
    Ok(nanos as f64 / 1e9)
}

fn memory_mib() -> anyhow::Result<f64> {
    status("VmRSS:")
}

fn peak_mib() -> anyhow::Result<f64> {
    status("VmHWM:")
}

fn status(name: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .context("a line")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
