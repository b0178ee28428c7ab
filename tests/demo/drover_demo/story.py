"""The acts: idle at zero, a burst, a roll-out in the middle of it, the drain, zero again."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import Callable

from . import stage
from .screen import Screen, bar
from .shell import Failure
from .world import World

ROLL_AT = 0.4  # share of the records that are handled when the fleet is rolled
IDLE_DEADLINE = 120.0
WORK_DEADLINE = 300.0
ZERO_DEADLINE = 300.0


@dataclass
class Outcome:
    produced: int
    produced_at: str  # when the first record was handed to the producer
    produce_seconds: float
    witness: dict = field(default_factory=dict)
    scale_changes: int = 0
    generations: int = 0
    pod_seconds: float = 0.0
    pods: int = 0
    rolled: bool = False
    seconds_to_zero: float | None = None  # from the first record


def tell(world: World, the_stage: stage.Stage, screen: Screen, asked: argparse.Namespace) -> Outcome:
    screen.chapter("Idle at zero")
    _wait(world, screen, asked, "the fleet idles at zero, its lag known", IDLE_DEADLINE, lambda: _idle(world))
    for _ in range(3):
        _show(world, screen, asked.records)
        time.sleep(1)

    screen.chapter(f"{asked.records:,} records of {asked.keys:,} keys arrive at once")
    screen.restart_clock()
    began = len(world.scale_changes)
    produced = produce(the_stage, asked)
    outcome = Outcome(produced["produced"], produced["startedAt"], produced["seconds"])
    screen.happening("produced", f"{outcome.produced:,} records in {outcome.produce_seconds:.1f} s", "green")
    if not asked.no_restart:
        share = f"{ROLL_AT:.0%} are handled"
        _wait(world, screen, asked, share, WORK_DEADLINE, lambda: world.handled() >= ROLL_AT * asked.records)
        screen.happening("roll-out", f"kubectl rollout restart deployment/{stage.NAME}", "green")
        the_stage.kubectl("-n", stage.NAMESPACE, "rollout", "restart", f"deployment/{stage.NAME}")
        outcome.rolled = True
    _wait(world, screen, asked, "all are handled", WORK_DEADLINE, lambda: world.handled() >= asked.records, must=False)

    screen.chapter("Nothing left to do")
    zero = _wait(world, screen, asked, "the fleet is back at zero", ZERO_DEADLINE,
                 lambda: world.size == 0 and not world.pods, must=False)
    outcome.seconds_to_zero = screen.seconds() if zero else None
    # Only now, with no pod left that could deliver anything.
    outcome.witness = world.look_at_witness()
    outcome.scale_changes = len(world.scale_changes) - began
    outcome.generations = world.generations_with_members()
    outcome.pod_seconds = world.pod_seconds()
    outcome.pods = len(world.pod_lives)
    return outcome


def _idle(world: World) -> bool:
    return world.size == 0 and not world.pods and world.status.get("lag") == 0 and "handled" in world.witness


def produce(the_stage: stage.Stage, asked: argparse.Namespace) -> dict:
    command = [str(the_stage.binaries / "drover"), "produce", "--topic", stage.TOPIC, "--count", str(asked.records),
               "--keys", str(asked.keys), "--output", "json"]
    done = subprocess.run(command, env=the_stage.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failure(f"drover produce failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _wait(world: World, screen: Screen, asked: argparse.Namespace, what: str, patience: float,
          done: Callable[[], bool], must: bool = True) -> bool:
    """Shows the world once a second until `done`; after `patience` gives up, with a Failure where it `must` be."""
    deadline = time.monotonic() + patience
    drawn = 0.0
    while not done():
        now = time.monotonic()
        if now > deadline:
            if must:
                raise Failure(f"waited {patience:.0f} s in vain until {what}")
            screen.happening("gave up", f"waited {patience:.0f} s in vain until {what}", "red")
            return False
        if now - drawn >= 1:
            drawn = now
            _show(world, screen, asked.records)
        time.sleep(0.05)
    return True


def _show(world: World, screen: Screen, records: int) -> None:
    status = world.status
    handled = world.handled()
    wanted = (status.get("scaling") or {}).get("wanted", "?")
    lag = f"{status['lag']:,}" if "lag" in status else "unknown"
    parts = [
        f"pods {world.ready_pods():>2} ready of {len(world.pods):>2}, {wanted:>2} wanted",
        f"lag {lag:>6}",
        f"delay {status.get('delay', '?'):>4}",
        f"handled {handled:>6,} {bar(handled / records, 16)} {world.rate():>5,.0f}/s",
        f"generation {world.generation() if world.generations else '-'}",
    ]
    screen.status("  ".join(parts))
