"""etcd, the API server, and on demand the controller manager and the scheduler. Needs no root."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path

from . import certs, processes
from .plan import Plan
from .processes import wait_until
from .tools import program

# Where all of it listens where there is no node.
LOOPBACK = "127.0.0.1"
# Every write is one line of DIR/audit.log, so that tests can count who wrote what.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}


def prepare(plan: Plan, address: str) -> None:
    """Writes certificates, kubeconfigs and the audit policy. `address` is where the API server will listen."""
    first_service = str(plan.services[1])
    certs.make(plan.dir / "certs", sorted({"127.0.0.1", address, first_service}))
    server = f"https://{address}:{plan.api_port}"
    certs.kubeconfig(plan.dir / "kubeconfig", plan.dir / "certs", "admin", server)
    for client in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "node:drover"):
        name = client.replace(":", "-") + ".kubeconfig"
        certs.kubeconfig(plan.dir / "certs" / name, plan.dir / "certs", f"system:{client}", server)
    (plan.dir / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY, indent=1) + "\n")


def start_etcd(plan: Plan) -> None:
    client, peer = f"http://127.0.0.1:{plan.etcd_port}", f"http://127.0.0.1:{plan.etcd_peer_port}"
    processes.start(plan.dir, "etcd", [
        str(program("etcd")),
        f"--data-dir={plan.dir}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # what a power cut loses is only a test
        "--log-level=warn",
    ])
    wait_until(plan.dir, "etcd", lambda: _answers(plan.etcd_port, "/health"))


def start_api_server(plan: Plan, address: str, controllers: bool, node: bool, aggregation: bool = False) -> None:
    """Starts the API server; returns before it is ready (`wait_for_api_server`).

    With `aggregation` it passes on what an APIService says that another server answers, such as KEDA's metrics.
    """
    keys = plan.dir / "certs"
    command = [
        str(program("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{plan.etcd_port}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={plan.api_port}",
        f"--tls-cert-file={keys}/serving.crt",
        f"--tls-private-key-file={keys}/serving.key",
        f"--client-ca-file={keys}/ca.crt",
        f"--cert-dir={keys}",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={plan.services}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys}/service-account.pub",
        f"--service-account-signing-key-file={keys}/service-account.key",
        "--allow-privileged=true",
        f"--audit-policy-file={plan.dir}/audit-policy.json",
        f"--audit-log-path={plan.dir}/audit.log",
        "--audit-log-mode=blocking",  # a write that has been answered is in the file
    ]
    if node:
        command += [
            f"--kubelet-client-certificate={keys}/admin.crt",
            f"--kubelet-client-key={keys}/admin.key",
            "--kubelet-preferred-address-types=InternalIP",
        ]
    else:
        command += ["--endpoint-reconciler-type=none"]  # a loopback address is refused as an endpoint
    if aggregation:
        command += [
            f"--requestheader-client-ca-file={keys}/ca.crt",
            f"--requestheader-allowed-names={certs.FRONT_PROXY}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={keys}/{certs.FRONT_PROXY}.crt",
            f"--proxy-client-key-file={keys}/{certs.FRONT_PROXY}.key",
        ]
    if aggregation and node:
        command += ["--enable-aggregator-routing=true"]  # to the endpoint itself: Services are the node's, not this machine's
    if not controllers:
        command += ["--disable-admission-plugins=ServiceAccount"]  # nobody makes the default accounts
    processes.start(plan.dir, "kube-apiserver", command)


def wait_for_api_server(plan: Plan) -> None:
    """Waits until requests succeed and the namespace default exists."""
    wait_until(plan.dir, "kube-apiserver", lambda: get(plan, "/readyz") is not None)
    wait_until(plan.dir, "kube-apiserver", lambda: get(plan, "/api/v1/namespaces/default") is not None)


def wait_for_controllers(plan: Plan) -> None:
    """Waits until pods can be made: their default account exists."""
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    wait_until(plan.dir, "kube-controller-manager", lambda: get(plan, account) is not None)


def start_controller_manager(plan: Plan, more: list[str] | None = None) -> None:
    """Starts it; the API server must be ready, for this one gives up after ten seconds without. `more` are further flags."""
    keys = plan.dir / "certs"
    processes.start(plan.dir, "kube-controller-manager", [
        str(program("kube-controller-manager")),
        f"--kubeconfig={keys}/kube-controller-manager.kubeconfig",
        f"--service-account-private-key-file={keys}/service-account.key",
        f"--root-ca-file={keys}/ca.crt",
        "--use-service-account-credentials=true",
        f"--cluster-cidr={plan.pods}",
        "--allocate-node-cidrs=false",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={plan.controller_manager_port}",
        f"--cert-dir={keys}/controller-manager",
        *(more or []),
    ])


def start_scheduler(plan: Plan) -> None:
    keys = plan.dir / "certs"
    processes.start(plan.dir, "kube-scheduler", [
        str(program("kube-scheduler")),
        f"--kubeconfig={keys}/kube-scheduler.kubeconfig",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={plan.scheduler_port}",
        f"--cert-dir={keys}/scheduler",
    ])


def get(plan: Plan, path: str) -> bytes | None:
    """What the API server answers to an administrator's GET, if it answers 200."""
    keys = plan.dir / "certs"
    server = json.loads((plan.dir / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
    context.load_cert_chain(keys / "admin.crt", keys / "admin.key")
    connection = http.client.HTTPSConnection(server.split("//")[1], context=context, timeout=5)
    return _ok(connection, path)


def _answers(port: int, path: str) -> bool:
    return _ok(http.client.HTTPConnection("127.0.0.1", port, timeout=5), path) is not None


def _ok(connection: http.client.HTTPConnection, path: str) -> bytes | None:
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
