//! Workers as processes, with the configuration that the controller would write for them; and from
//! their logs, who held which partition when.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;

use crate::history::{End, Holding, Micros, Pod};
use crate::wait::{eventually, now};

/// Says in a pod's configuration how its own handler is reached.
type Show = Box<dyn Fn(Pod, &mut Value) + Send>;

/// All workers that ever ran in a storm.
pub struct Fleet {
    folder: TempDir,
    config: Value,
    handler: Show,
    last: Pod,
    pub running: BTreeMap<Pod, Worker>,
    heard: Arc<Mutex<Heard>>,
}

/// What the workers' logs say.
#[derive(Default)]
struct Heard {
    holdings: Vec<Holding>,
    /// Lines that no worker should write.
    alarms: Vec<String>,
    /// Dead letters that were not taken.
    refusals: usize,
    /// Of whom partitions were asked back, in turn.
    revocations: Vec<Pod>,
    /// Where each worker's probes are.
    probes: BTreeMap<Pod, SocketAddr>,
}

/// A worker's process; it does not outlive its test.
pub struct Worker {
    child: Child,
    reader: Option<JoinHandle<()>>,
    log: PathBuf,
}

impl Fleet {
    /// A fleet without workers. `config` is the file that each gets, in which `handler` says how its own handler is
    /// reached.
    pub fn new(config: Value, handler: impl Fn(Pod, &mut Value) + Send + 'static) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            config,
            handler: Box::new(handler),
            last: 0,
            running: BTreeMap::new(),
            heard: Arc::default(),
        }
    }

    /// Starts a worker.
    pub fn start(&mut self) -> Pod {
        self.last += 1;
        self.start_again(self.last);
        self.last
    }

    /// Starts a worker in the pod of one that is no more, as a kubelet starts a container again.
    pub fn start_again(&mut self, pod: Pod) {
        self.heard.lock().unwrap().probes.remove(&pod);
        let mut config = self.config.clone();
        (self.handler)(pod, &mut config["handler"]);
        let path = self.folder.path().join(format!("pod-{pod}.json"));
        std::fs::write(&path, config.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_drover-worker"))
            .arg("--config")
            .arg(&path)
            .args(["--admin-address", "127.0.0.1:0", "--log-format", "json"])
            .args(["--pod", &format!("pod-{pod}")])
            .env_remove("RUST_LOG")
            .envs(std::env::var("DROVER_STORM_LOG").map(|log| ("DROVER_LOG", log)))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = self.folder.path().join(format!("pod-{pod}.log"));
        let (errors, heard) = (child.stderr.take().unwrap(), Arc::clone(&self.heard));
        let mut copy = File::options();
        let copy = copy.create(true).append(true).open(&log).unwrap();
        let reader = std::thread::spawn(move || listen(errors, copy, pod, &heard));
        let reader = Some(reader);
        self.running.insert(pod, Worker { child, reader, log });
    }

    /// What workers are given from now on, in the configuration.
    pub fn change(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.config);
    }

    /// Its probes are served, and so it will soon join.
    pub fn has_begun(&self, pod: Pod) -> bool {
        self.heard.lock().unwrap().probes.contains_key(&pod)
    }

    /// Its readiness probe says that it may take over.
    pub fn is_ready(&self, pod: Pod) -> bool {
        let probes = self.heard.lock().unwrap().probes.get(&pod).copied();
        let Some(mut stream) = probes.and_then(|address| TcpStream::connect(address).ok()) else {
            return false;
        };
        let mut answer = String::new();
        let asked = stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n");
        let read = asked.and_then(|()| stream.read_to_string(&mut answer));
        read.is_ok() && answer.split(' ').nth(1) == Some("200")
    }

    /// Sends a signal to a worker.
    pub fn signal(&self, pod: Pod, signal: &str) {
        let id = self.running[&pod].child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success(), "{signal} to pod-{pod}");
    }

    /// Waits until a worker that was told to go is gone, and that it went as it should.
    #[track_caller]
    pub fn gone(&mut self, pod: Pod) {
        let status = self.ended(pod, End::GivenBack);
        let log = self.log(pod);
        assert!(status.success(), "pod-{pod}: {status}\n{log}");
    }

    /// Ends a worker without warning.
    pub fn kill(&mut self, pod: Pod) {
        self.signal(pod, "-KILL");
        self.ended(pod, End::Killed);
    }

    /// A worker is no more, whoever ended it.
    pub fn has_ended(&mut self, pod: Pod) -> bool {
        let worker = self.running.get_mut(&pod).unwrap();
        worker.child.try_wait().unwrap().is_some()
    }

    /// A worker ended by itself: it may, but only because its client has failed for good.
    #[track_caller]
    pub fn failed(&mut self, pod: Pod) {
        self.ended(pod, End::Killed);
        let log = self.log(pod);
        assert!(log.contains("has failed for good"), "pod-{pod}\n{log}");
    }

    fn ended(&mut self, pod: Pod, end: End) -> ExitStatus {
        let mut worker = self.running.remove(&pod).unwrap();
        let what = format!("pod-{pod} to end");
        let status = eventually(&what, || worker.child.try_wait().unwrap());
        worker.reader.take().unwrap().join().unwrap();
        self.heard.lock().unwrap().end(pod, None, now(), end);
        status
    }

    /// The end of a worker's log.
    pub fn log(&self, pod: Pod) -> String {
        let path = self.folder.path().join(format!("pod-{pod}.log"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Who held what when.
    pub fn holdings(&self) -> Vec<Holding> {
        self.heard.lock().unwrap().holdings.clone()
    }

    /// Who holds what at present: partition and pod.
    pub fn held(&self) -> BTreeMap<i32, Pod> {
        let heard = self.heard.lock().unwrap();
        let open = heard.holdings.iter().filter(|holding| holding.to.is_none());
        open.map(|holding| (holding.partition, holding.pod))
            .collect()
    }

    /// Of whom partitions were asked back, in turn.
    pub fn revocations(&self) -> Vec<Pod> {
        self.heard.lock().unwrap().revocations.clone()
    }

    /// How often a dead letter was not taken.
    pub fn refusals(&self) -> usize {
        self.heard.lock().unwrap().refusals
    }

    /// Lines that no worker should write: errors, panics.
    pub fn alarms(&self) -> Vec<String> {
        self.heard.lock().unwrap().alarms.clone()
    }

    /// Workers that ended though nobody told them to.
    pub fn deserters(&mut self) -> Vec<String> {
        let ended = |(pod, worker): (&Pod, &mut Worker)| {
            let status = worker.child.try_wait().unwrap()?;
            Some(format!("pod-{pod}: {status}, see {}", worker.log.display()))
        };
        self.running.iter_mut().filter_map(ended).collect()
    }

    /// Leaves configurations and logs behind, for a look after a failure.
    pub fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("DROVER_STORM_KEEP").is_some() {
            eprintln!("the workers' logs are in {}", self.keep().display());
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Warnings of what costs a group time, or has records handled again.
const ALARMS: &[&str] = &[
    "committed offsets could not be read",
    "given back without the last commit",
    "leaving the group takes too long",
];

impl Heard {
    fn begin(&mut self, pod: Pod, partition: i32, from: Micros) {
        // Assigned again without having given it back: what was before is lost.
        self.end(pod, Some(&[partition]), from, End::Lost);
        self.holdings.push(Holding {
            pod,
            partition,
            from,
            to: None,
        });
    }

    /// Ends what `pod` holds of `partitions`, or of all.
    fn end(&mut self, pod: Pod, partitions: Option<&[i32]>, at: Micros, end: End) {
        for holding in &mut self.holdings {
            let is_meant = partitions.is_none_or(|some| some.contains(&holding.partition));
            if holding.pod == pod && holding.to.is_none() && is_meant {
                holding.to = Some((at, end));
            }
        }
    }
}

fn listen(errors: ChildStderr, mut copy: File, pod: Pod, heard: &Mutex<Heard>) {
    for line in BufReader::new(errors).lines() {
        let Ok(line) = line else { return };
        writeln!(copy, "{line}").unwrap();
        let mut heard = heard.lock().unwrap();
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            heard.alarms.push(format!("pod-{pod}: {line}"));
            continue;
        };
        if said["level"] == "ERROR" {
            heard.alarms.push(format!("pod-{pod}: {line}"));
        }
        let time: jiff::Timestamp = said["timestamp"].as_str().unwrap().parse().unwrap();
        let at = time.as_microsecond();
        let partitions = numbers(said["partitions"].as_str().unwrap_or_default());
        match said["message"].as_str().unwrap_or_default() {
            "assigned" => partitions.iter().for_each(|p| heard.begin(pod, *p, at)),
            "given back" => heard.end(pod, Some(&partitions), at, End::GivenBack),
            text if text.starts_with("a dead letter was not taken") => heard.refusals += 1,
            "revoked; draining" => heard.revocations.push(pod),
            "probes and metrics are served" => {
                let address = said["address"].as_str().unwrap().parse().unwrap();
                heard.probes.insert(pod, address);
            }
            text if ALARMS.iter().any(|alarm| text.starts_with(alarm)) => {
                heard.alarms.push(format!("pod-{pod}: {line}"));
            }
            text if text.starts_with("lost;") => heard.end(pod, Some(&partitions), at, End::Lost),
            _ => {}
        }
    }
}

/// The partitions of `orders[0] orders[7]`.
fn numbers(names: &str) -> Vec<i32> {
    let number = |name: &str| name.split(['[', ']']).nth(1)?.parse().ok();
    names.split(' ').filter_map(number).collect()
}
