"""The consumers that are compared, each as a command; peers are built or found here."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from drover_cluster import packages
from drover_cluster.cache import cache_dir, locked
from drover_cluster.say import say

from .programs import Programs

HERE = Path(__file__).resolve().parent.parent
ADMIN = "127.0.0.1:18090"
TCP = "127.0.0.1:18089"
UNKNOWN_FIELD = 3
PARALLEL_CONSUMER = "0.5.3.3"


@dataclass(frozen=True)
class Way:
    """A way to the handler."""

    name: str
    socket: bool = False
    batch: int = 1

    def address(self, scratch: Path) -> str:
        return str(scratch / "handler.sock") if self.socket else TCP


TCP_WAY = Way("TCP")
SOCKET_WAY = Way("Unix socket", socket=True)
BATCH_WAY = Way("TCP, 100 records a request", batch=100)


def group(kind: str) -> str:
    return f"bench-{kind}-{random.randrange(1 << 32):08x}"


class Worker:
    """Drover's worker, configured by a KafkaConsumer as the controller would."""

    def __init__(self, programs: Programs, brokers: str, scratch: Path, in_flight: int):
        self.programs, self.brokers, self.scratch, self.in_flight = programs, brokers, scratch, in_flight

    def config(self, topic: str, way: Way) -> dict | None:
        """None if this Drover has no such way."""
        http = {"url": f"http://{TCP}/records"}
        if way.socket:
            http = {"socket": way.address(self.scratch), "path": "/records"}
        delivery = {"ordering": "Key", "concurrency": self.in_flight}
        if way.batch > 1:
            delivery["batch"] = {"maxRecords": way.batch, "maxBytes": "1Mi"}
        document = {
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": {"name": "worker", "namespace": "bench"},
            "spec": {
                "kafka": {"bootstrapServers": self.brokers}, "topics": [topic], "groupId": group("worker"),
                "handler": {"http": http}, "delivery": delivery,
            },
        }
        if way.socket:
            # A socket is one of a container in the same pod.
            container = {"name": "handler", "image": "handler"}
            document["spec"]["template"] = {"spec": {"containers": [container]}}
        done = subprocess.run([self.programs.path("bench_config")], input=json.dumps(document), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode == UNKNOWN_FIELD:
            say(f"not measured, {way.name}: {done.stderr.strip()}")
            return None
        if done.returncode != 0:
            raise SystemExit(f"bench_config: {done.stderr}")
        return json.loads(done.stdout)

    def command(self, topic: str, way: Way) -> list[str] | None:
        config = self.config(topic, way)
        if config is None:
            return None
        path = self.scratch / "worker.json"
        path.write_text(json.dumps(config))
        return [self.programs.path("drover-worker"), "--config", str(path), "--admin-address", ADMIN, "--log", "warn"]

    def budget_mib(self, topic: str) -> float:
        return self.config(topic, TCP_WAY)["memoryBudgetBytes"] / (1 << 20)


@dataclass
class Bare:
    """The bare loop."""

    programs: Programs
    brokers: str
    scratch: Path
    in_flight: int

    def command(self, topic: str, way: Way) -> list[str]:
        return [self.programs.path("bench_bare_loop"), self.brokers, topic, group("bare"), way.address(self.scratch),
                str(self.in_flight), str(way.batch)]


@dataclass
class ParallelConsumer:
    """Confluent's Parallel Consumer with Vert.x."""

    brokers: str
    in_flight: int

    def command(self, topic: str) -> list[str]:
        folder = _parallel_consumer()
        host, port = TCP.split(":")
        return ["java", "-Xmx512m", "-cp", f"{folder}/classes:{folder}/jars/*", "ParallelConsumerBench", self.brokers,
                topic, group("parallel"), host, port, str(self.in_flight)]


@dataclass
class CommitEach:
    """A loop that commits each record, in Python, for want of a Kafka client for Ruby."""

    brokers: str

    def command(self, topic: str) -> list[str]:
        return ["/usr/bin/python3", str(HERE / "commit_each.py"), self.brokers, topic, group("each"), TCP]


def commit_each_is_there() -> bool:
    there = ["/usr/bin/python3", "-c", "import confluent_kafka"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.call(there, **quiet) != 0:
        packages.install({"python3-confluent-kafka"})
    return subprocess.call(there, **quiet) == 0


def ruby_client() -> str | None:
    """The name of a Debian package with a Kafka client for Ruby, if there is one."""
    if shutil.which("apt-cache") is None:
        return None
    found = subprocess.run(["apt-cache", "search", "--names-only", "^ruby-.*kafka"], text=True, stdout=subprocess.PIPE)
    return found.stdout.split()[0] if found.stdout.split() else None


def _parallel_consumer() -> Path:
    """Builds it once into the cache, as the test cluster does its parts."""
    recipe = HERE / "parallel-consumer"
    digest = hashlib.sha256()
    for path in sorted(recipe.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    target = cache_dir() / "tools" / f"parallel-consumer-{digest.hexdigest()[:12]}"
    with locked("tools"):
        if not target.is_dir():
            _build(recipe, target)
    return target


def _build(recipe: Path, target: Path):
    missing = {package for name, package in (("mvn", "maven"), ("javac", "default-jdk-headless")) if not packages.find(name)}
    packages.install(missing)
    say(f"getting Parallel Consumer {PARALLEL_CONSUMER}: usually takes half a minute the first time")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".parallel-consumer-", dir=target.parent))
    try:
        log = scratch / "build.log"
        with log.open("wb") as output:
            done = subprocess.run(
                ["mvn", "-B", "-q", "-Dstyle.color=never", "-f", "pom.xml", f"-Dout={scratch}", "compile",
                 "dependency:copy-dependencies", f"-DoutputDirectory={scratch / 'jars'}"],
                cwd=recipe, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise SystemExit(f"mvn for Parallel Consumer failed:\n{log.read_text()[-3000:]}")
        (scratch / "target" / "classes").rename(scratch / "classes")
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
