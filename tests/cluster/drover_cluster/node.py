"""The node: containerd, kubelet, kube-proxy and CoreDNS, all inside `node_space`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from . import control_plane, images, packages, processes
from .node_space import INSIDE, PROGRAMS, enter, start_inside
from .packages import find
from .plan import Plan
from .say import Failure

NODE_NAME = "drover"

# restrict_oom_score_adj: else sandboxes fail where CAP_SYS_RESOURCE is missing ("can't get final child's PID from pipe").
CONTAINERD = """
version = 2
root = "{inside}/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{inside}/cni"
"""

# Two server blocks: a plugin's place in the chain is fixed, and `template` would answer before `kubernetes`.
COREFILE = """
cluster.local:53 in-addr.arpa:53 {{
    bind {address}
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {inside}/certs/kube-proxy.kubeconfig
        pods insecure
    }}
}}
.:53 {{
    bind {address}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def prepare(plan: Plan) -> None:
    (plan.dir / "containerd.toml").write_text(CONTAINERD.format(
        inside=INSIDE, pause=images.PAUSE, snapshotter=_snapshotter(plan.dir), cni=packages.cni_folder()))
    (plan.dir / "cni").mkdir(exist_ok=True)
    (plan.dir / "cni" / "10-drover.conflist").write_text(json.dumps(_cni(plan), indent=1) + "\n")
    (plan.dir / "kubelet.json").write_text(json.dumps(_kubelet(plan), indent=1) + "\n")
    (plan.dir / "resolv.conf").write_text(f"nameserver {plan.node_address}\n")
    (plan.dir / "Corefile").write_text(COREFILE.format(address=plan.node_address, inside=INSIDE))


def start_containerd(plan: Plan) -> None:
    start_inside(plan, "containerd", [find("containerd") or "containerd", "--config", f"{INSIDE}/containerd.toml"])


def load_images(plan: Plan, archives: list[Path]) -> None:
    """Imports OCI archives; the node's containerd must run."""
    processes.wait_until(plan.dir, "containerd", lambda: _ctr(plan, "version") == 0)
    for archive in archives:
        with open(archive, "rb") as content:
            command = enter(plan) + ["ctr", "-n", "k8s.io", "images", "import", "--snapshotter",
                                     _snapshotter(plan.dir), "-"]
            done = subprocess.run(command, stdin=content, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise Failure(f"loading {archive} failed:\n{done.stdout.decode('utf-8', 'replace')}")


def start_kubelet(plan: Plan) -> None:
    start_inside(plan, "kubelet", [
        f"{PROGRAMS['kubelet']}/kubelet",
        f"--config={INSIDE}/kubelet.json",
        f"--kubeconfig={INSIDE}/certs/node-drover.kubeconfig",
        "--root-dir=/var/lib/kubelet",
        f"--cert-dir={INSIDE}/kubelet-certs",
        f"--node-ip={plan.node_address}",
        f"--hostname-override={NODE_NAME}",
    ])


def start_proxy(plan: Plan) -> None:
    start_inside(plan, "kube-proxy", [
        f"{PROGRAMS['kube-proxy']}/kube-proxy",
        f"--kubeconfig={INSIDE}/certs/kube-proxy.kubeconfig",
        f"--hostname-override={NODE_NAME}",
        f"--cluster-cidr={plan.pods}",
        "--proxy-mode=iptables",
        "--conntrack-max-per-core=0",  # not ours to set: these belong to the whole machine
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
    ])


def start_dns(plan: Plan) -> None:
    start_inside(plan, "coredns", [f"{PROGRAMS['coredns']}/coredns", "-conf", f"{INSIDE}/Corefile"])


def wait(plan: Plan) -> None:
    processes.wait_until(plan.dir, "kubelet", lambda: _is_ready(plan))


def _is_ready(plan: Plan) -> bool:
    answer = control_plane.get(plan, f"/api/v1/nodes/{NODE_NAME}")
    conditions = json.loads(answer)["status"].get("conditions", []) if answer else []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _ctr(plan: Plan, *arguments: str) -> int:
    return subprocess.call(enter(plan) + ["ctr", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)


def _snapshotter(folder: Path) -> str:
    """overlayfs, except where the folder itself lies on one (in a container): they cannot be stacked."""
    done = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], stdout=subprocess.PIPE)
    return "native" if b"overlay" in done.stdout else "overlayfs"


def _cni(plan: Plan) -> dict:
    # ptp, not bridge: pods on one bridge answer each other past iptables, and Services then need br_netfilter.
    return {
        "cniVersion": "0.4.0",
        "name": "drover",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": {
                "type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": str(plan.pods)}]],
                "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(plan: Plan) -> dict:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": plan.node_address,
        "healthzBindAddress": "127.0.0.1",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                           "x509": {"clientCAFile": f"{INSIDE}/certs/ca.crt"}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{plan.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%",
                         "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,  # never: images are loaded by hand and cannot be pulled again
        "clusterDNS": [plan.node_address],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{INSIDE}/resolv.conf",
        "podLogsDir": f"{INSIDE}/pod-logs",
        "volumePluginDir": f"{INSIDE}/volume-plugins",
        "maxPods": 250,
        "serializeImagePulls": False,
    }
