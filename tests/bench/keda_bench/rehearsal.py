"""The same load in `drover simulate`: what it says of the same fleets, at the trace's own pace."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
from pathlib import Path

from .excerpt import Excerpt
from .world import DROVER, ON_TRACES, World, simulated

SEEDS = 5
# Partitions that move rest until members of the group have noticed, at their next heartbeat, twice: about two seconds,
# which no pace makes shorter.
PAUSE_ON_WALL = 2.0
# Settings that are tried for KEDA in hindsight.
GRID = {"rate": (0.6, 0.7, 0.8), "lag": (1, 2, 3, 4, 7), "window": (30, 60, 120), "down": (60, 120, 300)}
FIGURES = ("podHours", "shareOver", "p50", "p99", "rebalances", "peak")


AT_PACE = "drover-at-pace"  # Drover alone in the trace as fast as it was played, its own windows as they are


def rehearse(drover: Path, folder: Path, name: str, load: Excerpt, its: World, per_pod: float) -> dict[str, dict[str, float]]:
    """By fleet, the means of several seeds; seconds of the trace."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {simulated(keda)[0]: keda.name for keda in ON_TRACES} | {DROVER: DROVER}
    policies = [f"--policy={DROVER}", *(simulated(keda)[1] for keda in ON_TRACES)]
    found = _mean(drover, folder / f"{name}.csv", load, its, per_pod, 1, policies)
    faster = _mean(drover, folder / f"{name}-at-pace.csv", load.faster(its.pace), its, per_pod, its.pace, policies[:1])
    told = {names[policy]: figures for policy, figures in found.items()}
    told[AT_PACE] = faster[DROVER] | {figure: faster[DROVER][figure] * its.pace for figure in ("podHours", "p50", "p99")}
    return told


def tune(drover: Path, folder: Path, loads: list[tuple[str, Excerpt, World]], per_pod: float) -> list[tuple[float, float, str]]:
    """All settings of the grid, those that break no promise on these loads before the others, the fewest pods first.

    Each with its pods by Drover's, the worst load's share of the time over the promise, and its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tried = [",".join(f"{name}={value}" for name, value in zip(GRID, values)) for values in itertools.product(*GRID.values())]
    pods: dict[str, list[float]] = {}
    over: dict[str, list[float]] = {}
    for name, load, its in loads:
        policies = [f"--policy={DROVER}", *(f"--keda={each}" for each in tried)]
        found = _mean(drover, folder / f"{name}.csv", load, its, per_pod, 1, policies)
        for policy, figures in found.items():
            pods.setdefault(policy, []).append(figures["podHours"] / found[DROVER]["podHours"])
            over.setdefault(policy, []).append(figures["shareOver"])
    rows = [(statistics.mean(pods[policy]), max(over[policy]), policy) for policy in pods]
    return sorted(rows, key=lambda row: (row[1] > 0, row[0]))


def options(its: World, per_pod: float, pace: float) -> list[str]:
    """The world that was played in, with a clock that runs `pace` times as fast as the trace's."""
    def span(seconds: float) -> str:
        return f"{round(1000 * seconds)}ms"
    return ["--max-delay", span(its.promise / pace), "--partitions", str(its.partitions), "--per-pod", f"{per_pod * pace / its.pace:.4g}",
            "--min", "1", "--max", str(its.partitions), "--start-up", span(its.start_up / pace),
            "--pause", span(PAUSE_ON_WALL * its.pace / pace), "--commit-every", "1s", "--skew", f"{its.skew:g}", "--pod-spread", "0"]


def _mean(drover: Path, trace: Path, load: Excerpt, its: World, per_pod: float, pace: float, policies: list[str]) -> dict[str, dict[str, float]]:
    trace.write_text(load.csv(f"{trace.stem}, as make bench-keda played it"), encoding="utf-8")
    seen: dict[str, list[dict]] = {}
    for seed in range(1, SEEDS + 1):
        command = [str(drover), "simulate", "--trace", str(trace), *policies, "--seed", str(seed), "--format", "json"]
        done = subprocess.run(command + options(its, per_pod, pace), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"drover simulate failed: {done.stderr.strip()}")
        for run in json.loads(done.stdout)["runs"]:
            seen.setdefault(run["policy"], []).append(run["figures"])
    return {policy: {figure: statistics.mean(each[figure] for each in runs) for figure in FIGURES} for policy, runs in seen.items()}
