"""What all of it runs on: a cluster whose API server knows KEDA, with Drover and KEDA beside each other."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Callable

from drover_cluster import control_plane, full, keda, lifecycle, node, processes, tools
from drover_cluster.plan import Plan
from drover_demo.kube import Kube
from drover_demo.shell import ROOT, run, sourced

from . import world
from .commits import Commits
from .lives import Lives
from .world import NAMESPACE, World

SYSTEM = "drover-system"
VALUES = ("--set", "controller.image.tag=dev,worker.image.tag=dev")
MANAGER = "kube-controller-manager"


class Stage:
    """`up` makes it, `down` leaves nothing behind."""

    def __init__(self, folder: Path, images: Path) -> None:
        self.folder, self.images = folder.resolve(), images.resolve()
        self.environment = dict(os.environ)
        self.plan: Plan
        self.kube: Kube | None = None
        self.commits: Commits | None = None

    def up(self) -> None:
        keda.ensure()
        self.down()
        full.up(self.folder, 1, aggregation=True)
        self.plan = lifecycle.existing(self.folder)
        self.environment = sourced(self.folder / "env", self.environment)
        node.load_images(self.plan, [self.images / f"{name}.tar" for name in ("drover-controller", "drover-worker", "own-consumer", "handler")])
        self.helm("install", "drover", str(ROOT / "charts" / "drover"), "--create-namespace", "--wait", "--timeout=90s", *VALUES)
        keda.start(self.plan)
        self.kubectl("create", "namespace", NAMESPACE)
        self.kube = Kube(self.environment)
        self.lives = Lives(self.kube)
        self.commits = Commits(self.bootstrap)
        self.commits.start()

    def down(self) -> None:
        if self.commits:
            self.commits.stop()
        if self.kube:
            self.kube.close()
        self.commits = self.kube = None
        with lifecycle.taken(self.folder) as folder:
            if lifecycle.is_complete(folder):
                # Its ScaledObjects first: here all of it goes, but it is the order that is right everywhere.
                keda.stop(lifecycle.existing(folder))
            lifecycle.remove(folder)

    @property
    def bootstrap(self) -> str:
        return self.environment["DROVER_BOOTSTRAP"]

    def clocks(self, flags: list[str]) -> None:
        """Starts the HPA's controller anew with these flags."""
        processes.stop(self.plan.dir, MANAGER)
        control_plane.start_controller_manager(self.plan, flags)
        control_plane.wait_for_controllers(self.plan)

    def handler(self, its: World) -> None:
        """The handler of Drover's workers, of this world."""
        self.apply(*world.handler(its))
        self.kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{world.HANDLER}", "--timeout=90s")

    def topic(self, name: str, partitions: int) -> None:
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        for done in admin.create_topics([NewTopic(name, partitions, 1)]).values():
            done.result(60)

    def apply(self, *made: dict) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(made)}
        run("kubectl", "apply", "-f", "-", environment=self.environment, input=json.dumps(items))

    def remove(self, kind: str, *names: str) -> None:
        self.kubectl("-n", NAMESPACE, "delete", kind, *names, "--ignore-not-found", "--timeout=120s")

    def kubectl(self, *arguments: str) -> str:
        return run("kubectl", *arguments, environment=self.environment)

    def helm(self, *arguments: str) -> str:
        return run(tools.program("helm"), "--namespace", SYSTEM, *arguments, environment=self.environment)

    def explain(self) -> str:
        """What helps to see why it went wrong."""
        found = []
        for words in (("-n", NAMESPACE, "get", "kafkaconsumer,scaledobject,hpa,deployment,pods", "-o", "wide"),
                      ("-n", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp")):
            done = subprocess.run(["kubectl", *words], env=self.environment, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            found.append(done.stdout[-6000:])
        return "\n".join(found)


def until(what: str, true: Callable[[], bool], seconds: float = 120) -> float:
    """Waits until it is true; returns the seconds that it took."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.1)
    return time.monotonic() - began
