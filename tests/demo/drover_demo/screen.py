"""What the terminal shows: lines that stay, and one status line below them that is drawn over and over.

Without a terminal the status line is printed once a second like any other. Colour only on a terminal and
without NO_COLOR.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time

COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


class Screen:
    def __init__(self) -> None:
        self.tty = sys.stdout.isatty()
        self.colour = self.tty and "NO_COLOR" not in os.environ
        self.began = time.monotonic()
        self._lock = threading.RLock()
        self._drawn = False

    def paint(self, colour: str, text: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.colour else text

    def chapter(self, text: str) -> None:
        self.line("")
        self.line(self.paint("bold", text))

    def restart_clock(self) -> None:
        """Times are counted from here on: from the first record."""
        self.began = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def happening(self, what: str, text: str, colour: str = "cyan") -> None:
        """Something that happened, with its time; long texts go on below it."""
        head = f"{self.seconds():7.1f}s  {what:<10} "
        width = max(40, shutil.get_terminal_size((110, 20)).columns - len(head))
        first, *rest = wrapped(text, width)
        lines = [head[:10] + self.paint(colour, head[10:]) + first]
        lines += [" " * len(head) + line for line in rest]
        self.line("\n".join(lines))

    def line(self, text: str) -> None:
        with self._lock:
            self._wipe()
            print(text, flush=True)

    def status(self, text: str) -> None:
        """The line that is drawn over. `text` has no colours, so that it can be cut to the width."""
        with self._lock:
            text = f"{self.seconds():7.1f}s  {text}"
            if not self.tty:
                print(text, flush=True)
                return
            self._wipe()
            width = shutil.get_terminal_size((110, 20)).columns - 1
            sys.stdout.write(text[:width])
            sys.stdout.flush()
            self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            sys.stdout.write("\r\x1b[K")
            self._drawn = False


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` characters, broken at spaces."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def bar(share: float, width: int = 20) -> str:
    done = round(max(0.0, min(1.0, share)) * width)
    return "[" + "#" * done + "." * (width - done) + "]"
