"""`cluster status`: what runs, and how much memory it takes."""

from __future__ import annotations

from pathlib import Path

from . import lifecycle, processes


def show(folder: Path) -> int:
    """Prints one line per process; 0 where all that was started runs, else 1."""
    folder = folder.resolve()
    if not (folder / "plan.json").exists():
        print(f"no cluster in {folder}")
        return 1
    mode = folder / "mode"
    print(f"{folder}: {mode.read_text().strip() if mode.exists() else 'unfinished'}")
    total = 0
    for name in processes.names(folder):
        found = processes.running(folder, name)
        memory = _resident_mib(found.pid) if found else 0
        total += memory
        print(f"  {name:26} " + (f"running  pid {found.pid:<8} {memory:5} MiB" if found else "stopped"))
    print(f"  {'together':26} {'':21} {total:5} MiB (without pods)")
    complete = lifecycle.is_complete(folder) or (mode.exists() and mode.read_text().strip() == "current")
    print(f"source {folder}/env" if complete else "not all of it runs; `cluster up` starts it anew")
    return 0 if complete else 1


def _resident_mib(pid: int) -> int:
    try:
        for line in Path("/proc", str(pid), "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    except OSError:
        pass
    return 0
