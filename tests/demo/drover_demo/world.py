"""What is known at each moment: the Deployment, its pods, the resource, its events, the group, the witness.

Everything is seen from outside, by watches and by asking; nothing here asks Drover how well it did.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path

from . import stage
from .kube import Kube
from .screen import Screen

RESOURCE = f"/apis/drover.dev/v1alpha1/namespaces/{stage.NAMESPACE}/kafkaconsumers"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{stage.NAMESPACE}/deployments"
PODS = f"/api/v1/namespaces/{stage.NAMESPACE}/pods"
EVENTS = f"/api/v1/namespaces/{stage.NAMESPACE}/events"
WITNESS = f"/api/v1/namespaces/{stage.NAMESPACE}/services/handler:8080/proxy"
FLEET = f"drover.dev/consumer={stage.NAME}"


class World:
    def __init__(self, kube: Kube, screen: Screen, the_stage: stage.Stage) -> None:
        self.kube = kube
        self.screen = screen
        self.size: int | None = None  # the Deployment's spec.replicas
        self.scale_changes: list[tuple[float, int, int]] = []
        self.pods: dict[str, dict] = {}
        self.pod_lives: dict[str, list[float | None]] = {}  # uid to [seen first, gone]
        self.status: dict = {}
        self.witness: dict = {}
        self.generations: dict[int, int | None] = {}  # number to members
        self._handled_at: list[tuple[float, int]] = []
        self._said: set[str] = set()
        self._conditions: dict[str, str] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._group = self._watch_group(the_stage)
        kube.watch(DEPLOYMENTS, self._see_deployment, labelSelector=FLEET)
        kube.watch(PODS, self._see_pod, labelSelector=FLEET)
        kube.watch(RESOURCE, self._see_resource, fieldSelector=f"metadata.name={stage.NAME}")
        kube.watch(EVENTS, self._see_event)
        threading.Thread(target=self._ask_witness, daemon=True).start()

    def close(self) -> None:
        self._stopping.set()
        self._group.terminate()
        self._group.wait()

    # What the story asks.

    def ready_pods(self) -> int:
        with self._lock:
            return sum(_ready(pod) for pod in self.pods.values())

    def pod_seconds(self) -> float:
        """From the moment a pod was seen to the moment it was gone, or to now."""
        now = time.monotonic()
        with self._lock:
            return sum((gone or now) - seen for seen, gone in self.pod_lives.values())

    def handled(self) -> int:
        return self.witness.get("handled", 0)

    def rate(self) -> float:
        """Records handled a second over the last three seconds."""
        with self._lock:
            if len(self._handled_at) < 2:
                return 0.0
            (then, before), (now, after) = self._handled_at[0], self._handled_at[-1]
        return (after - before) / (now - then) if now > then else 0.0

    def generation(self) -> int | None:
        return max(self.generations, default=None)

    def generations_with_members(self) -> int:
        """Each number up to the last counts, also one that was over before the broker wrote it down; those
        without members do not: nobody had to stop for them."""
        working = [number for number, members in self.generations.items() if members != 0]
        if not working:
            return 0
        numbers = range(min(working), max(working) + 1)
        return sum(1 for number in numbers if self.generations.get(number) != 0)

    def look_at_witness(self) -> dict:
        return json.loads(self.kube.request(f"{WITNESS}/stats"))

    # What the watches tell.

    def _see_deployment(self, kind: str, deployment: dict) -> None:
        size = None if kind == "DELETED" else deployment["spec"].get("replicas", 1)
        before, self.size = self.size, size
        if size is not None and before is not None and size != before:
            self.scale_changes.append((time.monotonic(), before, size))
            self.screen.happening("size", f"{before} -> {size} pods", "green")

    def _see_pod(self, kind: str, pod: dict) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock:
            life = self.pod_lives.setdefault(uid, [time.monotonic(), None])
            if kind == "DELETED":
                life[1] = time.monotonic()
                self.pods.pop(uid, None)
            else:
                self.pods[uid] = pod
        for state in pod.get("status", {}).get("containerStatuses") or []:
            ended = state.get("lastState", {}).get("terminated")
            if ended and state["restartCount"]:
                self._once("restart", f"pod {pod['metadata']['name']}: container {state['name']} ended with "
                           f"{ended['exitCode']} ({ended.get('reason')}), started again: {state['restartCount']}")

    def _see_resource(self, kind: str, resource: dict) -> None:
        before, self.status = self.status, resource.get("status") or {}
        scaling = self.status.get("scaling") or {}
        if scaling.get("wanted") != (before.get("scaling") or {}).get("wanted"):
            reasons = "; ".join(scaling.get("reasons") or ["no reason given"])
            self.screen.happening("decision", f"{scaling.get('wanted')} pods wanted: {reasons}")
        for condition in self.status.get("conditions") or []:
            was = self._conditions.get(condition["type"])
            now = f"{condition['status']} ({condition['reason']})"
            self._conditions[condition["type"]] = now
            if was and was != now and condition["type"] in ("Ready", "KafkaReachable", "Stalled", "ScalingActive"):
                self.screen.happening("condition", f"{condition['type']} is {now}: {condition['message']}", "yellow")

    def _see_event(self, kind: str, event: dict) -> None:
        about = event.get("involvedObject") or {}
        if kind == "DELETED" or about.get("kind") != "KafkaConsumer" or about.get("name") != stage.NAME:
            return
        self._once("event", f"{event.get('reason')}: {event.get('message')}")

    def _once(self, what: str, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.screen.happening(what, text, "blue")

    # Who is asked.

    def _ask_witness(self) -> None:
        while not self._stopping.wait(0.5):
            try:
                self.witness = self.look_at_witness()
            except (OSError, ValueError):
                continue
            now = time.monotonic()
            with self._lock:
                self._handled_at.append((now, self.handled()))
                self._handled_at = [sample for sample in self._handled_at if now - sample[0] <= 3.2]

    def _watch_group(self, the_stage: stage.Stage) -> subprocess.Popen:
        program = the_stage.binaries / "examples" / "group_watch"
        bootstrap = the_stage.environment["DROVER_BOOTSTRAP"]
        process = subprocess.Popen(
            [str(Path(program)), bootstrap, stage.GROUP], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read_group, args=(process,), daemon=True).start()
        return process

    def _read_group(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            found = json.loads(line)
            self.generations[found["generation"]] = found["members"]


def _ready(pod: dict) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
