"""A burst on a fleet at zero, each fleet alone; and how long the first record after rest waits. Nothing is compressed."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import asdict, dataclass, replace

from drover_cluster.say import say

from . import figures, world
from .feed import Feed
from .stage import Stage, until
from .world import BURST_DEFAULTS, BURST_TUNED, DROVER, NAMESPACE, Keda, World

PARTITIONS = 12
IDLE = 30  # Drover's idleTimeToZero; the cooldown of BURST_TUNED is the same
WORLD = World(pace=1, promise=30, partitions=PARTITIONS, start_up=0, handler_ms=5)
FLEETS: tuple[Keda | None, ...] = (None, BURST_TUNED, BURST_DEFAULTS)  # None is Drover


@dataclass
class Burst:
    """Seconds from the first record produced."""

    first: float
    last: float
    zero: float
    pod_seconds: float  # until all pods are gone
    changes: int
    generations: int
    peak: int


def name_of(keda: Keda | None) -> str:
    return keda.name if keda else DROVER


def all_bursts(stage: Stage, records: int) -> dict[str, dict]:
    stage.clocks([])
    stage.handler(WORLD)
    found = {}
    for keda in FLEETS:
        burst = _burst(stage, keda, records)
        say(f"burst, {name_of(keda)}: first {burst.first:.1f} s, last {burst.last:.1f} s, {burst.pod_seconds:.0f} pod-seconds")
        found[name_of(keda)] = asdict(burst)
    return found


def _burst(stage: Stage, keda: Keda | None, records: int) -> Burst:
    fleet, topic = name_of(keda), f"burst-{name_of(keda)}"
    stage.topic(topic, PARTITIONS)
    _begin(stage, keda, topic, IDLE)
    _rest(stage, [fleet], keda)
    feed = Feed(stage.bootstrap)
    for number in range(records):
        feed.send(topic, number % PARTITIONS)
    feed.flush()
    began = feed.all[0]
    until(f"{fleet} has done all", lambda: stage.commits.committed(fleet, topic) >= records, 900)
    until(f"{fleet} is at zero", lambda: stage.lives.size(fleet) == 0 and stage.lives.alive(fleet) == 0, 900)
    zero = time.time()
    with stage.commits.lock:
        times = [at for place, seen in stage.commits.ledger.times.items() if place[:2] == (fleet, topic) for at in seen]
        generations = stage.commits.ledger.begun_generations(fleet, began, zero)
    within = [size for at, size in stage.lives.changes(fleet) if began < at <= zero]
    spent = figures.pod_seconds(stage.lives.spans(fleet), began, zero)
    _end(stage, keda)
    return Burst(min(at for at in times if at > began) - began, max(times) - began, zero - began, spent, len(within), generations,
                 max(within))


def first_records(stage: Stage, starts: int, seed: int) -> dict[str, list[float]]:
    """From the moment that a record was produced to the commit that covers it, so many times for each fleet."""
    stage.clocks([])
    stage.handler(WORLD)
    topic, chance = "first", random.Random(f"starts-{seed}")
    stage.topic(topic, PARTITIONS)
    # Quickly back at zero: this is about the way up.
    fleets = [keda and replace(keda, cooldown=10) for keda in FLEETS]
    for keda in fleets:
        _begin(stage, keda, topic, 10)
    names = [name_of(keda) for keda in fleets]
    found: dict[str, list[float]] = {name: [] for name in names}
    feed = Feed(stage.bootstrap)
    for number in range(1, starts + 1):
        _rest(stage, names, None)
        # At a random time, so that no rhythm is met or missed each time.
        time.sleep(5 + chance.random() * world.POLLING)
        feed.send(topic, chance.randrange(PARTITIONS))
        feed.flush()
        until("each has done it", lambda: all(stage.commits.committed(name, topic) >= number for name in names), 180)
        with stage.commits.lock:
            for name in names:
                done = max(at for place, seen in stage.commits.ledger.times.items() if place[:2] == (name, topic) for at in seen)
                found[name].append(done - feed.all[-1])
        say("first record after rest: " + "  ".join(f"{name} {found[name][-1]:.2f} s" for name in names))
    for keda in fleets:
        _end(stage, keda)
    return found


def _begin(stage: Stage, keda: Keda | None, topic: str, idle: int) -> None:
    if keda is None:
        scaling = {"minReplicas": 0, "maxReplicas": PARTITIONS, "maxDelay": f"{WORLD.promise:g}s", "idleTimeToZero": f"{idle}s"}
        stage.apply(world.kafka_consumer(WORLD, DROVER, topic, 0, scaling))
    else:
        stage.apply(world.deployment(WORLD, keda.name, topic, 0, 0),
                    world.scaled_object(keda, 1, topic, (0, PARTITIONS), 1, stage.bootstrap))


def _rest(stage: Stage, fleets: list[str], keda: Keda | None) -> None:
    """Waits until all are at zero and known to whoever scales them, and a moment that has nothing to do with when."""
    for fleet in fleets:
        until(f"{fleet} is at zero", lambda: stage.lives.size(fleet) == 0 and stage.lives.alive(fleet) == 0, 600)
    for kind in ("kafkaconsumer", "scaledobject"):
        for name in stage.kubectl("-n", NAMESPACE, "get", kind, "-o", "name").split():
            stage.kubectl("-n", NAMESPACE, "wait", name, "--for=condition=Ready", "--timeout=60s")
    time.sleep(5 + random.random() * (keda.polling if keda else 1))


def _end(stage: Stage, keda: Keda | None) -> None:
    if keda is None:
        stage.remove("kafkaconsumer", DROVER)
    else:
        stage.remove("scaledobject", keda.name)
        stage.remove("deployment", keda.name)
    until("its pods are gone", lambda: stage.lives.alive(name_of(keda)) == 0, 180)


def median(values: list[float]) -> float:
    return statistics.median(values)
