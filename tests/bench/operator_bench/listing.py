"""`make bench-cli`: what `drover status`, `lag` and `dlq list` take for all fleets of a cluster at once.

Each fleet has a group that has committed something and not all, and a dead-letter topic of its own with dead letters. No
controller runs: what is timed is the whole command, with its start, against a real API server and a real broker.
"""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from drover_cluster.say import Failure, say

from . import objects
from .api import GROUP, Api
from .cli import ROOT, CLUSTER, cluster, commit, install, kafka_client
from .command_line import TIMES, CommandLine, rows
from .page import number, table
from .programs import Kafka

BEGIN, END = "<!-- bench-cli -->", "<!-- end of bench-cli -->"
# Fleets, and the seconds that a command may take at most with so many.
GOALS = {100: 1.0, 1000: 3.0}
LETTERS_EACH = 10
COMMANDS = ("status", "lag", "dlq list")


def letters_topic(fleet: int) -> str:
    return f"letters-{fleet:05}"


def fleet(number: int, servers: str) -> dict:
    """As the other benchmarks' fleets, with dead letters of its own."""
    made = objects.kafka_consumer(number, servers)
    made["spec"]["delivery"] = {"deadLetter": {"topic": letters_topic(number)}}
    return made


def whole(command: str, said: str, fleets: int) -> bool:
    """Whether the answer tells of all of them."""
    if command == "status":
        return rows(said) == fleets
    needle = " records wait" if command == "lag" else f": {LETTERS_EACH} dead letters"
    return said.count(needle) == fleets


def prepare(api: Api, kafka: Kafka, numbers: range) -> None:
    """Makes these fleets, what they have committed, and their dead letters."""
    kafka.create([letters_topic(each) for each in numbers], 1)
    for each in numbers:
        kafka.dead_letters(letters_topic(each), 1, LETTERS_EACH, objects.topic(each))

    def one(each: int) -> None:
        kafka.commit(objects.group(each), objects.topic(each), objects.PARTITIONS)
        namespace = objects.key(each)[0]
        api.call("POST", f"{GROUP}/namespaces/{namespace}/kafkaconsumers", fleet(each, kafka.servers))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, numbers))


def measure(arguments, folder: Path) -> dict[int, dict[str, dict]]:
    control_plane, broker = folder / "control-plane", folder / "broker"
    try:
        kubeconfig = Path(cluster("control-plane", "up", "--dir", control_plane))
        servers = cluster("broker", "up", "--dir", broker).split()[-1]
        api, kafka = Api(kubeconfig, control_plane / "audit.log"), Kafka(servers)
        for each in range(objects.NAMESPACES):
            api.call("POST", "/api/v1/namespaces", {"metadata": {"name": f"team-{each}"}})
        install(kubeconfig)
        topics = [objects.topic(each) for each in range(objects.TOPICS)]
        kafka.create(topics, objects.PARTITIONS)
        asks = CommandLine(arguments.bin / "drover", kubeconfig)
        found, there = {}, 0
        for fleets in sorted(GOALS):
            say(f"{fleets - there:,} more fleets with dead letters")
            prepare(api, kafka, range(there, fleets))
            there = fleets
            for each in topics:
                kafka.produce(each, objects.PARTITIONS, objects.PARTITIONS)
            found[fleets] = {}
            for command in COMMANDS:
                asked = asks.asked([*command.split(), "-A"], lambda said: whole(command, said, fleets))
                found[fleets][command] = asked
                say(f"drover {command} -A, {fleets:,} fleets: {asked['median']:.2f} s in the median, {asked['worst']:.2f} s at most")
        return found
    finally:
        # A second Ctrl-C would leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.run([CLUSTER, "control-plane", "down", "--dir", control_plane], check=False)
        subprocess.run([CLUSTER, "broker", "down", "--dir", broker], check=False)


def text(found: dict[int, dict[str, dict]], load: float) -> str:
    lines = []
    for fleets, commands in found.items():
        for command, took in commands.items():
            said = "met" if took["worst"] <= GOALS[fleets] else "**not met**"
            lines.append([f"`drover {command} -A`", number(fleets), f"{took['median']:.2f}", f"{took['worst']:.2f}",
                          f"≤ {number(GOALS[fleets])}, {said}"])
    about = (f"One run of `make bench-cli`, {TIMES} times each: every fleet with a topic of {objects.PARTITIONS} partitions and a dead-letter topic of its own with "
             f"{LETTERS_EACH} dead letters, {datetime.date.today().isoformat()}, Drover at {commit()}, {os.cpu_count()} cores, load average {load:.1f} before.")
    return about + "\n\n" + table(["", "fleets", "median, s", "worst, s", "goal, s"], lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="cli", description="Times drover status, lag and dlq list for all fleets at once.")
    parser.add_argument("--bin", type=Path, required=True, help="where cargo has put the programs")
    parser.add_argument("--document", type=Path, help="a Markdown file with the markers of this benchmark")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kafka_client()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as scratch:
        try:
            said = text(measure(arguments, Path(scratch)), load)
        except Failure as failure:
            print(f"cli: {failure}", file=sys.stderr)
            return 1
    print(said)
    if arguments.document:
        before, rest = arguments.document.read_text().split(BEGIN, 1)
        arguments.document.write_text(f"{before}{BEGIN}\n{said}\n{END}{rest.split(END, 1)[1]}")
        say(f"written to {arguments.document}")
    return 0
