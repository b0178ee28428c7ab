"""Real KEDA with as many ScaledObjects of kafka triggers: what the page puts beside Drover's figures."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from drover_cluster import control_plane, keda, lifecycle, parts, processes, tools
from drover_cluster.say import say

from . import objects
from .api import Api, Fleets, Write, count
from .phases import Plan
from .programs import Kafka
from .usage import Usage

SCALED_OBJECTS = "/apis/keda.sh/v1alpha1/scaledobjects"
MANAGER = "kube-controller-manager"
# Of Kubernetes' own controllers the one that KEDA leaves the work from 1 to N to, and no other.
ONLY_HPA = ["--controllers=horizontal-pod-autoscaler-controller"]
# Who is measured, by its program, and as whom it writes.
WRITERS = {"operator": keda.account("keda-operator"), "adapter": keda.account("keda-adapter"),
           "hpa": "system:serviceaccount:kube-system:horizontal-pod-autoscaler"}
PROGRAMS = {"operator": "keda-operator", "adapter": "keda-adapter", "hpa": MANAGER}
# Longer than the HPA's period of 15 s: what a change of an HPA makes KEDA write comes within it.
QUIET = 20


def up(folder: Path) -> Path:
    """A control plane with KEDA; its administrator's kubeconfig."""
    keda.ensure()
    parts.control_plane_up(folder, controllers=False, aggregation=True)
    plan = lifecycle.existing(folder)
    control_plane.start_controller_manager(plan, ONLY_HPA)
    keda.start(plan, as_accounts=True)
    return plan.dir / "kubeconfig"


def versions() -> dict[str, str]:
    return {"keda": keda.version(), "kubernetes": tools.KUBERNETES}


def running(folder: Path) -> dict[str, Usage]:
    found = {name: processes.running(folder, program) for name, program in PROGRAMS.items()}
    if missing := [PROGRAMS[name] for name, process in found.items() if process is None]:
        raise SystemExit(f"{', '.join(missing)} ended: see {folder}/logs")
    return {name: Usage(process.pid) for name, process in found.items()}


@dataclass
class KedaBench:
    plan: Plan
    api: Api
    kafka: Kafka
    programs: dict[str, Usage]
    scaled: Fleets
    place: int = 0  # in the audit log
    written: list[Write] = field(default_factory=list)

    def watch(self, phase) -> dict:
        """Runs a phase, and adds what each program has written and taken meanwhile."""
        self.fresh()
        written, began = len(self.written), time.monotonic()
        cpu = {name: usage.cpu_seconds() for name, usage in self.programs.items()}
        figures = phase()
        seconds = time.monotonic() - began
        self.fresh()
        figures["phaseSeconds"] = seconds
        for name, usage in self.programs.items():
            taken = usage.cpu_seconds() - cpu[name]
            writes = [write for write in self.written[written:] if write.who == WRITERS[name]]
            figures[name] = {
                "cpuSeconds": taken, "cpuPercent": 100 * taken / seconds,
                "memoryMiB": usage.memory_mib("VmRSS"), "peakMiB": usage.memory_mib(),
                "kafkaConnections": usage.connections(self.kafka.port),
                "writes": count(writes), "otherWrites": len([each for each in writes if not each.is_lease])}
        return figures

    def fresh(self) -> list[Write]:
        """What they have written since the last time."""
        writes, self.place = self.api.writes(self.place, tuple(WRITERS.values()))
        self.written += writes
        return writes

    # -- phases ----------------------------------------------------------------------------------------------------

    def create(self) -> dict:
        began = time.monotonic()
        created = self.api.all([("POST", _collection("keda.sh/v1alpha1", "scaledobjects", number),
                                 objects.scaled_object(number, self.kafka.servers)) for number in range(self.plan.fleets)])
        self.scaled.wait(f"{self.plan.fleets} ScaledObjects to be ready", self._all_ready, self.plan.patience)
        return {"createdSeconds": created, "readySeconds": time.monotonic() - began}

    def _all_ready(self, seen: dict) -> bool:
        return len(seen) == self.plan.fleets and all(ready == "True" for _, _, ready, _ in seen.values())

    def settle(self) -> dict:
        """Until nobody has written anything for a while; or not, which is then said."""
        began = since = time.monotonic()
        while time.monotonic() - since < QUIET:
            if any(not write.is_lease for write in self.fresh()):
                since = time.monotonic()
            if time.monotonic() - began > self.plan.patience / 2:
                return {"cameToRest": False, "quietAfterSeconds": None}
            time.sleep(0.5)
        return {"cameToRest": True, "quietAfterSeconds": since - began}

    def rest(self) -> dict:
        time.sleep(self.plan.rest_seconds)
        not_ready = sum(ready != "True" for _, _, ready, _ in self.scaled.seen.values())
        return {"notReady": not_ready}

    def all(self) -> dict:
        figures: dict = {"empty": {name: {"memoryMiB": usage.memory_mib("VmRSS")} for name, usage in self.programs.items()}}
        say(f"creating {self.plan.fleets} Deployments at zero")
        self.api.all([("POST", _collection("apps/v1", "deployments", number), objects.deployment(number))
                      for number in range(self.plan.fleets)])
        say(f"creating {self.plan.fleets} ScaledObjects")
        figures["create"] = self.watch(self.create)
        say(f"  {figures['create']['readySeconds']:.1f} s, {figures['create']['operator']['memoryMiB']:.0f} MiB; waiting for rest")
        figures["settle"] = self.watch(self.settle)
        say(f"at rest for {self.plan.rest_seconds:.0f} s")
        figures["rest"] = self.watch(self.rest)
        return figures


def _collection(group: str, kind: str, number: int) -> str:
    return f"/apis/{group}/namespaces/{objects.key(number)[0]}/{kind}"
