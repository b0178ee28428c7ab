"""The parameters of one cluster: its ports, addresses and names, all derived from its folder.

The folder's hash chooses a slot; where that one is taken, the next free one is used. The choice is written to
DIR/plan.json and reserved in the cache, so that the same folder keeps its ports and no other folder gets them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from .cache import cache_dir, locked
from .say import Failure

SLOTS = 64
FIRST_PORT = 20000  # below the ports that Linux gives to outgoing connections (32768 and up)
PORTS_EACH = 40
# One /19 for each slot; all of it is routed only between this machine and the cluster's own network namespace.
ADDRESSES = ipaddress.ip_network("10.88.0.0/13")


@dataclass(frozen=True)
class Plan:
    """What `for_folder` derived. `hash` names everything outside the folder: interface, cgroup, lock."""

    folder: str
    hash: str
    slot: int

    @property
    def dir(self) -> Path:
        return Path(self.folder)

    @property
    def name(self) -> str:
        """Name of the network interface, of the cgroup and of the mounts: 12 characters, Linux allows 15."""
        return f"drv-{self.hash}"

    def port(self, offset: int) -> int:
        return FIRST_PORT + self.slot * PORTS_EACH + offset

    # Offsets are fixed, so that a port's number tells whose it is.
    @property
    def etcd_port(self) -> int:
        return self.port(0)

    @property
    def etcd_peer_port(self) -> int:
        return self.port(1)

    @property
    def api_port(self) -> int:
        return self.port(2)

    @property
    def controller_manager_port(self) -> int:
        return self.port(3)

    @property
    def scheduler_port(self) -> int:
        return self.port(4)

    def keda_port(self, which: int) -> int:
        """Of KEDA's programs: 0 answers metrics to the API server, 1 the operator's to the adapter, the others are unused."""
        return self.port(5 + which)

    def kafka_port(self, broker: int) -> int:
        """Listener for programs on this machine, on 127.0.0.1. Brokers count from 1."""
        return self.port(10 + broker)

    def kafka_controller_port(self, broker: int) -> int:
        return self.port(20 + broker)

    def kafka_further_port(self, index: int) -> int:
        """A further listener of broker 1, on 127.0.0.1; counted from 0."""
        return self.port(30 + index)

    @staticmethod
    def kafka_pod_port(broker: int) -> int:
        """Listener for pods, on `host_address`, which is this cluster's alone: so the usual port."""
        return 9091 + broker

    @property
    def block(self) -> ipaddress.IPv4Network:
        return list(ADDRESSES.subnets(new_prefix=19))[self.slot]

    @property
    def pods(self) -> ipaddress.IPv4Network:
        return list(self.block.subnets(new_prefix=20))[0]

    @property
    def services(self) -> ipaddress.IPv4Network:
        return list(self.block.subnets(new_prefix=21))[2]

    @property
    def host_address(self) -> str:
        """This machine, as the pods see it: API server and broker listen here."""
        return str(list(self.block.subnets(new_prefix=21))[3][1])

    @property
    def node_address(self) -> str:
        """The node, at the other end of the link: kubelet and DNS listen here."""
        return str(list(self.block.subnets(new_prefix=21))[3][2])


def folder_hash(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]


def slots_in_order(hash: str) -> list[int]:
    """The slots that a folder tries: first the one its hash chooses, then the ones after it, round to the start."""
    first = int(hash, 16) % SLOTS
    return [(first + step) % SLOTS for step in range(SLOTS)]


def existing(folder: Path) -> Plan | None:
    """The plan that an earlier run wrote into this folder."""
    folder = folder.resolve()
    try:
        plan = Plan(**json.loads((folder / "plan.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return plan if plan.folder == str(folder) else None  # the folder was moved: its ports are another's


def for_folder(folder: Path) -> Plan:
    """The plan of this folder: the one it has, else a new one on a slot that nobody uses."""
    folder = folder.resolve()
    plan = existing(folder)
    if plan:
        return plan
    hash = folder_hash(folder)
    with locked("slots"):
        for slot in slots_in_order(hash):
            plan = Plan(str(folder), hash, slot)
            if not _reserved(slot) and _ports_free(plan) and not _routed(plan):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "plan.json").write_text(json.dumps(asdict(plan)) + "\n")
                _reservation(slot).parent.mkdir(parents=True, exist_ok=True)
                _reservation(slot).write_text(str(folder))
                return plan
    raise Failure(f"all {SLOTS} port ranges are in use; stop a cluster first (see {_reservation(0).parent})")


def release(folder: Path) -> None:
    """Gives the folder's slot to whoever comes next."""
    with locked("slots"):
        for slot in range(SLOTS):
            if _holder(slot) == str(folder):
                _reservation(slot).unlink()


def is_reserved_for(folder: Path) -> bool:
    return any(_holder(slot) == str(folder) for slot in range(SLOTS))


def _reservation(slot: int) -> Path:
    return cache_dir() / "slots" / str(slot)


def _reserved(slot: int) -> bool:
    """A reservation counts as long as the folder that made it still says so."""
    holder = _holder(slot)
    plan = existing(Path(holder)) if holder else None
    return plan is not None and plan.slot == slot


def _holder(slot: int) -> str | None:
    try:
        return _reservation(slot).read_text()
    except OSError:
        return None


def _ports_free(plan: Plan) -> bool:
    for offset in range(PORTS_EACH):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", plan.port(offset)))
            except OSError:
                return False
    return True


def _routed(plan: Plan) -> bool:
    """Whether this machine already has a route into the slot's addresses."""
    try:
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return False
    for line in lines:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[i])[::-1], "big") for i in (1, 7))
        network = ipaddress.ip_network((address, bin(mask).count("1")))
        if network.prefixlen > 8 and network.overlaps(plan.block):
            return True
    return False
