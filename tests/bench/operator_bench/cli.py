"""Runs everything, writes JSON and the page, and says what was missed."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from drover_cluster import packages
from drover_cluster.say import Failure, say

from . import keda, objects, page
from .api import Api, Fleets
from .command_line import CommandLine
from .phases import Bench, Plan
from .programs import Controller, Kafka

ROOT = Path(__file__).resolve().parents[3]
CLUSTER = ROOT / "tests" / "cluster" / "cluster"


def main() -> int:
    parser = argparse.ArgumentParser(prog="operator", description="Measures the controller with many fleets: a real API "
                                     "server without nodes, a real broker.")
    parser.add_argument("--bin", type=Path, help="where cargo has put the programs")
    parser.add_argument("--keda", action="store_true", help="measure real KEDA instead, with as many ScaledObjects; builds it the first time")
    parser.add_argument("--fleets", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1, help="in which they are created")
    parser.add_argument("--rest", type=float, default=60, help="seconds to look at them at rest")
    parser.add_argument("--broker", type=str, help="bootstrap servers of a broker that runs, instead of one of its own")
    parser.add_argument("--folder", type=Path, help="where to leave logs; default: nowhere")
    parser.add_argument("--results", type=Path, default=ROOT / "target" / "bench" / "operator",
                        help="where what is measured is kept, and what was before (%(default)s; the page's are in tests/bench/operator_results)")
    parser.add_argument("--page", type=Path, help="the page to write from all results")
    parser.add_argument("--draw", action="store_true", help="measure nothing: the page from what was measured before")
    arguments = parser.parse_args()
    if arguments.draw:
        return _draw(arguments)
    if not (arguments.bin or arguments.keda):
        parser.error("--bin is missing")
    if not (arguments.fleets % arguments.steps == 0):
        parser.error("--steps must divide --fleets")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kafka_client()
    machine = {"processor": _processor(), "cores": os.cpu_count(), "kernel": platform.release(), "loadBefore": os.getloadavg()[0]}
    plan = Plan(arguments.fleets, arguments.steps, rest_seconds=arguments.rest)
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            figures = _measure(arguments, plan, folder)
        except Failure as failure:
            print(f"operator: {failure}", file=sys.stderr)
            return 1
    result = {
        "date": datetime.date.today().isoformat(), "commit": commit(), "machine": machine,
        "fleets": plan.fleets, "steps": plan.steps, "restSeconds": plan.rest_seconds, "figures": figures}
    found = []
    if arguments.keda:
        result["versions"] = keda.versions()
        _keep(arguments.results, page.KEDA, result)
        print(page.beside_table(page.kept(arguments.results, page.DROVER).get(plan.fleets), result))
    else:
        found = page.checks(result)
        result["checks"] = [check.as_json() for check in found]
        _keep(arguments.results, page.DROVER, result)
        print(page.check_table(found), page.phase_table(figures), page.write_table(figures),
              page.command_table(figures["commandLine"]), sep="\n\n")
    _draw(arguments)
    missed = [check.what for check in found if not check.holds(check.required)]
    for what in missed:
        print(f"required and not met: {what}", file=sys.stderr)
    return 1 if missed else 0


def _draw(arguments) -> int:
    if arguments.page:
        arguments.page.write_text(page.page(arguments.results))
        say(f"written to {arguments.page}")
    return 0


def _keep(results: Path, whose: str, result: dict):
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{whose}-{result['fleets']}.json").write_text(json.dumps(result, indent=2) + "\n")


def _measure(arguments, plan: Plan, folder: Path) -> dict:
    control_plane, broker = folder / "control-plane", folder / "broker"
    controller = None
    try:
        kubeconfig = keda.up(control_plane) if arguments.keda else Path(cluster("control-plane", "up", "--dir", control_plane))
        servers = arguments.broker or cluster("broker", "up", "--dir", broker).split()[-1]
        api = Api(kubeconfig, control_plane / "audit.log")
        for number in range(objects.NAMESPACES):
            api.call("POST", "/api/v1/namespaces", {"metadata": {"name": f"team-{number}"}})
        kafka = Kafka(servers)
        kafka.create([objects.topic(number) for number in range(objects.TOPICS)] + [objects.LETTERS_TOPIC], objects.PARTITIONS)
        # A broker that never had a group makes the topic of offsets first, which is not what is measured.
        kafka.commit("warm-up", "topic-00", objects.PARTITIONS)
        if arguments.keda:
            scaled = Fleets(api, keda.SCALED_OBJECTS)
            scaled.start()
            return keda.KedaBench(plan, api, kafka, keda.running(control_plane), scaled).all()
        kafka.dead_letters(objects.LETTERS_TOPIC, objects.PARTITIONS, objects.LETTERS, objects.topic(objects.WITH_LETTERS))
        install(kubeconfig)
        controller = Controller(arguments.bin / "drover-controller",
                                api.controllers_kubeconfig(folder / "controller.json"), _free_port(), folder / "controller.log")
        fleets = Fleets(api)
        fleets.start()
        return Bench(plan, api, kafka, controller, fleets, CommandLine(arguments.bin / "drover", kubeconfig)).all()
    finally:
        # A second Ctrl-C would leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if controller:
            controller.stop()
        subprocess.run([CLUSTER, "control-plane", "down", "--dir", control_plane], check=False)
        if not arguments.broker:
            subprocess.run([CLUSTER, "broker", "down", "--dir", broker], check=False)


def install(kubeconfig: Path):
    """What a user applies. The Deployment of the controller is one that nobody runs here."""
    kubectl = cluster("program", "kubectl")
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    for options in (["--server-side", "-f", ROOT / "crds"], ["-f", ROOT / "deploy" / "controller.yaml"]):
        subprocess.run([kubectl, "apply", *options], env=environment, check=True, stdout=subprocess.DEVNULL)
    wait = ["wait", "--for=condition=Established", "crd/kafkaconsumers.drover.dev", "--timeout=60s"]
    subprocess.run([kubectl, *wait], env=environment, check=True, stdout=subprocess.DEVNULL)


def cluster(*arguments) -> str:
    return subprocess.run([CLUSTER, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def kafka_client():
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        packages.install({"python3-confluent-kafka"})


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit() -> str:
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() or "an unknown commit"
