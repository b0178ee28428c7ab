"""Running programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class Failure(Exception):
    """Ends the demo with this text; it says what, why and what to do."""


def run(*command: str | Path, environment: dict[str, str], shown: bool = False, input: str | None = None) -> str:
    """Standard output of a program that must succeed. With `shown`, its standard error goes to the terminal."""
    done = subprocess.run(
        [str(word) for word in command], env=environment, cwd=ROOT, text=True, input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        stdout=subprocess.PIPE, stderr=None if shown else subprocess.PIPE)
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise Failure(f"{words}\nended with {done.returncode}: {(done.stderr or '').strip()}")
    return done.stdout


def sourced(file: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment after `source FILE`."""
    out = subprocess.run(
        ["bash", "-c", 'source "$1" && env -0', "bash", str(file)], env=environment, stdout=subprocess.PIPE, check=True)
    pairs = (pair.split("=", 1) for pair in out.stdout.decode().split("\0") if "=" in pair)
    return dict(pairs)
