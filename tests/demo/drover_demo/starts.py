"""From zero, over and over: how long until the first record is handled, and where the time goes."""

from __future__ import annotations

import argparse
import random
import re
import statistics
import threading
import time

from . import stage
from .kube import Kube
from .result import moment
from .screen import Screen
from .shell import Failure
from .story import produce
from .world import DEPLOYMENTS, FLEET, PODS, WITNESS, World

# What happens, in its order; each is shown with the time since the one before.
STEPS = (
    ("size", "the Deployment has its size"),
    ("pod", "the first pod exists"),
    ("begins", "the worker's process has begun"),
    ("assigned", "the group has given it partitions"),
    ("begun", "the handler has the first record"),
    ("handled", "the first record is handled"),
)
PATIENCE = 60.0
# An idle fleet idles; at a random time, so that no rhythm of anybody's is met or missed each time.
REST = (6.0, 9.0)
LOG_TIME = re.compile(r"^(\S+Z) .*?(drover-worker begins|assigned)")


def tell(world: World, the_stage: stage.Stage, screen: Screen, asked: argparse.Namespace) -> int:
    """Lets the fleet start `asked.starts` times; shows a line for each and the table."""
    watch = Watch(world.kube)
    # Back at zero quickly; this is about the way up.
    the_stage.kubectl("-n", stage.NAMESPACE, "patch", "kafkaconsumer", stage.NAME, "--type=merge", "--patch",
                      '{"spec":{"scaling":{"idleTimeToZero":"1s"}}}')
    screen.chapter(f"{asked.starts} times from zero, {asked.records:,} records each time")
    found: list[dict[str, float]] = []
    for number in range(1, asked.starts + 1):
        _until("the fleet idles at zero", lambda: _idle(world))
        time.sleep(random.uniform(*REST))
        times = _start(world, the_stage, asked, watch)
        found.append(times)
        parts = "  ".join(f"{name} {times[name]:.2f}" for name, _ in STEPS if name in times)
        screen.line(f"  {number:>3}  {parts}")
    return show(found, screen, asked)


def show(found: list[dict[str, float]], screen: Screen, asked: argparse.Namespace) -> int:
    screen.chapter("From the first record produced, seconds")
    screen.line(screen.paint("dim", f"  {'':<40}{'p50':>8}{'worst':>8}{'step p50':>10}"))
    before = 0.0
    for name, text in STEPS:
        values = [times[name] for times in found if name in times]
        if not values:
            screen.line(f"  {text:<40}{'not seen':>8}")
            continue
        middle = statistics.median(values)
        screen.line(f"  {text:<40}{middle:>8.2f}{max(values):>8.2f}{middle - before:>10.2f}")
        before = middle
    screen.line(screen.paint("dim", f"""
  {len(found)} starts of a fleet that was at zero for {REST[0]:.0f} seconds and more, image present, {asked.records:,} records each
  time. The processes' times are from their logs, the others were seen from outside."""))
    return 0 if all("handled" in times for times in found) else 1


def _start(world: World, the_stage: stage.Stage, asked: argparse.Namespace, watch: "Watch") -> dict[str, float]:
    world.kube.request(f"{WITNESS}/reset", "POST")
    watch.begin()
    produced = produce(the_stage, asked)
    began = moment(produced["startedAt"]).timestamp()
    _until("all records are handled", lambda: world.look_at_witness()["handled"] >= asked.records)
    witness = world.look_at_witness()
    times = watch.end()
    times.update(_log_times(world.kube, watch.pods()))
    times["begun"] = moment(witness["firstBegunAt"]).timestamp()
    times["handled"] = moment(witness["firstHandledAt"]).timestamp()
    return {name: at - began for name, at in times.items()}


def _log_times(kube: Kube, pods: list[str]) -> dict[str, float]:
    """When the first of these pods began, and when the first of them was given partitions."""
    first: dict[str, float] = {}
    for pod in pods:
        try:
            log = kube.request(f"{PODS}/{pod}/log").decode("utf-8", "replace")
        except OSError:
            continue  # gone already
        for line in log.splitlines():
            if found := LOG_TIME.match(line):
                name = "assigned" if found[2] == "assigned" else "begins"
                at = moment(found[1]).timestamp()
                first[name] = min(first.get(name, at), at)
    return first


def _idle(world: World) -> bool:
    return world.size == 0 and not world.pods and world.status.get("lag") == 0


def _until(what: str, done) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise Failure(f"waited {PATIENCE:.0f} s in vain until {what}")
        time.sleep(0.05)


class Watch:
    """The wall clock's time at which the Deployment got its size and the first pod appeared."""

    def __init__(self, kube: Kube) -> None:
        self._lock = threading.Lock()
        self._times: dict[str, float] | None = None
        self._pods: list[str] = []
        kube.watch(DEPLOYMENTS, self._see_deployment, labelSelector=FLEET)
        kube.watch(PODS, self._see_pod, labelSelector=FLEET)

    def begin(self) -> None:
        with self._lock:
            self._times, self._pods = {}, []

    def end(self) -> dict[str, float]:
        with self._lock:
            times, self._times = self._times or {}, None
            return times

    def pods(self) -> list[str]:
        with self._lock:
            return list(self._pods)

    def _see_deployment(self, kind: str, deployment: dict) -> None:
        if deployment["spec"].get("replicas"):
            self._note("size")

    def _see_pod(self, kind: str, pod: dict) -> None:
        self._note("pod")
        with self._lock:
            if pod["metadata"]["name"] not in self._pods:
                self._pods.append(pod["metadata"]["name"])

    def _note(self, name: str) -> None:
        at = time.time()
        with self._lock:
            if self._times is not None:
                self._times.setdefault(name, at)
