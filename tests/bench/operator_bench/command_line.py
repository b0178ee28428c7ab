"""How long the program `drover` takes to answer: the whole command, with its start."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path

from .objects import LETTERS, PARTITIONS, WITH_LETTERS, topic

TIMES = 5


def rows(status: str) -> int:
    """Of the table of `drover status -A`; what is not well is told once more below it."""
    return sum("".join(line.split()[1:2]).startswith("fleet-") for line in status.splitlines())


class CommandLine:
    def __init__(self, program: Path, kubeconfig: Path):
        self.program = program
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def all(self, namespace: str, name: str, fleets: int) -> dict[str, dict]:
        """Each command by its name; `fleets` are there, of which one is asked more about."""
        one = ["-n", namespace, name]
        return {
            "status": self.asked(["status", "-A"], lambda said: rows(said) == fleets),
            "lag": self.asked(["lag", *one], lambda said: said.count(topic(WITH_LETTERS)) >= PARTITIONS),
            "dlqList": self.asked(["dlq", "list", *one], lambda said: said.startswith(f"{LETTERS:,} dead letters")),
        }

    def asked(self, command: list[str], whole) -> dict:
        """Some times; fails where the answer is not `whole`."""
        seconds = []
        for _ in range(TIMES):
            began = time.monotonic()
            done = subprocess.run([self.program, *command], env=self.environment, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            seconds.append(time.monotonic() - began)
            if done.returncode != 0 or not whole(done.stdout):
                raise SystemExit(f"drover {' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return {"seconds": seconds, "median": statistics.median(seconds), "worst": max(seconds)}
