"""The broker's name inside the cluster: kafka.kafka.svc.cluster.local:9092, a Service without selector."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from . import tools
from .packages import find
from .plan import Plan
from .say import Failure

NAMESPACE = "kafka"
BOOTSTRAP = "kafka.kafka.svc.cluster.local:9092"


def objects(address: str, brokers: int) -> dict:
    """Namespace, Service, and one EndpointSlice per broker: on one address they differ by port."""
    meta = {"name": "kafka", "namespace": NAMESPACE}
    port = {"name": "kafka", "port": 9092, "protocol": "TCP"}
    slices = [{
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"kafka-{broker}", "namespace": NAMESPACE,
                     "labels": {"kubernetes.io/service-name": "kafka",
                                "endpointslice.kubernetes.io/managed-by": "drover-test-cluster"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{**port, "port": Plan.kafka_pod_port(broker)}],
    } for broker in range(1, brokers + 1)]
    return {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [port]}},
        *slices,
    ]}


def apply(kubeconfig: Path, address: str, brokers: int) -> None:
    done = subprocess.run(
        [kubectl(), f"--kubeconfig={kubeconfig}", "apply", "--server-side", "-f", "-"],
        input=json.dumps(objects(address, brokers)).encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Failure(f"kubectl apply of Kafka's Service failed:\n{done.stdout.decode('utf-8', 'replace')}")


def kubectl() -> str:
    built = tools.program("kubectl")
    found = str(built) if built.is_file() else find("kubectl")
    if not found:
        raise Failure("the program kubectl is missing; run `cluster tools --only control-plane`")
    return found
