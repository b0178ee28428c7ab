"""Drover and two fleets of KEDA's on one load, on one topic, at the same time; each with a group of its own."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from drover_cluster.say import say

from . import excerpt as excerpts
from . import figures, world
from .excerpt import Cut, Excerpt
from .feed import Feed, RateServer
from .stage import Stage, until
from .world import DROVER, ROUNDS, Keda, World

DRAIN = 90.0  # seconds for what is left after the last record
OWN_START = 1.0  # seconds of its own that a pod takes, beside the start-up that is put before it


@dataclass
class Run:
    """What came of one trace."""

    cut: Cut
    round: str
    excerpt: Excerpt
    per_pod: float  # records a second of the wall's clock that a pod does
    figures: dict[str, figures.Figures]
    seconds: float
    busy: float  # share of the machine's processors, and of its busiest ten seconds
    most_busy: float
    start_up: float  # median seconds from a pod's being there to its being ready
    said: list[tuple[float, int, list[str]]]  # seconds from the beginning, pods that Drover wanted, and its reasons
    late_feed: float  # seconds by which a record was produced later than planned, at worst

    def as_json(self) -> dict:
        return {"name": self.cut.name, "round": self.round, "trace": self.cut.trace, "about": self.cut.about, "begins": self.cut.begins,
                "lasts": self.cut.lasts, "lead": self.cut.lead, "pace": self.cut.pace, "step": self.excerpt.step, "rates": list(self.excerpt.rates),
                "perPod": self.per_pod, "seconds": self.seconds, "busy": self.busy, "mostBusy": self.most_busy,
                "startUp": self.start_up, "said": self.said, "lateFeed": self.late_feed,
                "figures": {name: each.as_json() for name, each in self.figures.items()}}


def calibrate(stage: Stage, feed: Feed, its: World, records: int = 900) -> float:
    """Records a second that one pod does, of a backlog: what KEDA's tuned settings are told."""
    name = topic = "calibration"
    stage.topic(topic, 4)
    for number in range(records):
        feed.send(topic, number % 4)
    feed.flush()
    stage.apply(world.deployment(its, name, topic, 0, 1))
    until("the calibration is done", lambda: stage.commits.committed(name, topic) >= records, 180)
    times = sorted(at for place, seen in stage.commits.ledger.times.items() if place[0] == name for at in seen)
    stage.remove("deployment", name)
    # Its first tenth, when it joins, and its last are left out.
    first, last = times[len(times) // 10], times[-len(times) // 10]
    done = sum(first < at <= last for at in times)
    return done / (last - first)


def play(stage: Stage, its: World, cut: Cut, traces: Path, per_pod: float, share: float, seed: int, beside_whom: str) -> Run:
    """Plays the excerpt (of which `share` from its beginning) to Drover and the fleets of the round `beside_whom`."""
    beside = ROUNDS[beside_whom]
    whole = excerpts.cut(excerpts.read(traces / cut.trace), cut)
    # Scaled as a whole, so that a part of it is a part of the same.
    load = whole.scaled(its.busiest_pods * per_pod / its.pace).shortened(share)
    moments = excerpts.arrivals(load, its.pace, excerpts.shares(its.partitions, its.skew, seed), seed)
    topic = f"load-{cut.name}-{beside_whom}"
    feed = Feed(stage.bootstrap)
    server = RateServer(feed)
    stage.topic(topic, its.partitions)
    fleets = [DROVER, *(keda.name for keda in beside)]
    stage.clocks(world.hpa_flags(its))
    _begin(stage, its, beside, topic, per_pod, server.url)
    try:
        for fleet in fleets:
            until(f"{fleet} has a pod in its group",
                  lambda: stage.lives.ready(fleet) >= 1 and stage.commits.members(fleet) >= 1)
        time.sleep(3)
        say(f"{cut.name}: {len(moments):,} records in {load.seconds / its.pace / 60:.0f} minutes, {per_pod:.1f} a second for a pod")
        processor = Processor()

        def told(second: int) -> None:
            processor.look()
            if second % 20 == 0:
                _tell(stage, fleets, topic, sum(len(times) for (name, _), times in feed.times.items() if name == topic))
        began = time.time()
        late = feed.play(topic, moments, told)
        ended = time.time()
        total = len(moments)
        deadline = time.monotonic() + DRAIN
        while time.monotonic() < deadline and any(stage.commits.committed(fleet, topic) < total for fleet in fleets):
            time.sleep(0.5)
        time.sleep(1)
        times = {partition: seen for (name, partition), seen in feed.times.items() if name == topic}
        with stage.commits.lock:
            found = {fleet: figures.of_run(fleet, topic, times, stage.commits.ledger, stage.lives.spans(fleet),
                                           stage.lives.changes(fleet), began, ended, its.passes(its.promise))
                     for fleet in fleets}
        start_up = statistics.median(each for fleet in fleets for each in stage.lives.start_ups(fleet))
        said = [(round(at - began, 1), wanted, reasons) for at, wanted, reasons in stage.lives.said if at >= began]
    finally:
        server.close()
        _end(stage, fleets)
    return Run(cut, beside_whom, load, per_pod, found, ended - began, processor.mean(), processor.most(), start_up, said, late)


def _begin(stage: Stage, its: World, beside: tuple[Keda, ...], topic: str, per_pod: float, rate_url: str) -> None:
    bounds = (1, its.partitions)
    waits = round(its.passes(its.start_up) - OWN_START, 1)
    scaling = {"minReplicas": bounds[0], "maxReplicas": bounds[1], "maxDelay": f"{its.passes(its.promise):g}s"}
    made = [world.kafka_consumer(its, DROVER, topic, waits, scaling)]
    for keda in beside:
        made.append(world.deployment(its, keda.name, topic, waits, 1))
        made.append(world.scaled_object(keda, its.pace, topic, bounds, per_pod, stage.bootstrap, rate_url))
    stage.handler(its)
    stage.apply(*made)


def _end(stage: Stage, fleets: list[str]) -> None:
    stage.remove("scaledobject", *fleets)
    stage.remove("deployment", *(fleet for fleet in fleets if fleet != DROVER))
    stage.remove("kafkaconsumer", DROVER)
    until("all pods are gone", lambda: not any(stage.lives.alive(fleet) for fleet in fleets), 180)


def _tell(stage: Stage, fleets: list[str], topic: str, produced: int) -> None:
    parts = [f"{fleet} {stage.lives.ready(fleet)}/{stage.lives.size(fleet)} lag {produced - stage.commits.committed(fleet, topic)}"
             for fleet in fleets]
    say("  ".join(parts) + f"  load {os.getloadavg()[0]:.1f}")


class Processor:
    """How busy the machine is, from /proc/stat."""

    def __init__(self) -> None:
        self.seen = [self._read()]

    def look(self) -> None:
        self.seen.append(self._read())

    def mean(self) -> float:
        return self._busy(self.seen[0], self.seen[-1])

    def most(self) -> float:
        pairs = zip(self.seen, self.seen[10:])
        return max((self._busy(before, after) for before, after in pairs), default=self.mean())

    @staticmethod
    def _busy(before: tuple[int, int], after: tuple[int, int]) -> float:
        total = after[0] - before[0]
        return 1 - (after[1] - before[1]) / total if total else 0.0

    @staticmethod
    def _read() -> tuple[int, int]:
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(each) for each in file.readline().split()[1:9]]
        return sum(fields), fields[3] + fields[4]
