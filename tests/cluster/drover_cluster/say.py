"""What the person at the terminal sees: progress lines, and failures that tell what to do."""

from __future__ import annotations

import sys
import time

BEGIN = time.monotonic()


class Failure(Exception):
    """Ends the program with this text and exit code 1; the text says what, why and what to do."""


def say(text: str) -> None:
    """One progress line, with the seconds since the program began. On stderr: stdout carries results only."""
    print(f"cluster [{time.monotonic() - BEGIN:6.1f}s] {text}", file=sys.stderr, flush=True)


def tail(path: str, lines: int = 15) -> str:
    """The last lines of a log, indented, for the text of a Failure."""
    try:
        with open(path, "rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - 16384))
            found = log.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return "    (no log)"
    return "\n".join("    " + line for line in found) or "    (empty log)"
