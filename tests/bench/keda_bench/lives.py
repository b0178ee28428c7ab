"""What the API server tells of the fleets: their sizes, and the life of each pod. The same for whoever scales them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

from drover_demo.kube import Kube

from .world import NAMESPACE

DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
RESOURCES = f"/apis/drover.dev/v1alpha1/namespaces/{NAMESPACE}/kafkaconsumers"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


class Lives:
    """Times are seconds since 1970, when the watch told."""

    def __init__(self, kube: Kube) -> None:
        self._lock = threading.Lock()
        self.sizes: dict[str, list[tuple[float, int]]] = defaultdict(list)
        # fleet to pod to [seen first, ready first, gone]
        self.pods: dict[str, dict[str, list[float | None]]] = defaultdict(dict)
        # What Drover says of itself, to understand a run by; nothing is measured with it.
        self.said: list[tuple[float, int, list[str]]] = []
        kube.watch(RESOURCES, self._see_resource)
        kube.watch(DEPLOYMENTS, self._see_deployment)
        kube.watch(PODS, self._see_pod)

    def size(self, fleet: str) -> int | None:
        with self._lock:
            return self.sizes[fleet][-1][1] if self.sizes[fleet] else None

    def alive(self, fleet: str) -> int:
        with self._lock:
            return sum(gone is None for _, _, gone in self.pods[fleet].values())

    def ready(self, fleet: str) -> int:
        with self._lock:
            return sum(gone is None and ready is not None for _, ready, gone in self.pods[fleet].values())

    def spans(self, fleet: str) -> list[tuple[float, float | None]]:
        with self._lock:
            return [(seen, gone) for seen, _, gone in self.pods[fleet].values()]

    def changes(self, fleet: str) -> list[tuple[float, int]]:
        with self._lock:
            return list(self.sizes[fleet])

    def start_ups(self, fleet: str) -> list[float]:
        """From being there to being ready, of each pod that was."""
        with self._lock:
            return [ready - seen for seen, ready, _ in self.pods[fleet].values() if ready is not None]

    def _see_deployment(self, kind: str, deployment: dict) -> None:
        size = 0 if kind == "DELETED" else deployment["spec"].get("replicas", 1)
        with self._lock:
            known = self.sizes[_fleet(deployment)]
            if not known or known[-1][1] != size:
                known.append((time.time(), size))

    def _see_resource(self, kind: str, resource: dict) -> None:
        scaling = (resource.get("status") or {}).get("scaling") or {}
        if "wanted" in scaling and (not self.said or self.said[-1][1] != scaling["wanted"]):
            self.said.append((time.time(), scaling["wanted"], scaling.get("reasons") or []))

    def _see_pod(self, kind: str, pod: dict) -> None:
        now = time.time()
        with self._lock:
            life = self.pods[_fleet(pod)].setdefault(pod["metadata"]["uid"], [now, None, None])
            if kind == "DELETED":
                life[2] = now
            elif life[1] is None and _is_ready(pod):
                life[1] = now


def _fleet(item: dict) -> str:
    labels = item["metadata"].get("labels") or {}
    return labels.get("fleet") or labels.get("drover.dev/consumer") or ""


def _is_ready(pod: dict) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod.get("status", {}).get("conditions") or [])
