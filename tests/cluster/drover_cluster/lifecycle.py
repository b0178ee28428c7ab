"""What every kind of cluster has in common: taking a folder, sweeping what an earlier run left, giving it back."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Iterator

from . import node_space, plan, processes
from .cache import locked
from .plan import Plan
from .say import Failure, say

# Later ones need earlier ones to end in order, so they are stopped in this order, each group together.
STOP_ORDER = [
    {"keda-adapter", "keda-operator"},
    {"kube-scheduler", "kube-controller-manager", "kube-proxy", "kubelet", "coredns"},
    {"kube-apiserver", "kafka-1", "kafka-2", "kafka-3"},
    {"etcd", "containerd"},
]
# The API server waits for open watches, up to a minute; all it knows is in etcd, so it need not be waited for.
PATIENCE = 3.0


@contextlib.contextmanager
def taken(folder: Path) -> Iterator[Path]:
    """Holds the folder's lock: no two runs start or stop the same cluster at once."""
    folder = folder.resolve()
    with locked(f"cluster-{plan.folder_hash(folder)}"):
        yield folder


def fresh(folder: Path) -> Plan:
    """The folder, empty but for its plan, and nothing of an earlier run alive."""
    if not _ours(folder):
        raise Failure(f"{folder} holds files that are no cluster's; name another folder with --dir")
    sweep(folder)
    made = plan.for_folder(folder)
    for path in folder.iterdir():
        if path.name != "plan.json":
            _remove(path)
    return made


def existing(folder: Path) -> Plan:
    found = plan.existing(folder)
    if not found:
        raise Failure(f"no cluster in {folder}; start one with `cluster up --dir {folder}`")
    return found


def remove(folder: Path) -> None:
    """Stops everything in the folder and deletes it. Does nothing where there is no cluster."""
    if not _ours(folder):
        raise Failure(f"{folder} holds files that are no cluster's; it is left as it is")
    sweep(folder)
    plan.release(folder)
    if folder.is_dir():
        _remove(folder)


def sweep(folder: Path) -> None:
    """Ends whatever lives of this folder's cluster, by pid file first, then by mark; then its network and cgroups."""
    for group in STOP_ORDER:
        found = [processes.running(folder, name) for name in sorted(group)]
        processes.end([process for process in found if process], PATIENCE)
    left = list(processes.members(folder))
    if left:
        processes.end(left, PATIENCE, hard=True)
    node_space.sweep(f"drv-{plan.folder_hash(folder)}")


def is_complete(folder: Path) -> bool:
    """Whether an `up` ran to its end here and all that it started still runs."""
    started = processes.names(folder)
    return (folder / "ready").exists() and bool(started) and all(
        processes.running(folder, name) for name in started)


def mark_ready(made: Plan, environment: dict[str, str]) -> None:
    """Writes DIR/env, then the mark that `up` came to its end."""
    lines = "".join(f"export {key}={_quoted(value)}\n" for key, value in environment.items())
    (made.dir / "env").write_text(lines)
    (made.dir / "ready").touch()


def tell(folder: Path, first: str) -> None:
    say(first)
    say(f"to use it: source {folder}/env")


def _ours(folder: Path) -> bool:
    """Whether everything in the folder may be deleted. Its plan may be gone, where someone deleted while it ran."""
    if not folder.is_dir() or not any(folder.iterdir()) or (folder / "plan.json").exists():
        return True
    return plan.is_reserved_for(folder) or any(processes.members(folder))


def _quoted(value: str) -> str:
    # PATH is to be extended in the shell that reads the file, everything else is literal.
    return f'"{value}"' if value.endswith(":$PATH") else "'" + value.replace("'", "'\\''") + "'"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
