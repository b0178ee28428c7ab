"""Parts of a cluster on their own: a control plane without nodes, and a broker without Kubernetes. No root needed."""

from __future__ import annotations

from pathlib import Path

from . import broker, control_plane, lifecycle, packages, processes, tools
from .plan import Plan
from .say import Failure, say

# Parts of the control plane that can be taken away, and their programs.
CONTROL_PLANE = {"apiserver": "kube-apiserver", "etcd": "etcd"}
# What DIR/mode says where there is no node.
CONTROL_PLANE_MODE = "control-plane"


def control_plane_up(folder: Path, controllers: bool, aggregation: bool = False) -> None:
    with lifecycle.taken(folder) as folder:
        if lifecycle.is_complete(folder):
            return lifecycle.tell(folder, f"already running in {folder}")
        if tools.control_plane_assets() and (not controllers or tools.program("kube-controller-manager").is_file()):
            packages.ensure(["control-plane"])
        else:
            tools.ensure(["control-plane"])
        plan = lifecycle.fresh(folder)
        (plan.dir / "mode").write_text(f"{CONTROL_PLANE_MODE}\n")
        control_plane.prepare(plan, control_plane.LOOPBACK)
        control_plane.start_etcd(plan)
        control_plane.start_api_server(plan, control_plane.LOOPBACK, controllers, node=False, aggregation=aggregation)
        control_plane.wait_for_api_server(plan)
        if controllers:
            control_plane.start_controller_manager(plan)
            control_plane.wait_for_controllers(plan)
        lifecycle.mark_ready(plan, {
            "DROVER_CLUSTER_DIR": str(plan.dir),
            "KUBECONFIG": str(plan.dir / "kubeconfig"),
            "DROVER_AUDIT_LOG": str(plan.dir / "audit.log"),
        })
        lifecycle.tell(folder, "the control plane is ready")


def broker_up(folder: Path, brokers: int, more: list[str], further: list[tuple[str, str]]) -> None:
    with lifecycle.taken(folder) as folder:
        if lifecycle.is_complete(folder):
            return lifecycle.tell(folder, f"already running in {folder}")
        tools.ensure(["kafka"])
        plan = lifecycle.fresh(folder)
        (plan.dir / "mode").write_text("broker\n")
        broker.start(plan, brokers, pod_address=None, more=more, further=further)
        broker.wait(plan)
        lifecycle.mark_ready(plan, {
            "DROVER_CLUSTER_DIR": str(plan.dir),
            "DROVER_BOOTSTRAP": broker.bootstrap(plan, brokers),
        })
        lifecycle.tell(folder, f"Kafka is ready: {broker.bootstrap(plan, brokers)}")


def stop(folder: Path, part: str, only_broker: int | None, hard: bool) -> None:
    """Takes a part away and keeps its data, until `start`."""
    with lifecycle.taken(folder) as folder:
        plan = lifecycle.existing(folder)
        if part in CONTROL_PLANE:
            processes.stop(plan.dir, CONTROL_PLANE[part], lifecycle.PATIENCE, hard)
        else:
            broker.stop(plan, _brokers(plan, only_broker), hard)
        say(f"{part} is stopped; its data is kept")


def start(folder: Path, part: str, only_broker: int | None) -> None:
    """Brings back what `stop` took away, and waits until it answers."""
    with lifecycle.taken(folder) as folder:
        plan = lifecycle.existing(folder)
        if part in CONTROL_PLANE:
            processes.start_again(plan.dir, CONTROL_PLANE[part])
            control_plane.wait_for_api_server(plan)
        else:
            awaited = _brokers(plan, only_broker)
            for name in awaited:
                processes.start_again(plan.dir, name)
            broker.wait(plan, awaited)
        say(f"{part} runs again")


def _brokers(plan: Plan, only: int | None) -> list[str]:
    names = broker.names(plan)
    if only is None and names:
        return names
    if f"kafka-{only}" not in names:
        raise Failure(f"no such broker in {plan.dir}; there are: {', '.join(names) or 'none'}")
    return [f"kafka-{only}"]
