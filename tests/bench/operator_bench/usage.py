"""What a process takes, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Usage:
    def __init__(self, pid: int):
        self.proc = Path(f"/proc/{pid}")

    def cpu_seconds(self) -> float:
        """Of all threads, also of those that are over."""
        fields = (self.proc / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def cpu_by_thread(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for thread in (self.proc / "task").iterdir():
            name = (thread / "comm").read_text().strip()
            found[name] = found.get(name, 0) + int((thread / "schedstat").read_text().split()[0]) / 1e9
        return found

    def memory_mib(self, what: str = "VmHWM") -> float:
        """VmHWM is the most resident memory so far, VmRSS what is resident now."""
        for line in (self.proc / "status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"no {what}")

    def connections(self, port: int) -> int:
        """Established connections to this port of this machine."""
        own = set()
        for handle in (self.proc / "fd").iterdir():
            try:
                own.add(os.readlink(handle))
            except OSError:
                continue
        count = 0
        for line in (self.proc / "net" / "tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[2].split(":")[1], 16) == port and fields[3] == "01" and f"socket:[{fields[9]}]" in own:
                count += 1
        return count
