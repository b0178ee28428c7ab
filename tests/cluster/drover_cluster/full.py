"""The whole cluster on this machine: what `cluster up` starts, from top to bottom. Needs root."""

from __future__ import annotations

import os
from pathlib import Path

from . import broker, control_plane, images, kafka_service, lifecycle, node, node_space, tools
from .plan import Plan
from .say import Failure, say


def up(folder: Path, brokers: int, aggregation: bool = False) -> None:
    if os.geteuid() != 0:
        raise Failure("CLUSTER=local needs root (it makes network namespaces and runs containerd);"
                      " use sudo, or CLUSTER=kind or CLUSTER=current")
    with lifecycle.taken(folder) as folder:
        if lifecycle.is_complete(folder):
            return lifecycle.tell(folder, f"already running in {folder}")
        tools.ensure(list(tools.PARTS))
        plan = lifecycle.fresh(folder)
        say(f"starting a cluster in {folder}")
        _start(plan, brokers, aggregation)
        lifecycle.mark_ready(plan, environment(plan, brokers))
        lifecycle.tell(folder, "the cluster is ready: Kubernetes with one node, and Kafka")


def _start(plan: Plan, brokers: int, aggregation: bool) -> None:
    (plan.dir / "mode").write_text("local\n")
    address = plan.host_address
    node_space.start(plan)
    control_plane.prepare(plan, address)
    control_plane.start_etcd(plan)
    control_plane.start_api_server(plan, address, controllers=True, node=True, aggregation=aggregation)
    # While the API server starts, all that needs it only later, the slow ones first.
    broker.start(plan, brokers, pod_address=address)
    node.prepare(plan)
    node.start_containerd(plan)
    node.load_images(plan, images.build_own(plan.dir / "images"))
    control_plane.wait_for_api_server(plan)
    say("the API server is ready")
    control_plane.start_controller_manager(plan)
    control_plane.start_scheduler(plan)
    node.start_kubelet(plan)
    node.start_proxy(plan)
    node.start_dns(plan)
    kafka_service.apply(plan.dir / "kubeconfig", address, brokers)
    node.wait(plan)
    control_plane.wait_for_controllers(plan)
    say("the node is ready")
    broker.wait(plan)


def environment(plan: Plan, brokers: int) -> dict[str, str]:
    """What DIR/env exports."""
    return {
        "CLUSTER": "local",
        "DROVER_CLUSTER_DIR": str(plan.dir),
        "KUBECONFIG": str(plan.dir / "kubeconfig"),
        "DROVER_BOOTSTRAP": broker.bootstrap(plan, brokers),
        "DROVER_POD_BOOTSTRAP": kafka_service.BOOTSTRAP,
        "DROVER_HOST_ADDRESS": plan.host_address,
        "DROVER_AUDIT_LOG": str(plan.dir / "audit.log"),
        "PATH": f"{tools.program('kubectl').parent}:$PATH",
    }
