"""Keys, certificates and kubeconfigs of one cluster: its own certificate authority, made by openssl."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

from .packages import find
from .say import Failure

DAYS = "3650"
FRONT_PROXY = "front-proxy-client"


def make(folder: Path, addresses: list[str]) -> None:
    """Fills the folder with ca, serving (for `addresses`), service-account and one client pair per component."""
    if (folder / "complete").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _openssl("req", "-x509", *_new_key(folder, "ca"), "-days", DAYS, "-subj", "/CN=drover-test-ca",
             "-out", f"{folder}/ca.crt")
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
             "kubernetes.default.svc.cluster.local"]
    _signed(folder, "serving", "/CN=kube-apiserver", "extendedKeyUsage=serverAuth\nsubjectAltName="
            + ",".join([f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses]))
    # Each component has a name of its own, so that the audit log tells who wrote; all are masters, it is a test.
    for client in ("admin", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy",
                   "system:node:drover"):
        _signed(folder, client.replace(":", "-"), f"/O=system:masters/CN={client}", "extendedKeyUsage=clientAuth")
    # As whom the API server passes requests on to further API servers.
    _signed(folder, FRONT_PROXY, f"/CN={FRONT_PROXY}", "extendedKeyUsage=clientAuth")
    _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", f"{folder}/service-account.key")
    _openssl("ec", "-in", f"{folder}/service-account.key", "-pubout", "-out", f"{folder}/service-account.pub")
    (folder / "complete").touch()


def further(folder: Path, name: str, names: list[str], addresses: list[str]) -> None:
    """A pair `name` of the same authority for a program that both serves under these names and asks others."""
    _signed(folder, name, f"/CN={name}", "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName="
            + ",".join([f"DNS:{each}" for each in names] + [f"IP:{address}" for address in addresses]))


def kubeconfig(path: Path, certificates: Path, client: str, server: str) -> Path:
    """Writes a kubeconfig (JSON is YAML) with everything inside, so that the file can be used from anywhere."""
    name = client.replace(":", "-")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "drover", "cluster": {
            "server": server, "certificate-authority-data": _base64(certificates / "ca.crt")}}],
        "users": [{"name": name, "user": {
            "client-certificate-data": _base64(certificates / f"{name}.crt"),
            "client-key-data": _base64(certificates / f"{name}.key")}}],
        "contexts": [{"name": "drover", "context": {"cluster": "drover", "user": name}}],
        "current-context": "drover",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1) + "\n")
    return path


def _signed(folder: Path, name: str, subject: str, extensions: str) -> None:
    (folder / f"{name}.ext").write_text(extensions + "\n")
    _openssl("req", *_new_key(folder, name), "-subj", subject, "-out", f"{folder}/{name}.csr")
    _openssl("x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key",
             "-CAcreateserial", "-days", DAYS, "-extfile", f"{folder}/{name}.ext", "-out", f"{folder}/{name}.crt")
    for ending in ("ext", "csr"):
        (folder / f"{name}.{ending}").unlink()


def _new_key(folder: Path, name: str) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{folder}/{name}.key"]


def _openssl(*arguments: str) -> None:
    done = subprocess.run(
        [find("openssl") or "openssl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Failure(f"openssl {' '.join(arguments)} failed:\n{done.stdout.decode('utf-8', 'replace')}")


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
