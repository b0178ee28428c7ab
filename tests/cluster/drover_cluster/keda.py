"""Real KEDA on a cluster whose API server has `aggregation`: operator and metrics adapter as processes of this machine.

On a control plane without a node all of it is on loopback, which no EndpointSlice may name: there a Service that is only a name leads to it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path

from . import certs, control_plane, parts, processes, tools
from .kafka_service import kubectl
from .packages import find
from .plan import Plan
from .say import Failure, say

NAMESPACE = "keda"
SERVICE = "keda-metrics-apiserver"
READER = "keda-external-metrics-reader"
API = "v1beta1.external.metrics.k8s.io"
MODULE = "github.com/kedacore/keda/v2"
KINDS = ("scaledobjects", "scaledjobs", "triggerauthentications", "clustertriggerauthentications")
PROGRAMS = ("keda-adapter", "keda-operator")
# As whom each asks the API server where it is not as an administrator: the accounts that KEDA's chart gives them.
ACCOUNTS = {"keda-operator": "keda-operator", "keda-adapter": "keda-metrics-server"}


def ensure() -> None:
    """Builds KEDA, the first time."""
    tools.ensure(["keda"])


def version() -> str:
    """Of KEDA, as its recipe has it, such as `v2.21.0`."""
    found = re.search(rf"{re.escape(MODULE)} (v\S+)", (tools.RECIPES / tools.KEDA.recipe / "go.mod").read_text())
    if not found:
        raise Failure(f"{tools.KEDA.recipe}/go.mod does not name {MODULE}")
    return found[1]


def account(program: str) -> str:
    """The user name of the account as which this program asks, where it is started `as_accounts`."""
    return f"system:serviceaccount:{NAMESPACE}:{ACCOUNTS[program]}"


def start(plan: Plan, as_accounts: bool = False) -> None:
    """Starts both and waits until the API server is answered metrics.

    With `as_accounts` each asks as the account that it has on a user's cluster, with all rights: then the audit log tells who wrote, and
    the API server gives it the priority that it has there, not an administrator's.
    """
    keys = _certificates(plan)
    address = _address(plan)
    _kubectl(plan, "apply", "--server-side", "-f", str(_crds()))
    _kubectl(plan, "apply", "--server-side", "-f", "-", given=objects(plan, (keys / "ca.crt").read_bytes(), address))
    kubeconfigs = {program: plan.dir / "kubeconfig" for program in PROGRAMS}
    if as_accounts:
        _kubectl(plan, "apply", "--server-side", "-f", "-", given=all_rights())
        kubeconfigs = {program: _kubeconfig(plan, program) for program in PROGRAMS}
    environment = {"WATCH_NAMESPACE": "", "POD_NAMESPACE": NAMESPACE, "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE}
    service = f"localhost:{plan.keda_port(1)}"
    processes.start(plan.dir, "keda-operator", [
        str(tools.program("keda-operator")),
        f"--metrics-service-bind-address=127.0.0.1:{plan.keda_port(1)}",
        f"--metrics-bind-address=127.0.0.1:{plan.keda_port(2)}",
        f"--health-probe-bind-address=127.0.0.1:{plan.keda_port(3)}",
        f"--cert-dir={keys}",
        "--enable-cert-rotation=false",
        "--zap-log-level=info",
        "--zap-encoder=console",
    ], {**environment, "KUBECONFIG": str(kubeconfigs["keda-operator"])})
    kubeconfig = kubeconfigs["keda-adapter"]
    processes.start(plan.dir, "keda-adapter", [
        str(tools.program("keda-adapter")),
        f"--bind-address={address}",
        f"--secure-port={plan.keda_port(0)}",
        f"--port={plan.keda_port(4)}",
        f"--metrics-service-address={service}",
        f"--client-ca-file={keys}/ca.crt",
        f"--tls-cert-file={keys}/tls.crt",
        f"--tls-private-key-file={keys}/tls.key",
        f"--cert-dir={keys}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--lister-kubeconfig={kubeconfig}",
        "--logtostderr=true",
    ], {**environment, "KUBECONFIG": str(kubeconfig)})
    processes.wait_until(plan.dir, "keda-adapter", lambda: _is_available(plan))
    say("KEDA is ready")


def stop(plan: Plan) -> None:
    """Takes it away, its objects first: without it its APIService breaks discovery and its finalizers keep ScaledObjects."""
    for kind in KINDS:
        # Those of clusters have no namespace; kubectl does not mind being told of all.
        for name in _names(plan, kind):
            namespace, _, name = name.rpartition("/")
            where = ["-n", namespace] if namespace else []
            patch = '{"metadata":{"finalizers":null}}'
            _kubectl(plan, "patch", kind, name, *where, "--type=merge", "--patch", patch, "--request-timeout=10s")
            _kubectl(plan, "delete", kind, name, *where, "--wait=false")
    _kubectl(plan, "delete", "apiservice", API, "--ignore-not-found")
    for name in PROGRAMS:
        processes.stop(plan.dir, name)
        (plan.dir / "run" / f"{name}.json").unlink(missing_ok=True)  # else the cluster counts as not whole


def objects(plan: Plan, authority: bytes, address: str) -> dict:
    """What leads the API server to the adapter on this address; and the HPA's right to ask."""
    service, port = _by_address(plan, address), 443
    if address == control_plane.LOOPBACK:
        service, port = [_by_name()], plan.keda_port(0)
    return {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *service,
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API},
         "spec": {"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100,
                  "versionPriority": 100, "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
                  "caBundle": base64.b64encode(authority).decode()}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": READER},
         "rules": [{"apiGroups": ["external.metrics.k8s.io"], "resources": ["*"], "verbs": ["*"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": READER},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": READER},
         "subjects": [{"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"}]},
    ]}


def all_rights() -> dict:
    """KEDA's own roles allow less; what is measured of it should not depend on them."""
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE} for name in sorted(ACCOUNTS.values())]
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": NAMESPACE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}, "subjects": subjects}


def _by_address(plan: Plan, address: str) -> list[dict]:
    """A Service without selector, and where it leads."""
    meta = {"name": SERVICE, "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta,
         "spec": {"ports": [{"name": "https", "port": 443, "targetPort": plan.keda_port(0)}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
         "metadata": {**meta, "labels": {"kubernetes.io/service-name": SERVICE,
                                         "endpointslice.kubernetes.io/managed-by": "drover-test-cluster"}},
         "addressType": "IPv4",
         "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
         "ports": [{"name": "https", "port": plan.keda_port(0), "protocol": "TCP"}]}]


def _by_name() -> dict:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost"}}


def _address(plan: Plan) -> str:
    alone = (plan.dir / "mode").read_text().strip() == parts.CONTROL_PLANE_MODE
    return control_plane.LOOPBACK if alone else plan.host_address


def _kubeconfig(plan: Plan, program: str) -> Path:
    config = json.loads((plan.dir / "kubeconfig").read_text())
    config["users"][0]["user"].update({"as": account(program), "as-groups": [
        "system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]})
    path = plan.dir / f"{program}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1) + "\n")
    return path


def _certificates(plan: Plan) -> Path:
    """One pair for both, under the names of files that KEDA looks for."""
    keys = plan.dir / "certs"
    if not (keys / "keda.crt").exists():
        certs.further(keys, "keda", ["localhost", SERVICE, f"{SERVICE}.{NAMESPACE}", f"{SERVICE}.{NAMESPACE}.svc"],
                      ["127.0.0.1", plan.host_address])
    folder = plan.dir / "keda-certs"
    folder.mkdir(exist_ok=True)
    for name, source in (("ca.crt", "ca.crt"), ("tls.crt", "keda.crt"), ("tls.key", "keda.key")):
        (folder / name).write_bytes((keys / source).read_bytes())
    return folder


def _crds() -> Path:
    """The folder of KEDA's module that holds its definitions."""
    recipe = tools.RECIPES / tools.KEDA.recipe
    done = subprocess.run([find("go") or "go", "list", "-m", "-f", "{{.Dir}}", MODULE], cwd=recipe, text=True,
                          env={**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}, stdout=subprocess.PIPE)
    if done.returncode != 0 or not done.stdout.strip():
        raise Failure(f"go list of {MODULE} failed in {recipe}")
    return Path(done.stdout.strip()) / "config" / "crd" / "bases"


def _is_available(plan: Plan) -> bool:
    answer = control_plane.get(plan, f"/apis/apiregistration.k8s.io/v1/apiservices/{API}")
    conditions = json.loads(answer).get("status", {}).get("conditions", []) if answer else []
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


def _names(plan: Plan, kind: str) -> list[str]:
    path = '{range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'
    return _kubectl(plan, "get", kind, "-A", "-o", f"jsonpath={path}").split()


def _kubectl(plan: Plan, *arguments: str, given: dict | None = None) -> str:
    done = subprocess.run(
        [kubectl(), f"--kubeconfig={plan.dir}/kubeconfig", *arguments], text=True,
        input=json.dumps(given) if given else None, stdin=None if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Failure(f"kubectl {' '.join(arguments[:2])} of KEDA's failed:\n{done.stderr}")
    return done.stdout
