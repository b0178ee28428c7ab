"""Programs that come with the operating system: found, installed with apt-get where we may, else listed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .cache import locked
from .say import Failure, say, tail

# program or file -> Debian package. A list of paths: any one of them will do.
CERTIFICATES = {"openssl": "openssl"}
NODE = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "busybox": "busybox-static",
}
BROKER = {"java": "default-jre-headless"}

PARTS = {"control-plane": CERTIFICATES, "node": NODE, "kafka": BROKER, "chart": {}, "keda": CERTIFICATES}

CNI_FOLDERS = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"]
CNI_PACKAGE = "containernetworking-plugins"


def ensure(parts: list[str]) -> None:
    """Makes sure that the named parts have what they need of the system; control-plane certificates always."""
    wanted: dict[str, str] = {}
    for part in parts:
        wanted.update(PARTS[part])
    missing = {package for name, package in wanted.items() if find(name) is None}
    if "node" in parts and cni_folder() is None:
        missing.add(CNI_PACKAGE)
    install(missing)


def ensure_builders(go: bool, maven: bool) -> None:
    """Makes sure that the compilers are there which a build is about to call."""
    # Go is not installed for the caller: a distribution's is often older than what these modules ask for.
    if go and find("go") is None:
        raise Failure("the program go is missing; install Go 1.25 or newer and put it into PATH")
    if maven and find("mvn") is None:
        install({"maven"})


def find(name: str) -> str | None:
    """The path of a program. The sbin folders are looked at too: not every PATH has them."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")


def cni_folder() -> str | None:
    return next((folder for folder in CNI_FOLDERS if (Path(folder) / "host-local").exists()), None)


def install(missing: set[str]) -> None:
    if not missing:
        return
    names = sorted(missing)
    if os.geteuid() != 0 or find("apt-get") is None:
        raise Failure(
            "these packages are missing (Debian's names): " + " ".join(names)
            + "\ninstall them as root, for example: apt-get install --no-install-recommends " + " ".join(names))
    say(f"installing Debian packages, usually takes under a minute: {' '.join(names)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    options = ["-o", "DPkg::Lock::Timeout=300", "-q", "-y"]
    with locked("apt"):
        log_path = "/tmp/drover-apt.log"
        with open(log_path, "wb") as log:
            for arguments in (["update"], ["install", "--no-install-recommends", *names]):
                done = subprocess.run(
                    ["apt-get", *options, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise Failure(f"apt-get install {' '.join(names)} failed:\n{tail(log_path, 30)}")
