"""What was measured against what is wanted, and the page that says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .command_line import TIMES
from .objects import FEW, LETTERS, NAMESPACES, PARTITIONS

# The longest time between two readings of a fleet at rest, with what reads it: see src/lag/sleepers.rs.
SAMPLING_SECONDS = 1.5
PHASES = [("create", "created"), ("settle", "coming to rest"), ("rest", "at rest"), ("change", "100 changed"),
          ("restart", "controller restarted"), ("restAgain", "at rest after that"), ("wake", "woken by records"),
          ("deleteMost", f"all but {FEW} deleted"), ("delete", "deleted")]
# Each command's answer, and what it may take at most with so many fleets, in seconds.
COMMANDS = {"status": "`drover status -A`", "lag": "`drover lag NAME`", "dlqList": "`drover dlq list NAME`"}
STATUS_GOALS = {FEW: 1, 1000: 3}
ONE_FLEETS_GOAL = 1
# What files of results are called, before the number of fleets.
DROVER, KEDA = "fleets", "keda"


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
    for asked in figures.get("commandLine", []):
        for command, took in asked["commands"].items():
            if goal := command_goal(command, asked["fleets"]):
                found.append(Check(f"{COMMANDS[command]}, worst of {TIMES}, {asked['fleets']:,} fleets", took["worst"], "s", None, goal))
    return found


def command_goal(command: str, fleets: int) -> float | None:
    return STATUS_GOALS.get(fleets) if command == "status" else ONE_FLEETS_GOAL


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
        if key not in figures:
            continue
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


def command_table(asked: list[dict]) -> str:
    rows = []
    for each in asked:
        for command, took in each["commands"].items():
            goal = command_goal(command, each["fleets"])
            rows.append([COMMANDS[command], number(each["fleets"]), f"{took['median']:.2f}", f"{took['worst']:.2f}",
                         "" if goal is None else f"≤ {number(goal)}"])
    return table(["", "fleets", "median, s", "worst, s", "goal, s"], rows)


def beside_table(drover: dict | None, keda: dict) -> str:
    """KEDA's figures with Drover's beside them; `drover` is None where nothing is known of as many fleets."""
    figures, own = keda["figures"], drover and drover["figures"]
    created, settled, rest = figures["create"], figures["settle"], figures["rest"]

    def both(phase: dict, what: str) -> float:
        return phase["operator"][what] + phase["adapter"][what]

    def drovers(figure) -> str:
        # Nothing where it was not measured, or not kept.
        found = figure(own) if own else None
        return "" if found is None else number(found)

    def line(name: str, of_drover, what: str, *phases: dict) -> list[str]:
        def of(program: str) -> str:
            return number(sum(phase[program][what] for phase in phases))
        return [name, drovers(of_drover), number(sum(both(phase, what) for phase in phases)),
                of("operator"), of("adapter"), of("hpa")]

    def steps(what: str):
        return lambda its: sum(step[what] for step in its["create"])

    def at_rest(what: str):
        return lambda its: its["rest"].get(what)

    rows = [
        ["seconds from the first created to all reconciled", drovers(steps("reconciledSeconds")),
         number(created["readySeconds"]), "", "", ""],
        line("writes in that time", steps("otherWrites"), "otherWrites", created),
        line("writes until nobody writes", lambda its: steps("otherWrites")(its) + its["settle"]["otherWrites"], "otherWrites", created, settled),
        line("CPU-seconds until all are reconciled", steps("cpuSeconds"), "cpuSeconds", created),
        line("share of a core at rest, %", at_rest("cpuPercent"), "cpuPercent", rest),
        line("writes at rest", at_rest("otherWrites"), "otherWrites", rest),
        line("memory at rest, MiB", at_rest("memoryMiB"), "memoryMiB", rest),
        line("most memory until then, MiB", at_rest("peakMiB"), "peakMiB", rest),
        line("connections to the broker at rest", at_rest("kafkaConnections"), "kafkaConnections", rest),
    ]
    return table(["", "Drover", "KEDA", "of that its operator", "its metrics adapter", "the HPA's controller, beside it"], rows)


def kept(results: Path, whose: str) -> dict[int, dict]:
    """What was measured, by the number of fleets, the least first."""
    found = [json.loads(path.read_text()) for path in results.glob(f"{whose}-*.json")]
    return {each["fleets"]: each for each in sorted(found, key=lambda each: each["fleets"])}


def page(results: Path) -> str:
    drover, keda = kept(results, DROVER), kept(results, KEDA)
    parts = [HEAD, *map(_section, drover.values())]
    if keda:
        parts += [BESIDE, *(_beside(drover.get(fleets), each) for fleets, each in keda.items())]
    return "\n".join(parts)


def _section(result: dict) -> str:
    figures, wake = result["figures"], result["figures"]["wake"]
    delays = "" if not wake["scaled"] else (
        f"From the record's acknowledgement to the arrival of the scale patch at the API server, {wake['scaled']:,} fleets: "
        f"p50 {wake['p50']:.2f} s, p99 {wake['p99']:.2f} s, worst {wake['worst']:.2f} s.")
    return f"""## {result['fleets']:,} fleets

{result['date']}, Drover at {result['commit']}; {_machine(result['machine'])}

{check_table(checks(result))}

{phase_table(figures)}

{write_table(figures)}

{delays}
{_commands(figures.get("commandLine"))}"""


def _hardware(result: dict) -> tuple:
    return result["machine"]["processor"], result["machine"]["cores"]


def _machine(machine: dict) -> str:
    return (f"{machine['processor']}, {machine['cores']} cores for everything, Linux {machine['kernel']}, load\n"
            f"average {machine['loadBefore']:.1f} before.")


def _commands(asked: list[dict] | None) -> str:
    if not asked:
        return ""
    return f"""
The command line, each command {TIMES} times, with its start; the fleet named has a record waiting in each of its {PARTITIONS} partitions, and {LETTERS:,}
dead letters:

{command_table(asked)}
"""


def _beside(drover: dict | None, keda: dict) -> str:
    figures, versions = keda["figures"], keda["versions"]
    settled, rest = figures["settle"], figures["rest"]
    of_drover = f"Drover at {drover['commit']}, {drover['date']}, as above" if drover else "of Drover nothing is measured with as many fleets"
    notes = []
    if drover and _hardware(drover) != _hardware(keda):
        notes.append("**Not measured on the same machine as Drover:** measure both on one before comparing times and CPU.")
    if settled["cameToRest"]:
        notes.append(f"Nobody wrote anything from {settled['quietAfterSeconds']:.0f} s after the last one was ready.")
    else:
        notes.append(f"KEDA, or the HPA, still wrote {settled['phaseSeconds']:.0f} s after the last one was ready; so it did when it was taken to be at rest.")
    if rest["notReady"]:
        notes.append(f"At the end {rest['notReady']:,} of them were not ready any more.")
    return f"""### {keda['fleets']:,}

KEDA {versions['keda']} and the HPA of Kubernetes {versions['kubernetes']}, {keda['date']}; {of_drover}. {_machine(keda['machine'])}

{beside_table(drover, keda)}

{' '.join(notes)}
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

BESIDE = f"""## Beside KEDA

`make bench-operator KEDA=1`: on the same kind of control plane, with a broker with the same topics, real KEDA with as many ScaledObjects,
each of one `kafka` trigger beside a Deployment at zero; the topics are empty. Operator and metrics adapter have their defaults (20
requests a second to the API server, five ScaledObjects at a time, each one's offsets read every 30 s) and the priority that the API
server gives any service account. Of Kubernetes' own controllers the HPA's runs, to which KEDA leaves the sizes above one; Drover
needs none. KEDA's webhook does not run.

Reconciled is, for Drover, that all of a fleet is made, its Deployment and three more objects, and its condition Ready is true. For KEDA
it is that the ScaledObject's condition Ready is true: its HPA is made; the Deployments were there before. Drover reads the offsets of a
fleet at rest at least every {SAMPLING_SECONDS:g} s. Writes are without those of Leases.
"""
