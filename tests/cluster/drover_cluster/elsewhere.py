"""Kubernetes that is not ours: CLUSTER=kind (a cluster in Docker) and CLUSTER=current (the kubeconfig's).

CLUSTER=current is tried on a cluster of CLUSTER=local's making. CLUSTER=kind has not been run where the rest of
this was tried, a machine without Docker, and neither has the push to a registry.
"""

from __future__ import annotations

import ipaddress
import os
import shlex
import subprocess
from pathlib import Path

from . import broker, images, kafka_service, lifecycle, tools
from .packages import find
from .say import Failure, say

KIND_CLUSTER = "drover"
# Of the control plane only kubectl, which people who have a cluster mostly have.
CURRENT_PARTS = [] if find("kubectl") else ["control-plane"]
KIND_PARTS = [*CURRENT_PARTS, "kafka"]


def kind_up(folder: Path, brokers: int) -> None:
    """Uses the kind cluster `drover`, made where missing, and a broker on this machine at Docker's gateway."""
    for name in ("kind", "docker"):
        if not find(name):
            raise Failure(f"CLUSTER=kind needs the program {name}")
    with lifecycle.taken(folder) as folder:
        if lifecycle.is_complete(folder):
            return lifecycle.tell(folder, f"already running in {folder}")
        tools.ensure(KIND_PARTS)
        plan = lifecycle.fresh(folder)
        (plan.dir / "mode").write_text("kind\n")
        kubeconfig = plan.dir / "kubeconfig"
        if KIND_CLUSTER in _output("kind", "get", "clusters").split():
            kubeconfig.write_text(_output("kind", "get", "kubeconfig", "--name", KIND_CLUSTER))
        else:
            (plan.dir / "made-kind-cluster").touch()  # `down` deletes only what `up` made
            say("creating a kind cluster, usually takes a minute")
            _output("kind", "create", "cluster", "--name", KIND_CLUSTER, "--kubeconfig", str(kubeconfig))
        kubeconfig.chmod(0o600)
        gateway = _kind_gateway()
        broker.start(plan, brokers, pod_address=gateway)
        kafka_service.apply(kubeconfig, gateway, brokers)
        broker.wait(plan)
        lifecycle.mark_ready(plan, {
            "CLUSTER": "kind",
            "DROVER_CLUSTER_DIR": str(plan.dir),
            "KUBECONFIG": str(kubeconfig),
            "DROVER_BOOTSTRAP": broker.bootstrap(plan, brokers),
            "DROVER_POD_BOOTSTRAP": kafka_service.BOOTSTRAP,
            "DROVER_HOST_ADDRESS": gateway,
        })
        lifecycle.tell(folder, "the kind cluster and Kafka are ready")


def kind_down(folder: Path) -> None:
    if (folder / "made-kind-cluster").exists():
        _output("kind", "delete", "cluster", "--name", KIND_CLUSTER)


def current_up(folder: Path) -> None:
    """Uses the cluster that kubectl would use now, and the broker that DROVER_BOOTSTRAP names."""
    bootstrap = os.environ.get("DROVER_BOOTSTRAP")
    if not bootstrap:
        raise Failure("CLUSTER=current needs DROVER_BOOTSTRAP=host:port, a Kafka that this machine and the cluster's"
                      " pods reach; where pods know it by another name, set DROVER_POD_BOOTSTRAP too")
    with lifecycle.taken(folder) as folder:
        tools.ensure(CURRENT_PARTS)
        config = _output(kafka_service.kubectl(), "config", "view", "--flatten", "--minify", "--raw")
        plan = lifecycle.fresh(folder)
        (plan.dir / "mode").write_text("current\n")
        (plan.dir / "kubeconfig").touch(mode=0o600)
        (plan.dir / "kubeconfig").write_text(config)
        lifecycle.mark_ready(plan, {
            "CLUSTER": "current",
            "DROVER_CLUSTER_DIR": str(plan.dir),
            "KUBECONFIG": str(plan.dir / "kubeconfig"),
            "DROVER_BOOTSTRAP": bootstrap,
            "DROVER_POD_BOOTSTRAP": os.environ.get("DROVER_POD_BOOTSTRAP", bootstrap),
            **({"DROVER_HOST_ADDRESS": host} if (host := os.environ.get("DROVER_HOST_ADDRESS")) else {}),
            # Where the images are that `image load` has brought.
            **({"DROVER_IMAGES": _registry()} if _registry() and not os.environ.get("IMAGE_LOAD") else {}),
        })
        lifecycle.tell(folder, "using the cluster of the present kubeconfig; nothing was started")


def kind_load(archives: list[Path]) -> None:
    for archive in archives:
        _output("kind", "load", "image-archive", "--name", KIND_CLUSTER, str(archive))


def current_load(archives: list[Path]) -> None:
    """By the command IMAGE_LOAD, which gets an archive as its last argument, or pushed to IMAGE_REGISTRY."""
    loader = shlex.split(os.environ.get("IMAGE_LOAD", ""))
    prefix = _registry()
    if loader:
        for archive in archives:
            _output(*loader, str(archive))
    elif prefix and find("skopeo"):
        for archive in archives:
            _output("skopeo", "copy", f"oci-archive:{archive}", f"docker://{_pushed(prefix, archive)}")
    elif prefix:
        raise Failure(f"the program skopeo, which pushes images to IMAGE_REGISTRY={prefix}, is missing; install it, or"
                      " set IMAGE_LOAD to a command that brings an image archive into the cluster")
    else:
        raise Failure("CLUSTER=current does not know how images come into this cluster: set IMAGE_LOAD to a command"
                      " that takes an image archive (OCI), such as IMAGE_LOAD='minikube image load', or IMAGE_REGISTRY to"
                      " a prefix that you may push to and its nodes can pull from; then run this again")


def _registry() -> str:
    return os.environ.get("IMAGE_REGISTRY", "").rstrip("/")


def _pushed(prefix: str, archive: Path) -> str:
    names = images.names_in(archive)
    if len(names) != 1:
        raise Failure(f"{archive} has {len(names)} images, and only archives of one are pushed")
    return f"{prefix}/{names[0].split('/')[-1]}"


def _kind_gateway() -> str:
    """The IPv4 address that this machine has on the Docker network of kind."""
    template = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
    for word in _output("docker", "network", "inspect", "kind", "-f", template).split():
        if ipaddress.ip_address(word).version == 4:
            return word
    raise Failure("the Docker network kind has no IPv4 gateway")


def _output(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} failed:\n{done.stderr.decode('utf-8', 'replace')}")
    return done.stdout.decode()
