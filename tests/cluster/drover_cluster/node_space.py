"""Where the node lives: a network and a mount namespace of its own, and a cgroup.

All that kubelet, kube-proxy, containerd and the pods do to addresses, routes, iptables, sysctls and mounts happens
in there. It goes when the last process in it goes, so nothing of it can be left behind, and two clusters (or a
cluster and the machine's own container engine) do not see each other. The machine keeps one end of a link,
`drv-<hash>`, with routes to the pods and Services.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

from . import processes, tools
from .packages import find
from .plan import Plan
from .say import Failure

INSIDE = "/run/drover"  # the cluster's folder, as the node sees it: short, since socket paths have a limit
PROGRAMS = {"kubelet": "/run/kubernetes", "kube-proxy": "/run/kubernetes", "coredns": "/run/coredns"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The node's programs write to these folders, whatever they are told; in there they are empty and its own.
MOUNTS = """
set -e
stage={folder}/node
mkdir -p $stage
mount --make-rprivate /
mount -t tmpfs -o mode=755 {name} $stage
mkdir -p $stage/drover $stage/kubernetes $stage/coredns $stage/lock
mount --bind {folder} $stage/drover
mount --bind {kubernetes} $stage/kubernetes
mount --bind {coredns} $stage/coredns
mount --rbind $stage /run
mount -t tmpfs -o mode=755 {name} /var/lib
mount -t tmpfs -o mode=755 {name} /var/log
mkdir -p {inside}/kubelet /var/lib/kubelet
mount --bind {inside}/kubelet /var/lib/kubelet
"""

NETWORK = """
set -e
ip link set lo up
ip link set host0 up
ip addr add {node}/30 dev host0
ip route add default via {host}
echo 1 > /proc/sys/net/ipv4/ip_forward
"""


def start(plan: Plan) -> None:
    """Makes the namespaces, held by a process that sleeps, with link, routes, mounts and cgroup."""
    processes.start(plan.dir, "node-space", [
        find("unshare") or "unshare", "--mount", "--net", "--", find("sleep") or "sleep", "infinity"])
    _run(*enter(plan), "sh", "-c", MOUNTS.format(
        folder=plan.dir, name=plan.name, inside=INSIDE, kubernetes=tools.KUBERNETES_NODE.folder(),
        coredns=tools.COREDNS.folder()))
    holder = processes.running(plan.dir, "node-space")
    _run("ip", "link", "add", plan.name, "type", "veth", "peer", "name", "host0", "netns", str(holder.pid))
    _run("ip", "addr", "add", f"{plan.host_address}/30", "dev", plan.name)
    _run("ip", "link", "set", plan.name, "up")
    _run(*enter(plan), "sh", "-c", NETWORK.format(node=plan.node_address, host=plan.host_address))
    for network in (plan.pods, plan.services):
        _run("ip", "route", "add", str(network), "via", plan.node_address, "dev", plan.name)
    _make_cgroups(plan.name)


def enter(plan: Plan) -> list[str]:
    """The words before a command that let it run where the node lives."""
    holder = processes.running(plan.dir, "node-space")
    if not holder:
        raise Failure(f"no node runs in {plan.dir}; start the cluster with `cluster up`")
    return [find("nsenter") or "nsenter", "-t", str(holder.pid), "-m", "-n", "--"]


def start_inside(plan: Plan, name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
    processes.start(plan.dir, name, enter(plan) + command, {"PATH": PATH, **(environment or {})})


def sweep(name: str) -> None:
    """Ends the pods of a node that is gone, and waits until its link is gone; a second call finds nothing to do."""
    groups = _cgroups(name)
    deadline = time.monotonic() + 30
    while any(group.exists() for group in groups):
        pods = [found for pid in _pids(groups) for found in [processes.inspect(pid)] if found]
        processes.end(pods, patience=0, hard=True)
        for group in groups:
            _remove_tree(group)
        if time.monotonic() > deadline:
            raise Failure(f"cannot remove the cgroup {name}: {[str(group) for group in groups if group.exists()]}")
    link = Path("/sys/class/net") / name
    while link.exists():
        # The kernel removes it with the namespace, a moment after the last process; what is left is removed here.
        if time.monotonic() > deadline - 28:
            subprocess.run([find("ip") or "ip", "link", "del", name], stderr=subprocess.DEVNULL)
        if time.monotonic() > deadline:
            raise Failure(f"cannot remove the network interface {name}")
        time.sleep(0.02)


def _cgroups(name: str) -> list[Path]:
    """The cluster's cgroup in each hierarchy (version 1 has one per controller, version 2 one)."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root / name]
    try:
        return [path / name for path in root.iterdir() if path.is_dir() and not path.is_symlink()]
    except OSError:
        return []


def _make_cgroups(name: str) -> None:
    for group in _cgroups(name):
        if group.parent.name == "unified":
            continue  # version 1 in use; this one has no controllers
        with contextlib.suppress(OSError):
            (group.parent / "cgroup.subtree_control").write_text("+cpuset +cpu +memory +pids")
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # version 1: a new group may use none until told
            if (group / file).exists() and not (group.parent / "cgroup.subtree_control").exists():
                (group / file).write_text((group.parent / file).read_text())


def _pids(groups: list[Path]) -> set[int]:
    found: set[int] = set()
    for group in groups:
        for folder, _, _ in os.walk(group):
            with contextlib.suppress(OSError):
                found |= {int(line) for line in Path(folder, "cgroup.procs").read_text().split()}
    return found - {os.getpid()}


def _remove_tree(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _run(*command: str) -> None:
    found = [find(command[0]) or command[0], *command[1:]]
    done = subprocess.run(found, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "PATH": PATH})
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} failed:\n{done.stdout.decode('utf-8', 'replace')}")
