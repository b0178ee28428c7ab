"""What is done with the fleets, and what is read meanwhile. Each phase gives plain figures."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from drover_cluster.say import say

from . import objects
from .api import GROUP, Api, Fleets, Write, count
from .command_line import CommandLine
from .objects import FEW, MANY_LABEL, NAMESPACES, PARTITIONS
from .programs import Controller, Kafka

PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Plan:
    """How much of it."""

    fleets: int
    steps: int  # in which they are created
    rest_seconds: float = 60
    changed: int = 100
    woken_topics: int = 15
    woken_fleets: int = 600
    patience: float = 1800


@dataclass
class Bench:
    plan: Plan
    api: Api
    kafka: Kafka
    controller: Controller
    fleets: Fleets
    command_line: CommandLine
    place: int = 0  # in the audit log
    written: list[Write] = field(default_factory=list)

    # -- the fleets ------------------------------------------------------------------------------------------------

    def path(self, number: int) -> str:
        namespace, name = objects.key(number)
        return f"{GROUP}/namespaces/{namespace}/kafkaconsumers/{name}"

    # -- reading ---------------------------------------------------------------------------------------------------

    def watch(self, phase, *arguments) -> dict:
        """Runs a phase, and adds what was asked, written and taken meanwhile."""
        self.fresh()
        process, written = self.controller.process, len(self.written)
        before, cpu, questions = self.api.requests(), self.controller.usage.cpu_seconds(), self._questions()
        threads, began = self.controller.usage.cpu_by_thread(), time.monotonic()
        reconciles = self.controller.metric("drover_controller_reconciles_total")
        figures = phase(*arguments)
        seconds = time.monotonic() - began
        same = self.controller.process is process
        self.fresh()
        writes, now = self.written[written:], self.api.requests()
        more = {key: now[key] - before.get(key, 0) for key in now if now[key] > before.get(key, 0)}
        taken = self.controller.usage.cpu_seconds() - (cpu if same else 0)
        figures |= {
            "phaseSeconds": seconds, "cpuSeconds": taken, "cpuPercent": 100 * taken / seconds,
            "cpuByThread": {name: spent - threads.get(name, 0) if same else spent
                            for name, spent in self.controller.usage.cpu_by_thread().items()},
            "memoryMiB": self.controller.usage.memory_mib("VmRSS"), "peakMiB": self.controller.usage.memory_mib(),
            "reconciles": self.controller.metric("drover_controller_reconciles_total") - (reconciles if same else 0),
            "kafkaConnections": self.controller.usage.connections(self.kafka.port),
            "kafkaQuestions": self._questions() - (questions if same else 0),
            "writes": count(writes), "otherWrites": len([each for each in writes if not each.is_lease]),
            "reads": {key: count for key, count in sorted(more.items()) if key.split()[0] in ("GET", "LIST", "WATCH")},
        }
        return figures

    def fresh(self) -> list[Write]:
        """The controller's writes since the last time."""
        writes, self.place = self.api.writes(self.place)
        self.written += writes
        return writes

    def _questions(self) -> float:
        return self.controller.metric("drover_controller_kafka_requests_total")

    def settle(self, quiet: float = 5):
        """Waits until the controller has written nothing but its Lease for so long."""
        deadline = time.monotonic() + self.plan.patience
        since = time.monotonic()
        while time.monotonic() - since < quiet:
            if any(not write.is_lease for write in self.fresh()):
                since = time.monotonic()
            if time.monotonic() > deadline:
                raise SystemExit("the controller goes on writing")
            time.sleep(0.5)

    # -- phases ----------------------------------------------------------------------------------------------------

    def create(self, first: int, more: int) -> dict:
        numbers = range(first, first + more)
        began = time.monotonic()
        calls = []
        for number in numbers:
            collection = self.path(number).rsplit("/", 1)[0]
            calls.append(("POST", collection, objects.kafka_consumer(number, self.kafka.servers)))
        created = self.api.all(calls)
        self.fleets.wait(f"{more} fleets to be reconciled", self._reconciled(first + more), self.plan.patience)
        return {"createdSeconds": created, "reconciledSeconds": time.monotonic() - began}

    def _reconciled(self, all_of: int):
        return lambda seen: len(seen) == all_of and all(
            generation == observed and ready == "True" for generation, observed, ready, _ in seen.values())

    def rest(self) -> dict:
        time.sleep(self.plan.rest_seconds)
        return {}

    def change(self) -> dict:
        began = time.monotonic()
        step = max(1, self.plan.fleets // self.plan.changed)
        patch = {"spec": {"delivery": {"concurrency": 7}}}
        calls = [("PATCH", self.path(number), patch, PATCH) for number in range(0, self.plan.fleets, step)]
        self.api.all(calls[: self.plan.changed])
        # A write that was answered may not have reached the watch yet.
        self.fleets.wait("the changes to be seen", lambda seen: sum(
            state[0] > 1 for state in seen.values()) == min(len(calls), self.plan.changed), 60)
        self.fleets.wait("the changes to be reconciled", self._reconciled(self.plan.fleets), self.plan.patience)
        return {"reconciledSeconds": time.monotonic() - began}

    def restart(self) -> dict:
        before, written = self._statuses(), len(self.written)
        self.controller.stop()
        began = time.monotonic()
        self.controller.start()
        self.controller.wait("the controller to be ready", lambda: self.controller.get("/readyz") is not None
                             and self.controller.metric("drover_controller_leader") == 1, 120)
        ready = time.monotonic() - began
        self.controller.wait("all fleets to be known", lambda: self._known() >= self.plan.fleets, self.plan.patience)
        known = time.monotonic() - began
        self.settle()
        keys = sorted({each.key for each in self.written[written:] if each.resource == "kafkaconsumers/status"})
        after = self._statuses() if keys else {}
        changed = {"/".join(key): differences(before.get(key), after.get(key)) for key in keys[:FEW]}
        for name, found in changed.items():
            say(f"  written again: {name}: {found}")
        return {"readySeconds": ready, "lagKnownSeconds": known, "changedStatuses": changed}

    def _statuses(self) -> dict[tuple[str, str], dict]:
        items = json.loads(self.api.call("GET", f"{GROUP}/kafkaconsumers"))["items"]
        return {(each["metadata"]["namespace"], each["metadata"]["name"]): each.get("status", {}) for each in items}

    def _known(self) -> int:
        return (self.controller.get("/metrics") or "").count("\ndrover_fleet_lag_records{")

    def wake(self) -> dict:
        """One record for a topic whose fleets are all at zero: when is each scaled?"""
        delays, asked = [], 0
        # All fleets of a topic wake at once; of a topic with many fewer topics are enough.
        fleets_each = self.plan.fleets // objects.TOPICS
        for number in range(max(1, min(self.plan.woken_topics, self.plan.woken_fleets // max(1, fleets_each)))):
            keys = {objects.key(each) for each in range(number, self.plan.fleets, objects.TOPICS)}
            asked += len(keys)
            produced = self.kafka.produce(objects.topic(number), PARTITIONS, 1)
            missing, deadline = set(keys), time.monotonic() + 60
            while missing and time.monotonic() < deadline:
                time.sleep(0.2)
                for write in self.fresh():
                    if write.resource == "deployments/scale" and write.key in missing:
                        missing.discard(write.key)
                        delays.append(write.at - produced)
            if missing:
                say(f"{objects.topic(number)}: {len(missing)} of {len(keys)} fleets were not scaled within a minute")
            # Nobody runs the pods: what they would have done is done for them, so that these fleets rest again.
            for namespace, name in keys:
                self.kafka.commit(f"{namespace}.{name}", objects.topic(number), PARTITIONS)
            time.sleep(1)
        delays.sort()
        pick = lambda share: delays[min(len(delays) - 1, int(share * len(delays)))] if delays else None  # noqa: E731
        return {"asked": asked, "scaled": len(delays), "p50": pick(0.5), "p99": pick(0.99), "worst": pick(1)}

    def ask(self) -> dict:
        """The command line's answers, of all fleets that are there; of one of them, before which a record of each partition waits."""
        namespace, name = objects.key(objects.WITH_LETTERS)
        there = len(self.fleets.seen)
        say(f"asking the command line of {there} fleets")
        return {"fleets": there, "commands": self.command_line.all(namespace, name, there)}

    def delete(self, keep: int = 0) -> dict:
        """Deletes all, or all but the few."""
        began = time.monotonic()
        which = f"?labelSelector={MANY_LABEL}" if keep else ""
        self.api.all([("DELETE", f"{GROUP}/namespaces/team-{number}/kafkaconsumers{which}") for number in range(NAMESPACES)])
        self.fleets.wait("them to be deleted", lambda seen: len(seen) == keep, self.plan.patience)
        deleted = time.monotonic() - began
        # Its own count is taken every few seconds.
        self.controller.wait("them to be forgotten", lambda: self.controller.metric("drover_controller_fleets") == keep
                             and (keep or self.controller.metric("drover_controller_kafka_clients") == 0), 300)
        return {"deletedSeconds": deleted, "forgottenSeconds": time.monotonic() - began}

    def all(self) -> dict:
        plan, figures = self.plan, {}
        self.controller.start()
        self.controller.wait("the controller to lead", lambda: self.controller.metric("drover_controller_leader") == 1, 60)
        figures["empty"] = {"memoryMiB": self.controller.usage.memory_mib("VmRSS")}
        each = plan.fleets // plan.steps
        figures["create"] = []
        for step in range(plan.steps):
            say(f"creating fleets {step * each} to {(step + 1) * each}")
            figures["create"].append(self.watch(self.create, step * each, each))
            say(f"  {figures['create'][-1]['reconciledSeconds']:.1f} s, {self.controller.usage.memory_mib('VmRSS'):.0f} MiB")
        say("waiting for rest")
        figures["settle"] = self.watch(lambda: self.settle() or {})
        say(f"at rest for {plan.rest_seconds:.0f} s")
        figures["rest"] = self.watch(self.rest)
        say(f"changing {plan.changed}")
        figures["change"] = self.watch(self.change)
        self.settle()
        say("restarting the controller")
        figures["restart"] = self.watch(self.restart)
        say("at rest again")
        figures["restAgain"] = self.watch(self.rest)
        say("waking fleets")
        figures["wake"] = self.watch(self.wake)
        # Nobody runs pods that would take these, so from here on the fleets of this topic are at work.
        self.kafka.produce(objects.topic(objects.WITH_LETTERS), PARTITIONS, PARTITIONS)
        figures["commandLine"] = [self.ask()]
        if plan.fleets > FEW:
            say(f"deleting all but {FEW}")
            figures["deleteMost"] = self.watch(self.delete, FEW)
            figures["commandLine"].append(self.ask())
        say("deleting all")
        figures["delete"] = self.watch(self.delete)
        return figures


def differences(before, after, path: str = "status") -> list[str]:
    """Where two values differ, each place with both."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [found for key in sorted(before.keys() | after.keys())
                for found in differences(before.get(key), after.get(key), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [found for place, (one, other) in enumerate(zip(before, after))
                for found in differences(one, other, f"{path}[{place}]")]
    return [] if before == after else [f"{path}: {json.dumps(before)} -> {json.dumps(after)}"]
