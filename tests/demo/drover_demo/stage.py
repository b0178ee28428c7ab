"""What the demo stands on: a cluster, the images, the controller, two topics and the example."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .screen import Screen
from .shell import ROOT, Failure, run, sourced

NAMESPACE = "demo"
NAME = "user-events"
GROUP = f"{NAMESPACE}.{NAME}"
TOPIC = "user_events"
PARTITIONS = 12
DEAD_LETTERS = "user_events.dlq"
CONTROLLER = ("drover-system", "drover-controller")
RELEASE = "drover"
CHART = "charts/drover"
IMAGES = "drover.local"  # as examples/demo and the image archives write it

CLUSTER = ROOT / "tests" / "cluster" / "cluster"
POD_BOOTSTRAP = "kafka.kafka.svc.cluster.local:9092"  # as examples/demo writes it


class Stage:
    def __init__(self, folder: Path, binaries: Path, images: Path, screen: Screen) -> None:
        self.folder = folder.resolve()
        self.binaries = binaries.resolve()
        self.images = images.resolve()
        self.screen = screen
        self.environment = dict(os.environ)
        self._helm = "helm"
        self._built = False

    def build(self) -> None:
        self.screen.chapter("Setting the stage")
        if not self._whole_cluster_is_ours():
            self.screen.line(f"  CLUSTER={os.environ['CLUSTER']}: what the demo makes there, it removes again")
        # Before the rest, which is quick: it may have to be built. Whose cluster it is has a Helm of theirs.
        self._helm = (None if self._whole_cluster_is_ours() else shutil.which("helm")) or run(
            CLUSTER, "program", "helm", environment=self.environment, shown=True).strip()
        self._step("a cluster: Kubernetes with one node, and Kafka")
        self._cluster("down")  # what a run left that was cut off in the middle
        self._cluster("up")
        self._built = True
        self.environment = sourced(self.folder / "env", self.environment)
        self._step("images of controller, worker and example")
        run(CLUSTER, "image", "load", "--dir", self.folder, *sorted(self.images.glob("*.tar")),
            environment=self.environment, shown=True)
        self._step("the chart with Helm: the CRD, and the controller twice")
        where = self.environment.get("DROVER_IMAGES", IMAGES)
        values = [f"{part}.image.repository={where}/drover-{part},{part}.image.tag=dev"
                  for part in ("controller", "worker")]
        self.helm("install", RELEASE, CHART, "--create-namespace", "--wait", "--timeout=90s",
                  "--set", ",".join(values))
        self._step(f"topics {TOPIC} with {PARTITIONS} partitions and {DEAD_LETTERS}")
        for topic, partitions in ((TOPIC, PARTITIONS), (DEAD_LETTERS, 1)):
            self.drover("produce", "--topic", topic, "--create", "--partitions", str(partitions), "--count", "0")
        self._step("the example: a handler that takes 5 ms a record, and a KafkaConsumer")
        self._apply("handler.yaml")
        self.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/handler", "--timeout=60s")
        self._apply("consumer.yaml")

    def strike(self) -> None:
        """Leaves nothing behind."""
        if not self._built and not (self.folder / "plan.json").exists():
            return
        self.screen.chapter("Cleaning up")
        try:
            if self._built and not self._whole_cluster_is_ours():
                self._remove_objects()
            self._cluster("down")
        except Failure as failure:
            self.screen.line(f"  {failure}\n  make clean-cluster tries again")

    def explain(self) -> None:
        """What helps to see why it failed; before everything is gone."""
        if not self._built:
            return
        namespace, name = CONTROLLER
        for title, command in (
            ("KafkaConsumer", ("-n", NAMESPACE, "get", "kafkaconsumer", NAME, "-o", "yaml")),
            ("Pods", ("-n", NAMESPACE, "get", "pods", "-o", "wide")),
            ("Events", ("-n", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp")),
            ("Controller's pods", ("-n", namespace, "get", "pods", "-o", "wide")),
            ("Controller", ("-n", namespace, "logs", f"deployment/{name}", "--all-pods", "--tail=40")),
            ("Workers", ("-n", NAMESPACE, "logs", "-l", f"drover.dev/consumer={NAME}", "--tail=15", "--prefix")),
        ):
            try:
                found = self.kubectl(*command)
            except Failure as failure:
                found = str(failure)
            self.screen.chapter(title)
            self.screen.line(found.rstrip())

    def tell_how_to_look_around(self) -> None:
        drover = self.binaries / "drover"
        self.screen.chapter("It is left running. To look around:")
        for command in (
            f"source {self.folder}/env",
            f"kubectl -n {NAMESPACE} get kc {NAME} --watch",
            f"kubectl -n {NAMESPACE} describe kc {NAME}",
            f"{drover} status -n {NAMESPACE} {NAME}",
            f"{drover} produce --topic {TOPIC} --count 20000 --keys 2000",
            f"kubectl -n {NAMESPACE} rollout restart deployment/{NAME}",
            f"kubectl -n {CONTROLLER[0]} logs deployment/{CONTROLLER[1]} --all-pods",
            f"{self._helm} -n {CONTROLLER[0]} upgrade {RELEASE} {CHART} --reset-then-reuse-values --set replicas=3",
            f"{CLUSTER} kafka --dir {self.folder} groups --describe --group {GROUP}",
            "make clean-cluster",
        ):
            self.screen.line(f"  {command}")

    def kubectl(self, *arguments: str | Path) -> str:
        return run("kubectl", *arguments, environment=self.environment)

    def helm(self, *arguments: str) -> str:
        return run(self._helm, "--namespace", CONTROLLER[0], *arguments, environment=self.environment)

    def drover(self, *arguments: str) -> str:
        return run(self.binaries / "drover", *arguments, environment=self.environment)

    def _apply(self, file: str) -> None:
        text = (ROOT / "examples" / "demo" / file).read_text()
        text = text.replace(POD_BOOTSTRAP, self.environment.get("DROVER_POD_BOOTSTRAP", POD_BOOTSTRAP))
        text = text.replace(f"{IMAGES}/", f"{self.environment.get('DROVER_IMAGES', IMAGES)}/")
        run("kubectl", "apply", "-f", "-", environment=self.environment, input=text)

    def _remove_objects(self) -> None:
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        self.helm("uninstall", RELEASE, "--ignore-not-found")
        # The chart leaves it, with the KafkaConsumers of others.
        self.kubectl("delete", "--ignore-not-found", "-f", ROOT / "crds")
        self.kubectl("delete", "namespace", CONTROLLER[0], "--ignore-not-found")

    def _cluster(self, verb: str) -> None:
        run(CLUSTER, verb, "--dir", self.folder, environment=self.environment, shown=True)

    def _whole_cluster_is_ours(self) -> bool:
        return os.environ.get("CLUSTER") in (None, "", "local")

    def _step(self, text: str) -> None:
        self.screen.line(f"  {self.screen.seconds():5.1f}s  {text}")
