"""docs/beside-keda.md. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from .excerpt import CUTS
from .rehearsal import AT_PACE, PAUSE_ON_WALL, SEEDS
from .world import BURST_DEFAULTS, BURST_TUNED, DROVER, ON_TRACES, ROUNDS, World, lag_threshold

ABOUT = {DROVER: "Drover, told the promise and nothing else"} | {keda.name: keda.about for keda in (*ON_TRACES, BURST_TUNED, BURST_DEFAULTS)}
ABOUT_ROUND = {"lag": "lag", "rate": "arrivals and lag"}
NAMES = {DROVER: "Drover", BURST_TUNED.name: "KEDA, for bursts", BURST_DEFAULTS.name: "KEDA, defaults"}


def page(found: dict[str, dict]) -> str:
    parts = [HEAD, _about(found)]
    names = [f"{cut.name}-{round}" for cut in CUTS for round in ROUNDS]
    runs = [found[name] for name in names if name in found]
    if runs:
        parts.append(_settings(runs[0]))
        parts += [_trace(run, World(run["pace"])) for run in runs]
        parts.append(_rankings(runs))
    if "burst" in found or "first" in found:
        parts.append(_zero(found.get("burst"), found.get("first")))
    parts.append(LIMITS)
    return "\n".join(parts)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@dataclass(frozen=True)
class Near:
    """What is not told apart: figures that differ by no more than this share, or by no more than this."""

    share: float
    by: float = 0.0

    def holds(self, low: float, high: float) -> bool:
        return high <= max(low * (1 + self.share), low + self.by) + 1e-9


def ranks(values: dict[str, float], near: Near) -> list[list[str]]:
    """Names from the least to the most; those that are not told apart from the first of a place share it."""
    ordered = sorted(values, key=lambda name: values[name])
    places: list[list[str]] = []
    for name in ordered:
        if places and near.holds(values[places[-1][0]], values[name]):
            places[-1].append(name)
        else:
            places.append([name])
    return places


def agreement(first: dict[str, float], second: dict[str, float], near: Near) -> tuple[int, int]:
    """Of the pairs that both tell apart, how many have the same order in both; and how many pairs that are."""
    same = apart = 0
    names = sorted(first)
    for number, one in enumerate(names):
        for other in names[number + 1:]:
            orders = []
            for values in (first, second):
                low, high = sorted((values[one], values[other]))
                orders.append(0 if near.holds(low, high) else 1 if values[one] < values[other] else -1)
            if all(orders):
                apart += 1
                same += orders[0] == orders[1]
    return same, apart


# What is compared, its figure here and in the simulator, and what is not told apart.
RANKED = (("fewest pods", "pod_seconds", "podHours", Near(0.03)),
          ("least time over the promise", "share_over", "shareOver", Near(0.1, 0.002)),
          ("fewest rebalances", "generations", "rebalances", Near(0.1)))


def _about(found: dict[str, dict]) -> str:
    any_of = next(iter(found.values()), None)
    if not any_of:
        return "Nothing is measured yet: it takes two hours of a machine that does nothing else.\n"
    short = " A short run, to try it: no figures to keep." if any(each.get("quick") for each in found.values()) else ""
    commits = " and ".join(sorted({each["commit"] for each in found.values()}))
    return (f"Measured {any_of['date']}, Drover at {commits}; {any_of['processor']}, {any_of['cores']} cores for everything, "
            f"Linux {any_of['kernel']}.{short}\n")


def _settings(run: dict) -> str:
    its = World()
    rows = [[f"`{DROVER}`", ABOUT[DROVER], f"`minReplicas: 1`, `maxReplicas: {its.partitions}`, `maxDelay`"]]
    for keda in ON_TRACES:
        words = ["a pod's lag " + (f"{keda.lag_seconds:g} s" if keda.lag_seconds else "10 records")]
        if keda.rate_share:
            words.append(f"a pod's arrivals {100 * keda.rate_share:.0f} % over {keda.rate_window:g} s")
        words.append(f"fewer after {keda.down_window:g} s" if keda.down_window else "no `behavior`: fewer after 300 s")
        rows.append([f"`{keda.name}`", ABOUT[keda.name], ", ".join(words)])
    lines = ["| fleet | | settings, seconds of the trace |", "|---|---|---|"] + ["| " + " | ".join(row) + " |" for row in rows]
    return SAME.format(partitions=its.partitions, per_pod=f"{run['perPod']:.1f}", handler=its.handler_ms, start=f"{its.start_up:g}",
                       promise=f"{its.promise:g}", pods=f"{its.busiest_pods:g}", settings="\n".join(lines))


def _trace(run: dict, its: World) -> str:
    figures, simulated = run["figures"], run["simulated"]
    base, sim_base = figures[DROVER]["pod_seconds"], simulated[DROVER]["podHours"]
    rows = []
    for name in figures:
        real, sim = figures[name], simulated[name]
        rows.append([f"`{name}`", f"{real['pod_seconds']:,.0f}", f"×{real['pod_seconds'] / base:.2f}", f"×{sim['podHours'] / sim_base:.2f}",
                     f"{100 * real['share_over']:.2f} %", f"{100 * sim['shareOver']:.2f} %", f"{real['p99']:.1f} s", f"{sim['p99'] / its.pace:.1f} s",
                     f"{real['p50']:.2f} s", f"{real['changes']}", f"{real['generations']}", f"{sim['rebalances']:.0f}", f"{real['peak']}"])
    head = ["", "pod-seconds", "by Drover's", "*simulator*", "over the promise", "*simulator*", "p99", "*simulator*", "p50",
            "changes of size", "generations", "*rebalances, simulator*", "peak"]
    undone = sum(each["undone"] for each in figures.values())
    left = f" {undone} records were not done when it was given up." if undone else ""
    title = f"{run['name']}-{run['round']}"
    thresholds = ", ".join(f"{lag_threshold(keda, run['perPod'] / its.pace)} (`{keda.name}`)" for keda in ROUNDS[run["round"]])
    faster = simulated.get(AT_PACE)
    own = "" if not faster else (
        f"\nDrover in the simulator at this pace, its own times not faster: ×{faster['podHours'] / sim_base:.2f} of the pods that it takes at the "
        f"trace's, {100 * faster['shareOver']:.2f} % over the promise, {faster['rebalances']:.0f} rebalances.\n")
    return f"""## {run['name']}, beside KEDA on {ABOUT_ROUND[run['round']]}

{run['about'][:1].upper() + run['about'][1:]} (`{run['trace']}`, {run['lasts'] / 60:.0f} minutes from {run['begins'] / 3600:.2f} h on, before them
{run['lead'] / 60:.0f} minutes of rise from nothing), {its.pace:g} times as fast: {figures[DROVER]['records']:,} records in {run['seconds'] / 60:.0f} minutes. So the promise is {its.passes(its.promise):g} s, pods
take {its.passes(its.start_up):g} s to start ({run['startUp']:.1f} s until ready, in the median), the HPA looks each {its.passes(15):g} s, and `lagThreshold` is
{thresholds}. The machine was {100 * run['busy']:.0f} % busy, {100 * run['mostBusy']:.0f} % in its busiest ten seconds.{left}

![{title}](images/keda-{title}.svg)

{table(head, rows)}
{own}"""


def _rankings(runs: list[dict]) -> str:
    rows, kept, told = [], 0, 0
    for run in runs:
        for what, real_key, sim_key, near in RANKED:
            real = {name: each[real_key] for name, each in run["figures"].items()}
            sim = {name: run["simulated"][name][sim_key] for name in real}
            same, apart = agreement(real, sim, near)
            kept, told = kept + same, told + apart
            rows.append([f"{run['name']}-{run['round']}", what, _order(real, near), _order(sim, near), f"{same} of {apart}"])
    lines = ["| load | | here | in the simulator | pairs in the same order |", "|---|---|---|---|--:|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return f"""## The same ranking?

The fleets from best to worst, here and in the simulator; `=` where they differ by no more than 3 per cent of the pods, 0.2 per cent of the time, a
tenth of the rebalances. Of {told} pairs that both tell apart, {kept} have the same order in both.

""" + "\n".join(lines) + "\n"


def _order(values: dict[str, float], near: Near) -> str:
    return ", ".join(" = ".join(f"`{name}`" for name in place) for place in ranks(values, near))


def _zero(burst: dict | None, first: dict | None) -> str:
    parts = ["## From zero\n", ZERO]
    if burst:
        rows = []
        for name, each in burst["fleets"].items():
            rows.append([NAMES[name], f"{each['first']:.1f} s", f"{each['last']:.1f} s", f"{each['zero']:.0f} s", str(each["changes"]),
                         str(each["generations"]), f"{each['pod_seconds']:,.0f}", str(each["peak"])])
        head = ["", "first record done", "last record done", "back at zero", "changes of size", "generations", "pod-seconds", "peak"]
        parts.append(f"{burst['records']:,} records of 5 ms at once, 12 partitions, one record at a time in a pod; each fleet alone:\n\n"
                     + table(head, rows) + "\n")
    if first:
        rows = [[NAMES[name], f"{statistics.median(times):.2f} s", f"{min(times):.2f} s", f"{max(times):.2f} s"]
                for name, times in first["fleets"].items()]
        count = len(next(iter(first["fleets"].values())))
        parts.append(f"One record after a rest at zero, {count} times, from its time to the commit that covers it:\n\n"
                     + table(["", "median", "least", "most"], rows) + "\n")
    return "\n".join(parts)


HEAD = """<!-- Written by `make bench-keda`; change tests/bench/keda_bench/page.py instead. -->
# Beside real KEDA

`make bench-keda` runs Drover and KEDA 2.21 with the HorizontalPodAutoscaler of Kubernetes 1.35 beside each other, on one real cluster with a
real broker (Kafka 4.1), at the same time on the same records: Drover and two fleets of KEDA's in each run. [The simulator](simulate.md)
says what to expect over days and with many loads; this says whether the real ones do so.
"""

SAME = """## What is the same, and what is set

* Each run has one topic of {partitions} partitions, whose shares of the load differ (log-normal, sigma 0.25); each fleet reads all
  of it with a group of its own.
* A pod does one record at a time, {handler} ms each. KEDA scales a consumer program, [examples/own_consumer](../examples/own_consumer/main.rs), which
  commits after each record and does {per_pod} a second (measured first, with one pod: KEDA's tuned settings are told so). Drover runs its own worker,
  `concurrency: 1`, before a handler that takes as long, commits each second, and finds out by itself what a pod does.
* The load is such that its busiest five minutes need {pods} pods. The promise is {promise} s, a pod takes {start} s to start, KEDA polls each 30 s, the HPA looks each
  15 s: all of these, and KEDA's settings, pass as many times faster as the trace does. Drover's own times cannot be set: it looks back over minutes of
  the real clock, so of several times as much of the trace, which costs it pods after bursts. What that costs is told with each load.
* KEDA's tuned settings are those that `make tune-keda` found for the promise over all loads of [tests/traces](../tests/traces/README.md); the one in
  hindsight is the best of a search on these two loads in the simulator, which nobody can make beforehand. All are told exactly what a pod does. The
  rate is answered by whoever produces, without delay.
* Delay is told by nobody: whoever measures has each record's time and reads every commit from the broker's own topic. *Over the promise* is the time
  in which the oldest record of any partition that was not committed had waited for longer. Pod-seconds count from a pod's being there to its being
  gone.

{settings}
"""

ZERO = """Nothing is compressed here, and pods begin as soon as they can. Drover: `minReplicas: 0`, `maxDelay: 30s`, `idleTimeToZero: 30s`. KEDA for bursts:
`pollingInterval: 1`, `cooldownPeriod: 30`, and a `behavior` that lets the HPA order all pods at once. KEDA with its defaults polls each 30 s and keeps
all pods for 300 s. A record is done once it is committed: Drover's workers commit each second, the consumer that KEDA scales after each record.
"""

LIMITS = f"""## What to make of it

* One run of each load, on one small machine that carries everything: figures differ from run to run by some per cent, and nobody should choose by
  less.
* The consumers' group protocol has times of its own (a heartbeat each 3 s) that no pace changes, so a rebalance costs as many times more here as the
  trace is faster. The simulator is told so: partitions that move rest for {PAUSE_ON_WALL:g} s of this clock there. All fleets pay
  it; who changes the size more often, more often.
* The simulator replays the same rates at the trace's own pace, {SEEDS} seeds, with the same partitions, bounds, start-up and speed of pods; its times are divided by
  the pace. It counts a rebalance for changes of members within one pause; a broker counts generations, of which one change with cooperative sharing
  takes two or more.
* Parts of two loads. Look at [more loads](scaling.md#beside-keda-in-a-simulator), and rehearse your own.
"""
