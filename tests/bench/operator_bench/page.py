"""What was measured against what is wanted, and the page that says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .phases import NAMESPACES, PARTITIONS

# The longest time between two readings of a fleet at rest, with what reads it: see src/lag/sleepers.rs.
SAMPLING_SECONDS = 1.5
PHASES = [("create", "created"), ("settle", "coming to rest"), ("rest", "at rest"), ("change", "100 changed"),
          ("restart", "controller restarted"), ("restAgain", "at rest after that"), ("wake", "woken by records"),
          ("delete", "deleted")]


@dataclass(frozen=True)
class Check:
    what: str
    figure: float
    unit: str
    required: float | None
    goal: float

    def holds(self, limit: float | None) -> bool:
        return limit is None or self.figure <= limit

    def as_json(self) -> dict:
        return {"what": self.what, "figure": self.figure, "unit": self.unit, "required": self.required, "goal": self.goal,
                "requiredMet": self.holds(self.required), "goalMet": self.holds(self.goal)}


def checks(result: dict) -> list[Check]:
    figures, fleets = result["figures"], result["fleets"]
    created, rest, restart, wake = figures["create"], figures["rest"], figures["restart"], figures["wake"]
    large = fleets > 1000
    found = [] if large else [
        Check("from the first created to all reconciled", created[0]["reconciledSeconds"], "s", None, 60)]
    found += [
        Check("writes at rest, the Lease's left out", rest["otherWrites"], "", 0, 0),
        Check("share of a core at rest", rest["cpuPercent"], "%", None, 5),
        Check("most memory", max(each["peakMiB"] for each in (*created, restart, wake)), "MiB", None, 600 if large else 150),
        Check("restart to leader with all caches", restart["readySeconds"], "s", None, 10),
        Check("writes after a restart, the Lease's left out", restart["otherWrites"], "", None, 0),
        Check("connections to the broker", rest["kafkaConnections"], "", None, 4),
        Check("fleets woken and not scaled", wake["asked"] - wake["scaled"], "", 0, 0),
        Check("record to scale patch, p99", wake["p99"] if wake["scaled"] else float("inf"), "s", None, 2 * SAMPLING_SECONDS),
    ]
    return found


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def check_table(found: list[Check]) -> str:
    rows = []
    for check in found:
        said = "met" if check.holds(check.goal) else "**not met**"
        if not check.holds(check.required):
            said = "**required, not met**"
        rows.append([check.what, f"{number(check.figure)} {check.unit}".strip(), f"≤ {number(check.goal)}", said])
    return table(["figure", "measured", "goal", ""], rows)


def _phases(figures: dict):
    for key, name in PHASES:
        steps = figures[key] if isinstance(figures[key], list) else [figures[key]]
        for place, step in enumerate(steps):
            yield (f"{name}, part {place + 1}" if len(steps) > 1 else name), step


def phase_table(figures: dict) -> str:
    rows = []
    for name, step in _phases(figures):
        seconds = step.get("reconciledSeconds", step.get("deletedSeconds", step.get("readySeconds", step["phaseSeconds"])))
        rows.append([name, number(seconds), number(step["cpuSeconds"]), number(step["cpuPercent"]), number(step["memoryMiB"]),
                     number(step["reconciles"]), number(step["otherWrites"]), number(step["kafkaQuestions"]),
                     number(step["kafkaConnections"])])
    return table(["", "seconds", "CPU-seconds", "% of a core", "memory, MiB", "reconciles", "writes", "questions to Kafka",
                  "connections"], rows)


def write_table(figures: dict) -> str:
    verbs: dict[str, dict[str, int]] = {}
    names = []
    for name, step in _phases(figures):
        names.append(name)
        for verb, count in step["writes"].items():
            verbs.setdefault(verb, {})[name] = count
        for verb, count in step["reads"].items():
            if verb.split()[1].split("/")[0] in ("kafkaconsumers", "deployments", "configmaps", "serviceaccounts",
                                                 "poddisruptionbudgets", "pods"):
                verbs.setdefault(verb, {})[name] = count
    rows = [[verb, *(number(counts.get(name, 0)) for name in names)] for verb, counts in sorted(verbs.items())]
    return table(["request", *names], rows)


def page(results: Path) -> str:
    found = sorted((json.loads(path.read_text()) for path in results.glob("fleets-*.json")), key=lambda each: each["fleets"])
    return "\n".join([HEAD, *map(_section, found)])


def _section(result: dict) -> str:
    machine, figures, wake = result["machine"], result["figures"], result["figures"]["wake"]
    delays = "" if not wake["scaled"] else (
        f"From the record's acknowledgement to the arrival of the scale patch at the API server, {wake['scaled']:,} fleets: "
        f"p50 {wake['p50']:.2f} s, p99 {wake['p99']:.2f} s, worst {wake['worst']:.2f} s.")
    return f"""## {result['fleets']:,} fleets

{result['date']}, Drover at {result['commit']}; {machine['processor']}, {machine['cores']} cores for everything, Linux {machine['kernel']}, load
average {machine['loadBefore']:.1f} before.

{check_table(checks(result))}

{phase_table(figures)}

{write_table(figures)}

{delays}
"""


HEAD = f"""<!-- Written by `make bench-operator`; change tests/bench/operator_bench/page.py instead. -->
# Benchmarks of the controller

`make bench-operator`: a real API server with etcd, without nodes and without Kubernetes' own controllers; a real broker (Kafka 4.1)
with 50 topics of {PARTITIONS} partitions, each of which a fiftieth of the fleets reads. The fleets are in {NAMESPACES} namespaces, begin at zero, and
have a template with one container of the user's. The controller has the rights and the priority that its manifests give it. All
of it, and whoever measures, shares the machine.

Writes are counted from the API server's audit log, by who made them; reads from the API server's metrics, so that the few of others on
the same kinds are among them. CPU and memory are the controller's, from `/proc`; memory is what is resident at the end of the phase.
Questions to Kafka are the controller's own count: one for each group or batch of partitions, whatever librdkafka makes of it.
"""
