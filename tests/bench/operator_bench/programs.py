"""The controller as a process, and the topics."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from .usage import Usage


class Controller:
    """The controller; what it counts is read from its metrics."""

    def __init__(self, program: Path, kubeconfig: Path, port: int, log: Path):
        self.program, self.kubeconfig, self.port, self.log = program, kubeconfig, port, log
        self.process: subprocess.Popen | None = None

    def start(self):
        command = [str(self.program), "--worker-image", "drover.local/drover-worker:dev", "--identity", "bench",
                   "--admin-address", f"127.0.0.1:{self.port}", "--log", os.environ.get("DROVER_LOG", "info")]
        self.process = subprocess.Popen(
            command, env={**os.environ, "KUBECONFIG": str(self.kubeconfig)}, stdin=subprocess.DEVNULL,
            stdout=self.log.open("ab"), stderr=subprocess.STDOUT)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    @property
    def usage(self) -> Usage:
        return Usage(self.process.pid)

    def get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metric(self, name: str) -> float:
        """The sum over all labels; 0 where there is none."""
        total = 0.0
        for line in (self.get("/metrics") or "").splitlines():
            if line.startswith(name) and line[len(name)] in " {":
                total += float(line.rsplit(" ", 1)[1])
        return total

    def wait(self, what: str, true, seconds: float) -> float:
        began = time.monotonic()
        while not true():
            if self.process.poll() is not None:
                raise SystemExit(f"the controller ended: {self.log.read_text()[-2000:]}")
            if time.monotonic() - began > seconds:
                raise SystemExit(f"{what}: not within {seconds:.0f} s")
            time.sleep(0.02)
        return time.monotonic() - began


class Kafka:
    """Topics and records, by Debian's Kafka client for Python."""

    def __init__(self, servers: str):
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient

        self.servers = servers
        self.port = int(servers.split(",")[0].rsplit(":", 1)[1])
        self.admin = AdminClient({"bootstrap.servers": servers})
        self.producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "acks": "all"})

    def create(self, topics: list[str], partitions: int):
        from confluent_kafka.admin import NewTopic

        for done in self.admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics]).values():
            done.result(60)

    def produce(self, topic: str, partitions: int, count: int) -> float:
        """Puts so many records into the topic; returns when the broker had the first."""
        first: list[float] = []

        def told(error, _message):
            if error:
                raise SystemExit(f"produce: {error}")
            if not first:
                first.append(time.time())

        for number in range(count):
            self.producer.produce(topic, b"bench", partition=number % partitions, on_delivery=told)
            self.producer.poll(0)
        self.producer.flush(60)
        return first[0]

    def dead_letters(self, topic: str, partitions: int, count: int, origin: str):
        """Puts so many dead letters into the topic, as a worker writes them."""
        for number in range(count):
            about = {"reason": "AttemptsExhausted", "attempts": "5", "status": "500", "error": "no such order", "topic": origin,
                     "partition": str(number % partitions), "offset": str(number // partitions), "failed-at": "2026-11-01T06:00:00Z"}
            headers = [(f"drover-dlq-{name}", value.encode()) for name, value in about.items()]
            self.producer.produce(topic, b"x" * 256, key=f"order-{number}".encode(), partition=number % partitions, headers=headers)
            self.producer.poll(0)
        if left := self.producer.flush(60):
            raise SystemExit(f"{left} dead letters were not taken by the broker")

    def commit(self, group: str, topic: str, partitions: int):
        """Says that the group has done everything."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group})
        try:
            offsets = []
            for number in range(partitions):
                partition = TopicPartition(topic, number)
                partition.offset = _end_of(consumer, partition)
                offsets.append(partition)
            consumer.commit(offsets=offsets, asynchronous=False)
        finally:
            consumer.close()


def _end_of(consumer, partition) -> int:
    """The end of a partition, also of one that was made a moment ago and has no leader yet."""
    from confluent_kafka import KafkaException

    until = time.monotonic() + 30
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=30)[1]
        except KafkaException:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
