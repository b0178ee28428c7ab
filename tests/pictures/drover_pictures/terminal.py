"""A program in a pseudo-terminal, and what its screen shows."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time

from drover_demo.shell import Failure

from .cells import Cell, Cells


class Terminal:
    """With the program in it, which `close` ends."""

    def __init__(self, command: list[str], environment: dict[str, str], columns: int, lines: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**environment, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        self._cells = Cells(columns, lines)
        self._lock = threading.Lock()
        self._trouble: Exception | None = None
        self._heard = time.monotonic()
        self._process = subprocess.Popen(command, env=environment, stdin=slave, stdout=slave, stderr=slave,
                                         start_new_session=True)
        os.close(slave)
        threading.Thread(target=self._read, daemon=True).start()

    def rows(self) -> list[list[Cell]]:
        """The screen, when nothing has been written for a moment: not in the middle of being drawn."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            with self._lock:
                if self._trouble:
                    raise Failure(f"the screen cannot be drawn: {self._trouble!r}; drover_pictures/cells.py does not know it yet")
                if self._process.poll() is not None:
                    raise Failure(f"the program in the terminal has ended; it said:\n{self._cells.text()}")
                if time.monotonic() - self._heard > 0.2:
                    return self._cells.rows()
            time.sleep(0.02)
        raise Failure("the screen does not come to rest")

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # closed, by us or by the program's end
                return
            with self._lock:
                self._heard = time.monotonic()
                try:
                    self._cells.take(data)
                except Exception as trouble:  # told where the screen is asked for
                    self._trouble = self._trouble or trouble
