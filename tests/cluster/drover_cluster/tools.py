"""Makes sure that the programs exist: builds them once, outside git, and tells where each is.

A kit is one folder of recipes under tests/cluster/tools/ (go.mod and go.sum, or pom.xml) and the programs that
come from it. It is built into ${DROVER_CACHE}/tools/<kit>-<key>, where the key is a hash of everything the result
depends on: a changed recipe is another folder, and a folder that exists is whole.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import packages
from .cache import cache_dir, locked
from .say import Failure, say, tail

RECIPES = Path(__file__).resolve().parent.parent / "tools"

KUBERNETES = "v1.35.4"
# Without these the programs call themselves v0.0.0-master and version skew checks fail.
KUBERNETES_VERSION_FLAGS = [
    f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}",
    "-X k8s.io/component-base/version.gitMajor=1",
    "-X k8s.io/component-base/version.gitMinor=35",
    f"-X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
]


@dataclass(frozen=True)
class Kit:
    name: str
    recipe: str  # folder under tests/cluster/tools
    what: str  # for people
    usual: str  # how long a build usually takes on two cores
    programs: dict[str, str] = field(default_factory=dict)  # program -> Go package; empty for jars
    ldflags: tuple[str, ...] = ()

    def key(self) -> str:
        digest = hashlib.sha256(repr((self.programs, self.ldflags, platform.machine())).encode())
        for path in sorted((RECIPES / self.recipe).iterdir()):
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:12]

    def folder(self) -> Path:
        return cache_dir() / "tools" / f"{self.name}-{self.key()}"


def _kubernetes(names: str) -> dict[str, str]:
    return {name: f"k8s.io/kubernetes/cmd/{name}" for name in names.split()}


ETCD = Kit("etcd", "etcd", "etcd 3.6.5", "half a minute", {"etcd": "go.etcd.io/etcd/server/v3"})
KUBERNETES_API = Kit(
    "kubernetes-api", "kubernetes", f"kube-apiserver, kube-controller-manager and kubectl {KUBERNETES}",
    "four to eight minutes", _kubernetes("kube-apiserver kube-controller-manager kubectl"),
    tuple(KUBERNETES_VERSION_FLAGS))
KUBERNETES_NODE = Kit(
    "kubernetes-node", "kubernetes", f"kube-scheduler, kubelet and kube-proxy {KUBERNETES}",
    "one to two minutes", _kubernetes("kube-scheduler kubelet kube-proxy"), tuple(KUBERNETES_VERSION_FLAGS))
COREDNS = Kit("coredns", "coredns", "CoreDNS 1.14", "one minute", {"coredns": "."})
HELM = Kit(
    "helm", "helm", "Helm 3.20", "half a minute after Kubernetes, with which it shares modules, else two", {"helm": "helm.sh/helm/v3/cmd/helm"},
    # What a chart is rendered for where no cluster is asked; else it is Kubernetes 1.20.
    ("-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1", "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=35"))
# For comparisons only: no part that tests or the demo need.
KEDA = Kit(
    "keda", "keda", "KEDA 2.21", "five to twenty minutes",
    {"keda-operator": "github.com/kedacore/keda/v2/cmd/operator", "keda-adapter": "github.com/kedacore/keda/v2/cmd/adapter"})
KAFKA = Kit("kafka", "kafka", "Kafka 4.1 (jars)", "half a minute")

KITS = [ETCD, KAFKA, KUBERNETES_API, COREDNS, KUBERNETES_NODE, HELM, KEDA]
PARTS = {
    "control-plane": [ETCD, KUBERNETES_API],
    "node": [KUBERNETES_NODE, COREDNS],
    "kafka": [KAFKA],
    "chart": [HELM],
}
# What is fetched only where it is asked for by name.
ON_DEMAND = {"keda": [KEDA]}


def ensure(parts: list[str]) -> None:
    """Builds what is missing of the named parts. Quick where nothing is missing."""
    packages.ensure(parts)
    known = {**PARTS, **ON_DEMAND}
    wanted = [kit for kit in KITS if any(kit in known[part] for part in parts)]
    missing = [kit for kit in wanted if not kit.folder().is_dir()]
    if not missing:
        return
    packages.ensure_builders(go=any(kit.programs for kit in missing), maven=KAFKA in missing)
    # One lock for all kits: two Go builds at once are slower than one after the other, and may run out of memory.
    with locked("tools"):
        for kit in missing:
            if not kit.folder().is_dir():  # else another run built it while this one waited
                _build(kit)


def program(name: str) -> Path:
    """Where a built program lies. Call `ensure` first. KUBEBUILDER_ASSETS wins for what it holds."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (Path(assets) / name).is_file():
        return Path(assets).resolve() / name
    for kit in KITS:
        if name in kit.programs:
            return kit.folder() / name
    raise KeyError(name)


def control_plane_assets() -> bool:
    """Whether KUBEBUILDER_ASSETS already holds an API server and etcd, so that nothing need be built."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return bool(assets) and all((Path(assets) / name).is_file() for name in ("etcd", "kube-apiserver"))


def kafka_classpath() -> str:
    return str(KAFKA.folder() / "*")


def _build(kit: Kit) -> None:
    target = kit.folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in target.parent.glob(f".{kit.name}-*"):  # what a build cut off in the middle left behind
        shutil.rmtree(old, ignore_errors=True)
    say(f"getting {kit.what}: usually takes {kit.usual} the first time, then never again")
    begin = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix=f".{kit.name}-", dir=target.parent))
    try:
        log = scratch / "build.log"
        _go_install(kit, scratch, log) if kit.programs else _copy_jars(kit, scratch, log)
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say(f"got {kit.what} in {time.monotonic() - begin:.0f} s: {target}")


def _go_install(kit: Kit, into: Path, log: Path) -> None:
    environment = dict(
        os.environ, CGO_ENABLED="0", GOBIN=str(into), GOFLAGS="-trimpath -mod=readonly -buildvcs=false", GOWORK="off")
    ldflags = " ".join(("-s", "-w") + kit.ldflags)
    _run(["go", "install", "-ldflags", ldflags, *kit.programs.values()], kit, environment, log)
    for name, package in kit.programs.items():
        built = into / _installed_name(package, kit)
        if not built.is_file():
            raise Failure(f"go install {package} left no {built.name}")
        built.rename(into / name)


def _installed_name(package: str, kit: Kit) -> str:
    """The file name that `go install` chooses: the last element of the import path that is no major version."""
    if package == ".":
        return kit.recipe
    elements = package.split("/")
    return elements[-2] if elements[-1].startswith("v") and elements[-1][1:].isdigit() else elements[-1]


def _copy_jars(kit: Kit, into: Path, log: Path) -> None:
    command = ["mvn", "-B", "-q", "-Dstyle.color=never", "-f", "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={into}"]
    _run(command, kit, dict(os.environ), log)


def _run(command: list[str], kit: Kit, environment: dict[str, str], log: Path) -> None:
    with open(log, "wb") as output:
        done = subprocess.run(
            command, cwd=RECIPES / kit.recipe, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command[:2])} for {kit.what} failed ({done.returncode}):\n{tail(str(log), 30)}")
