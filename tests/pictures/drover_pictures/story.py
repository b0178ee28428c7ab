"""Four minutes of a cluster with six fleets, and what is seen of them in the end.

The demo's fleet rests at zero, is woken by a burst, is rolled in the middle of it, goes back to one pod, and then has
waves in which its handler fails now and then. Beside it there is one fleet that is well, one that is idle, one that is
late, one that is stuck and one that is paused.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from typing import Callable

from drover_demo import stage
from drover_demo.kube import Kube
from drover_demo.screen import Screen
from drover_demo.shell import ROOT, Failure, run

from . import dashboard, prometheus
from .answers import Answers, gather
from .cells import Cell
from .prometheus import Prometheus
from .terminal import Terminal

LENGTH = 240.0
# Grafana's own rule: four looks of Prometheus.
VARIABLES = {"__rate_interval": f"{4 * prometheus.SCRAPE}s"}
CHOSEN = f"{stage.NAMESPACE}/{stage.NAME}"
TOPICS = {"orders": 6, "payments": 3, "invoices": 2, "refunds": 2, "newsletter": 1}
FLEETS = ROOT / "tests" / "pictures" / "fleets.yaml"

COLUMNS, LINES = 124, 14
TOP_BEGINS = LENGTH - 130  # so that it has seen as much as it remembers


@dataclass(frozen=True)
class Load:
    """Records for a topic from a moment on: `count` of them, so many a second, or all at once."""

    begins: float
    topic: str
    count: int
    rate: int | None = None
    keys: int = 100


@dataclass(frozen=True)
class Faults:
    """What a handler answers from a moment on."""

    begins: float
    namespace: str
    faults: tuple[dict, ...]


LOADS = [
    Load(0, "newsletter", 5 * 48, 5),
    Load(0, "orders", 55 * 80, 55),
    Load(0, "payments", 6 * 256, 6, keys=40),
    Load(0, "invoices", 45 * 160, 45),
    Load(8, "refunds", 300, 10),
    Load(18, stage.TOPIC, 30_000, keys=3_000),
    Load(64, "newsletter", 1_800),
    Load(80, "orders", 120 * 88, 120),
    Load(100, stage.TOPIC, 150 * 20, 150, keys=1_000),
    Load(120, stage.TOPIC, 450 * 24, 450, keys=1_000),
    Load(120, "refunds", 400, 20),
    Load(144, stage.TOPIC, 850 * 24, 850, keys=1_000),
    Load(160, "invoices", 85 * 96, 85),
    Load(168, stage.TOPIC, 500 * 36, 500, keys=1_000),
    Load(168, "orders", 75 * 88, 75),
    Load(176, "invoices", 5_500),
    Load(204, stage.TOPIC, 300 * 52, 300, keys=1_000),
]
ROLLED = 24.8
PAUSED = 60.0
FAULTS = [
    Faults(132, "demo", ({"status": 500, "next": 150},)),
    Faults(150, "demo", ({"status": 422, "next": 60}, {"result": "skip", "next": 40})),
    Faults(176, "demo", ({"status": 429, "retryAfter": 1, "next": 60},)),
    Faults(48, "shop", ({"topic": "payments", "key": "key-13", "status": 500},)),
]


@dataclass
class Seen:
    boards: dict[str, Answers]
    top: list[list[Cell]]


def tell(the_stage: stage.Stage, kube: Kube, screen: Screen) -> Seen:
    screen.chapter("Five more fleets")
    for topic, partitions in TOPICS.items():
        the_stage.drover("produce", "--topic", topic, "--create", "--partitions", str(partitions), "--count", "0")
    bootstrap = the_stage.environment.get("DROVER_POD_BOOTSTRAP", stage.POD_BOOTSTRAP)
    run("kubectl", "apply", "-f", "-", environment=the_stage.environment,
        input=FLEETS.read_text().replace(stage.POD_BOOTSTRAP, bootstrap))
    the_stage.kubectl("-n", "shop", "rollout", "status", "deployment/handler", "--timeout=60s")
    play = Play(the_stage, kube)
    try:
        screen.chapter(f"{LENGTH / 60:.0f} minutes of load")
        screen.restart_clock()
        began = time.time()
        for at, what, act in play.acts():
            play.wait_until(began + at)
            screen.happening("story", what)
            act()
        play.wait_until(began + LENGTH)
        screen.chapter("What is to be seen")
        end = time.time()
        seen = Seen({name: _board(name, end, play.looks) for name in dashboard.BOARDS}, play.top.rows())
        if unread := play.looks.unread():
            screen.line(f"  not read by Prometheus in the end: {', '.join(unread)}")
        return seen
    finally:
        play.close()


class Play:
    """What goes on beside the fleets: `drover produce`, Prometheus, and `drover top` in a terminal."""

    def __init__(self, the_stage: stage.Stage, kube: Kube) -> None:
        self._stage, self._kube = the_stage, kube
        self._loads: list[tuple[Load, subprocess.Popen]] = []
        self.looks = Prometheus(kube)
        self.top: Terminal | None = None

    def acts(self) -> list[tuple[float, str, Callable[[], object]]]:
        """Second, words and deed of each, in order."""
        acts = [(load.begins, f"{load.count:,} records for {load.topic}", partial(self._produce, load)) for load in LOADS]
        acts += [(each.begins, f"faults of the handler in {each.namespace}", partial(self._fail, each)) for each in FAULTS]
        acts += [
            (ROLLED, f"roll-out of {stage.NAME}", partial(
                self._stage.kubectl, "-n", stage.NAMESPACE, "rollout", "restart", f"deployment/{stage.NAME}")),
            (PAUSED, "newsletter is paused", partial(self._stage.drover, "pause", "newsletter", "-n", "shop")),
            (TOP_BEGINS, "drover top begins", self._begin_top),
        ]
        return sorted(acts, key=lambda act: act[0])

    def wait_until(self, moment: float) -> None:
        """Fails if a load has failed meanwhile."""
        while (left := moment - time.time()) > 0:
            for load, process in self._loads:
                if process.poll():
                    raise Failure(f"drover produce for {load.topic} failed: {process.stderr.read().strip()}")
            time.sleep(min(left, 1.0))

    def close(self) -> None:
        if self.top:
            self.top.close()
        self.looks.close()
        for _, process in self._loads:
            if process.poll() is None:
                process.terminate()
            process.wait()

    def _produce(self, load: Load) -> None:
        command = [str(self._stage.binaries / "drover"), "produce", "--topic", load.topic, "--count", str(load.count),
                   "--keys", str(load.keys), *(["--rate", str(load.rate)] if load.rate else [])]
        process = subprocess.Popen(command, env=self._stage.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        self._loads.append((load, process))

    def _fail(self, faults: Faults) -> None:
        path = f"/api/v1/namespaces/{faults.namespace}/services/handler:8080/proxy/faults"
        for _ in range(5):
            try:
                self._kube.request(path, "POST", json.dumps(faults.faults).encode())
                return
            except OSError as error:
                last = error
            time.sleep(2)
        raise Failure(f"the handler in {faults.namespace} does not take its faults: {last}")

    def _begin_top(self) -> None:
        command = [str(self._stage.binaries / "drover"), "top", "-A"]
        self.top = Terminal(command, self._stage.environment, COLUMNS, LINES)


def _board(name: str, end: float, looks: Prometheus) -> Answers:
    variables = dict(VARIABLES, consumer=CHOSEN) if name == "fleet" else dict(VARIABLES)
    answers = Answers(end - LENGTH, end, prometheus.SCRAPE, prometheus.SCRAPE, variables)
    gather(dashboard.read(name, variables), answers, looks.ask)
    return answers
