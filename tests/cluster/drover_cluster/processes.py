"""Starts a program for good, remembers it by a pid file, and stops it by that pid.

DIR/run/NAME.json holds how NAME is started, so that it can be stopped and started again by hand. DIR/run/NAME.pid
holds its pid, start time and program; a pid that the system has given to another process since is never touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from .say import Failure, tail

# Every process of a cluster carries its folder in this variable: how `members` finds what no pid file names.
MARK = "DROVER_CLUSTER_MEMBER"


@dataclass(frozen=True)
class Process:
    """A line of the process table, by which a process is told from a later one with the same pid."""

    pid: int
    start: int  # in clock ticks since boot
    program: str  # base name of the first argument


def inspect(pid: int, proc: Path = Path("/proc")) -> Process | None:
    """The living process of this pid. None where there is none or only its exit code is left."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
        arguments = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2:].split()  # the name before it may hold spaces and brackets
    if fields[0] in "ZX":
        return None
    return Process(pid, int(fields[19]), os.path.basename(arguments[0].decode("utf-8", "replace")))


def running(folder: Path, name: str, proc: Path = Path("/proc")) -> Process | None:
    """The process that NAME's pid file means, if it still is the one that was started."""
    try:
        pid, start, program = (folder / "run" / f"{name}.pid").read_text().split("\n")[:3]
        found = inspect(int(pid), proc)
    except (OSError, ValueError):
        return None
    return found if found == Process(int(pid), int(start), program) else None


def names(folder: Path) -> list[str]:
    """All that was ever started in this folder, running or not."""
    return sorted(path.stem for path in (folder / "run").glob("*.json"))


def start(folder: Path, name: str, command: list[str], environment: dict[str, str] | None = None) -> int:
    """Starts the command in a session of its own, its output in DIR/logs/NAME.log; returns the pid."""
    for part in ("run", "logs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    recipe = {"command": command, "environment": environment or {}}
    (folder / "run" / f"{name}.json").write_text(json.dumps(recipe, indent=1) + "\n")
    return start_again(folder, name)


def start_again(folder: Path, name: str) -> int:
    """Starts NAME as it was started before. Does nothing where it is running."""
    found = running(folder, name)
    if found:
        return found.pid
    recipe = json.loads((folder / "run" / f"{name}.json").read_text())
    environment = {**os.environ, **recipe["environment"], MARK: str(folder)}
    with open(folder / "logs" / f"{name}.log", "ab") as log:
        child = subprocess.Popen(
            recipe["command"], cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True)
    _CHILDREN[child.pid] = child
    # nsenter becomes the program it was asked to start, so the name may change once, right after the start.
    program = _program(recipe["command"])
    _wait(lambda: _named(child.pid, program) or child.poll() is not None, seconds=5)
    found = _named(child.pid, program)
    if not found:
        raise Failure(f"{name} ended at once:\n{tail(str(folder / 'logs' / f'{name}.log'))}")
    (folder / "run" / f"{name}.pid").write_text(f"{found.pid}\n{found.start}\n{found.program}\n")
    return child.pid


def stop(folder: Path, name: str, patience: float = 20, hard: bool = False) -> None:
    """Ends NAME with SIGTERM, after `patience` seconds with SIGKILL, and waits until it is gone."""
    found = running(folder, name)
    if found:
        end([found], patience, hard)
    (folder / "run" / f"{name}.pid").unlink(missing_ok=True)


def end(processes: list[Process], patience: float, hard: bool = False) -> None:
    """Ends these processes together and waits until all are gone."""
    for sign, seconds in ((signal.SIGKILL, 30.0),) if hard else ((signal.SIGTERM, patience), (signal.SIGKILL, 30.0)):
        for process in processes:
            if inspect(process.pid) == process:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, sign)
        if _wait(lambda: not any(_alive(process) for process in processes), seconds):
            return
    left = ", ".join(f"{process.pid} ({process.program})" for process in processes if _alive(process))
    raise Failure(f"these processes do not end, not even by SIGKILL: {left}")


def members(folder: Path) -> Iterator[Process]:
    """All processes that carry this folder's mark, among them the ones that no pid file names."""
    mark = f"{MARK}={folder}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                found = inspect(int(entry))
                if found:
                    yield found


def wait_until(folder: Path, name: str, ready: Callable[[], bool], seconds: float = 240) -> None:
    """Waits until `ready` says so; fails at once, with the log's end, when NAME dies meanwhile."""
    log = str(folder / "logs" / f"{name}.log")
    deadline = time.monotonic() + seconds
    while not ready():
        if not running(folder, name):
            raise Failure(f"{name} died while starting; the end of {log}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise Failure(f"{name} was not ready after {seconds:.0f} s; the end of {log}:\n{tail(log)}")
        time.sleep(0.05)


_CHILDREN: dict[int, subprocess.Popen] = {}


def _alive(process: Process) -> bool:
    child = _CHILDREN.get(process.pid)
    if child:
        child.poll()  # takes the exit code, else the process stays in the table
    return inspect(process.pid) == process


def _named(pid: int, program: str) -> Process | None:
    found = inspect(pid)
    return found if found and found.program == program else None


def _program(command: list[str]) -> str:
    """The program that runs in the end: what follows nsenter's own arguments, where it begins with nsenter."""
    first = command[command.index("--") + 1] if os.path.basename(command[0]) in ("nsenter", "unshare") else command[0]
    return os.path.basename(first)


def _wait(check: Callable, seconds: float):
    """Calls `check` until it gives something true, or the time is over; returns what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)
