"""Programs under measure: where they are, on which core they run, what they take."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
CONSUMER_CORE = 0
# The broker, the handler and whoever measures.
OTHER_CORE = (os.cpu_count() or 1) - 1


class Programs:
    """What cargo has built."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, name: str) -> str:
        for path in (self.folder / name, self.folder / "examples" / name):
            if path.exists():
                return str(path)
        sys.exit(f"{name} is not in {self.folder}; cargo build --release --bin drover-worker --examples")


def pinned(core: int, command: list[str], **options) -> subprocess.Popen:
    return subprocess.Popen(["taskset", "-c", str(core), *command], stdin=subprocess.DEVNULL, **options)


class Handler:
    """The handler; it tells when so many records have come."""

    def __init__(self, programs: Programs, address: str, marks: list[int], delay_ms: int = 0, latency: bool = False):
        if address.startswith("/"):
            Path(address).unlink(missing_ok=True)
        options = ["--delay-ms", str(delay_ms)] + (["--latency"] if latency else [])
        self.process = pinned(
            OTHER_CORE, [programs.path("bench_handler"), *options, address, *map(str, marks)],
            stdout=subprocess.PIPE)
        self.heard = b""
        self.wait_for("listening")

    def wait_for(self, words: str, consumer: Consumer | None = None, seconds: float = 300) -> list[str]:
        """Reads on to a line that begins so, and gives what follows."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            while b"\n" in self.heard:
                line, self.heard = self.heard.split(b"\n", 1)
                said = line.decode()
                if said.startswith(words):
                    return said[len(words):].split()
            if consumer and consumer.process.poll() is not None:
                sys.exit(f"{consumer.name} ended: {consumer.last_words()}")
            if select.select([self.process.stdout], [], [], 1)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    sys.exit(f"the handler ended before it said {words!r}")
                self.heard += more
        sys.exit(f"the handler did not say {words!r} within {seconds:.0f} s")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Consumer:
    """A consumer with all its threads on one core. It is ended with SIGTERM, then killed."""

    def __init__(self, command: list[str]):
        self.name = Path(command[0]).name
        # A file and no pipe: nobody reads while it runs.
        self.errors = tempfile.TemporaryFile()
        self.process = pinned(CONSUMER_CORE, command, stdout=self.errors, stderr=self.errors)

    def last_words(self) -> str:
        self.errors.seek(0)
        return self.errors.read()[-2000:].decode("utf-8", "replace")

    def cpu_seconds(self) -> float:
        """User and system time of all threads, also of those that are over."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def fine_cpu_seconds(self) -> float:
        """The same of the threads that live, but not in whole ticks: for one that does nearly nothing."""
        total = 0
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
        return total / 1e9

    def memory_mib(self, what: str = "VmHWM") -> float:
        """VmHWM is the most resident memory so far, VmRSS what is resident now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"no {what}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()


def wait_until(true, seconds: float, what: str):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)
