"""What is measured. Each function is one question and gives plain figures."""

from __future__ import annotations

import statistics
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from drover_cluster.say import say

from .consumers import (
    ADMIN, BATCH_WAY, SOCKET_WAY, TCP, TCP_WAY, Bare, CommitEach, ParallelConsumer, Way, Worker, commit_each_is_there,
    ruby_client)
from .programs import OTHER_CORE, Consumer, Handler, Programs, pinned, wait_until

RECORD_BYTES = 1024
KEYS = 100_000
IN_FLIGHT = 64
WAYS = [TCP_WAY, SOCKET_WAY, BATCH_WAY]
RATE = 500
HANDLER_MS = 5


@dataclass(frozen=True)
class Plan:
    """How much of each."""

    pairs: int
    records: dict[str, int]  # by way
    parallel: int
    each: int
    per_partition: int  # of the topic with 30
    slow_seconds: float
    latency_runs: int
    latency_seconds: int
    slots: int
    rest_seconds: float


FULL = Plan(
    pairs=3, records={TCP_WAY.name: 500_000, SOCKET_WAY.name: 800_000, BATCH_WAY.name: 2_000_000}, parallel=300_000,
    each=1_000, per_partition=40_000, slow_seconds=8, latency_runs=3, latency_seconds=8, slots=60_000, rest_seconds=15)
QUICK = Plan(
    pairs=1, records={TCP_WAY.name: 300_000, SOCKET_WAY.name: 500_000, BATCH_WAY.name: 1_000_000}, parallel=60_000,
    each=300, per_partition=15_000, slow_seconds=3, latency_runs=1, latency_seconds=4, slots=40_000, rest_seconds=5)


@dataclass
class Bench:
    plan: Plan
    programs: Programs
    brokers: str
    scratch: Path
    topic: str = "bench"

    def worker(self) -> Worker:
        return Worker(self.programs, self.brokers, self.scratch, IN_FLIGHT)

    def bare(self) -> Bare:
        return Bare(self.programs, self.brokers, self.scratch, IN_FLIGHT)

    def load(self, topic: str, partitions: int, count: int, *rate: float) -> subprocess.Popen:
        arguments = map(str, (self.brokers, topic, partitions, count, RECORD_BYTES, KEYS, *rate))
        return pinned(OTHER_CORE, [self.programs.path("bench_load"), *arguments])

    def fill(self, topic: str, partitions: int, count: int):
        say(f"filling {topic}: {count:,} records in {partitions} partitions")
        if self.load(topic, partitions, count).wait() != 0:
            raise SystemExit(f"{topic} could not be filled")

    # -- throughput ------------------------------------------------------------------------------------------------

    def run(self, command: list[str], address: str, marks: list[int], delay_ms: int = 0) -> dict:
        """What a consumer does between the last two marks, and its most memory."""
        with Handler(self.programs, address, marks, delay_ms) as handler, Consumer(command) as consumer:
            seen = []
            for mark in marks:
                told = handler.wait_for(f"at {mark}", consumer)
                seen.append((mark, time.monotonic(), consumer.cpu_seconds()))
            (from_count, from_time, from_cpu), (to_count, to_time, to_cpu) = seen[-2:]
            count = to_count - from_count
            return {
                "perSecond": count / (to_time - from_time), "perCpuSecond": count / (to_cpu - from_cpu),
                "cpuSeconds": to_cpu - from_cpu, "peakMiB": consumer.memory_mib(),
                # With a delay: how long the handler held a request on average.
                **({"heldMs": int(told[1]) / 1000} if told[:1] == ["held"] else {}),
            }

    def pair(self, way: Way) -> dict | None:
        """The bare loop and the worker in turns, so that what else the machine does meets both."""
        if self.worker().config(self.topic, way) is None:
            return None
        count = self.plan.records[way.name]
        marks, address = [count // 20, count], way.address(self.scratch)
        runs = {"bare": [], "worker": []}
        commands = {"bare": self.bare().command, "worker": self.worker().command}
        for pair in range(self.plan.pairs):
            # The order changes from pair to pair: neither always has the warmer caches.
            for kind in ["bare", "worker"] if pair % 2 == 0 else ["worker", "bare"]:
                runs[kind].append(self.run(commands[kind](self.topic, way), address, marks))
            bare, worker = runs["bare"][-1]["perCpuSecond"], runs["worker"][-1]["perCpuSecond"]
            say(f"{way.name}: bare loop {bare:,.0f}, worker {worker:,.0f} a CPU-second: {worker / bare:.2f}")
        both = zip(runs["worker"], runs["bare"])
        ratios = [worker["perCpuSecond"] / bare["perCpuSecond"] for worker, bare in both]
        return {
            "way": way.name, "ratio": statistics.median(ratios), "ratios": ratios,
            "bare": _median(runs["bare"]), "worker": _median(runs["worker"]),
        }

    def parallel_consumer(self) -> dict:
        count = self.plan.parallel
        command = ParallelConsumer(self.brokers, IN_FLIGHT).command(self.topic)
        figures = self.run(command, TCP, [1, count // 2, count])
        say(f"Parallel Consumer, warm half: {figures['perCpuSecond']:,.0f} a CPU-second, {figures['peakMiB']:.0f} MiB")
        return figures

    def commit_each(self) -> dict:
        figures = {"rubyPackage": ruby_client(), "python": None}
        if commit_each_is_there():
            count = self.plan.each
            command = CommitEach(self.brokers).command(self.topic)
            figures["python"] = self.run(command, TCP, [count // 10, count // 10 + count])
            say(f"a commit for each record: {figures['python']['perCpuSecond']:,.0f} a CPU-second")
        return figures

    # -- memory ----------------------------------------------------------------------------------------------------

    def at_rest(self) -> dict:
        """A member of 12 empty partitions: its memory, and the share of a core that it takes."""
        topic = f"{self.topic}-empty"
        self.fill(topic, 12, 0)
        with Handler(self.programs, TCP, []), Consumer(self.worker().command(topic, TCP_WAY)) as consumer:
            wait_until(_ready, 60, "the worker at rest becomes ready")
            time.sleep(4)
            begun, used = time.monotonic(), consumer.fine_cpu_seconds()
            time.sleep(self.plan.rest_seconds)
            share = (consumer.fine_cpu_seconds() - used) / (time.monotonic() - begun)
            figures = {"memoryMiB": consumer.memory_mib("VmRSS"), "cpuPercent": share * 100}
        say(f"at rest: {figures['memoryMiB']:.1f} MiB, {figures['cpuPercent']:.2f} % of a core")
        return figures

    def backlog(self) -> dict:
        """30 partitions with more than fits anywhere, before a fast handler and a slow one."""
        topic = f"{self.topic}-30"
        count = 30 * self.plan.per_partition
        self.fill(topic, 30, count)
        figures = {"budgetMiB": self.worker().budget_mib(topic), "recordsMiB": count * RECORD_BYTES / (1 << 20)}
        for kind, delay_ms in (("fast", 0), ("slow", 200)):
            with Handler(self.programs, TCP, [1], delay_ms) as handler:
                with Consumer(self.worker().command(topic, TCP_WAY)) as consumer:
                    handler.wait_for("at 1", consumer)
                    time.sleep(self.plan.slow_seconds)
                    figures[f"{kind}PeakMiB"] = consumer.memory_mib()
        say(f"30 partitions: {figures['fastPeakMiB']:.1f} MiB with a fast handler, "
            f"{figures['slowPeakMiB']:.1f} MiB with a slow one; budget {figures['budgetMiB']:.0f} MiB")
        return figures

    # -- time ------------------------------------------------------------------------------------------------------

    def latency(self) -> dict:
        """How old records are when the handler has them, at a small steady rate."""
        runs = {"bare": [], "worker": []}
        for run in range(self.plan.latency_runs):
            for kind in ["bare", "worker"] if run % 2 == 0 else ["worker", "bare"]:
                runs[kind].append(self._latency(kind, f"{self.topic}-latency-{kind}-{run}"))
            say("records' age in ms, p50/p99: " + ", ".join(
                f"{kind} {ages[-1]['p50']:.2f}/{ages[-1]['p99']:.2f}" for kind, ages in runs.items()))
        return {kind: _median(ages) for kind, ages in runs.items()}

    def _latency(self, kind: str, topic: str) -> dict:
        warm, count = RATE * 2, RATE * self.plan.latency_seconds
        self.fill(topic, 12, 0)
        command = (self.bare() if kind == "bare" else self.worker()).command(topic, TCP_WAY)
        with Handler(self.programs, TCP, [warm, warm + count], latency=True) as handler, Consumer(command) as consumer:
            # Until it has its partitions it would read what came before late.
            time.sleep(3)
            load = self.load(topic, 12, warm + count, RATE)
            handler.wait_for(f"at {warm}", consumer)
            used = consumer.cpu_seconds()
            _, p50, _, p99 = handler.wait_for(f"at {warm + count}", consumer)
            used = consumer.cpu_seconds() - used
            load.wait()
        return {"p50": int(p50) / 1000, "p99": int(p99) / 1000, "cpuMicrosPerRecord": used / count * 1e6}

    def slots(self) -> dict:
        """A handler that takes 5 ms: how much of what 64 in flight can reach is reached."""
        count = self.plan.slots
        figures = {"possible": IN_FLIGHT * 1000 / HANDLER_MS}
        for kind, consumer in (("bare", self.bare()), ("worker", self.worker())):
            run = self.run(consumer.command(self.topic, TCP_WAY), TCP, [count // 10, count], HANDLER_MS)
            figures[kind] = run["perSecond"] / figures["possible"]
            # Where the time of a slot goes, record for record: with the handler, on the consumer's core, and the rest.
            figures[f"{kind}Parts"] = {
                "slotMs": IN_FLIGHT * 1000 / run["perSecond"], "heldMs": run["heldMs"],
                "cpuMs": 1000 / run["perCpuSecond"], "cpuPercent": 100 * run["perSecond"] / run["perCpuSecond"],
            }
        say(f"64 in flight to a handler of 5 ms: bare {figures['bare']:.3f}, worker {figures['worker']:.3f} of the possible")
        return figures

    # -- all -------------------------------------------------------------------------------------------------------

    def all(self) -> dict:
        say("at rest, before the machine is warm from the rest")
        figures = {"rest": self.at_rest()}
        self.fill(self.topic, 12, max(self.plan.records.values()))
        figures["throughput"] = [pair for pair in map(self.pair, WAYS) if pair]
        # A broker that has just begun is slow: a request for each record, as here, would wait for it.
        figures["latency"] = self.latency()
        figures["slots"] = self.slots()
        figures["backlog"] = self.backlog()
        figures["parallelConsumer"] = self.parallel_consumer()
        figures["commitEach"] = self.commit_each()
        return figures


def _ready() -> bool:
    try:
        return urllib.request.urlopen(f"http://{ADMIN}/readyz", timeout=2).status == 200
    except OSError:
        return False


def _median(runs: list[dict]) -> dict:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}
