"""Runs everything, writes JSON and the page, and says what was missed."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from drover_cluster.say import say

from . import page
from .measure import FULL, QUICK, Bench
from .programs import OTHER_CORE, Programs

ROOT = Path(__file__).resolve().parents[3]
CLUSTER = ROOT / "tests" / "cluster" / "cluster"


def main() -> int:
    parser = argparse.ArgumentParser(prog="worker", description="Compares drover-worker with other consumers on a real broker.")
    parser.add_argument("--release-dir", type=Path, required=True, help="where cargo has put the programs")
    parser.add_argument("--quick", action="store_true", help="fewer records and runs, for trying; writes no page")
    parser.add_argument("--only", help="one question: at_rest, latency, slots, backlog, parallel_consumer, commit_each or "
                                       "a way (tcp, socket, batch); writes nothing")
    parser.add_argument("--json", type=Path, default=ROOT / "target" / "bench" / "worker.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    arguments = parser.parse_args()
    machine = {
        "processor": _processor(), "cores": os.cpu_count(), "kernel": platform.release(), "loadBefore": os.getloadavg()[0]}
    # Whoever measures, and the broker below, keep off the consumer's core.
    os.sched_setaffinity(0, {OTHER_CORE})
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as scratch:
        folder = Path(scratch) / "broker"
        try:
            up = subprocess.run([CLUSTER, "broker", "up", "--dir", folder], stdout=subprocess.PIPE, text=True, check=True)
            plan = QUICK if arguments.quick else FULL
            bench = Bench(plan, Programs(arguments.release_dir), up.stdout.split()[-1], Path(scratch))
            if arguments.only:
                print(json.dumps(_one(bench, arguments.only), indent=2))
                return 0
            figures = bench.all()
        finally:
            subprocess.run([CLUSTER, "broker", "down", "--dir", folder], check=False)
    found = page.checks(figures)
    result = {
        "date": datetime.date.today().isoformat(), "commit": _commit(), "machine": machine, "quick": arguments.quick,
        "pairs": plan.pairs, "figures": figures, "checks": [check.as_json() for check in found]}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    text = page.page(result)
    arguments.json.with_suffix(".md").write_text(text)
    if not arguments.quick:
        arguments.page.write_text(text)
    print(page.check_table(found), page.consumer_table(figures), sep="\n\n")
    say(f"all of it is in {arguments.json}" + ("" if arguments.quick else f" and {arguments.page}"))
    missed = [check.what for check in found if not check.holds(check.required)]
    for what in missed:
        print(f"required and not met: {what}", file=sys.stderr)
    return 1 if missed else 0


def _one(bench: Bench, name: str):
    from .measure import WAYS

    ways = dict(zip(("tcp", "socket", "batch"), WAYS))
    if name not in ("at_rest", "latency", "backlog"):
        bench.fill(bench.topic, 12, max(bench.plan.records.values()))
    return bench.pair(ways[name]) if name in ways else getattr(bench, name)()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _commit() -> str:
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() or "an unknown commit"
