"""A root file system of Debian packages, without a container engine: downloaded by apt, unpacked, nothing installed.

What the packages need comes with them; their scripts are not run. Kept in the cache as one layer, by what it holds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from .cache import cache_dir, locked
from .say import Failure, say, tail

# What debian:SUITE-slim has and the programs here need: the folders, a shell, and env.
BASE = ["base-files", "dash", "coreutils"]
# Nobody reads these in a pod.
LEFT_OUT = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian"]
# Changed when the layer is made in another way.
FORM = "1"

SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
# Where it is still in the older form, one line each.
OLDER_SOURCES = Path("/etc/apt/sources.list")


def has_packages() -> bool:
    """Whether this machine has Debian's packages to make a layer of."""
    return shutil.which("apt-get") is not None and bool(_sources("trixie"))


def layer(suite: str, packages: list[str]) -> Path:
    """The layer with these packages, a tar archive in the cache, named by its digest's file beside it."""
    wanted = sorted({*BASE, *packages})
    key = hashlib.sha256(" ".join([FORM, suite, os.uname().machine, *wanted]).encode()).hexdigest()[:12]
    folder = cache_dir() / "debian" / key
    with locked(f"debian-{key}"):
        if not folder.is_dir():
            _make(suite, wanted, folder)
    return folder / "layer.tar"


def _make(suite: str, packages: list[str], folder: Path) -> None:
    say(f"fetching {' '.join(packages)} of Debian {suite}, once")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        root = scratch / "root"
        root.mkdir()
        for package in _download(suite, packages, scratch):
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
        for name in LEFT_OUT:
            shutil.rmtree(root / name, ignore_errors=True)
        done = scratch / "done"
        done.mkdir()
        _pack(root, done / "layer.tar")
        done.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(suite: str, packages: list[str], scratch: Path) -> list[Path]:
    """From the same mirrors as this machine's own packages, but of another release."""
    sources = _sources(suite)
    if not sources:
        raise Failure("no sources of Debian's packages in /etc/apt: images of examples are made of them, on Debian 12 or later")
    for part in ("lists/partial", "cache/archives/partial", "sources"):
        (scratch / part).mkdir(parents=True)
    for name, text in sources.items():
        (scratch / "sources" / name).write_text(text)
    # Nothing counts as installed, so all that is needed comes.
    (scratch / "status").touch()
    apt = ["apt-get", "-q", "-y", "-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={scratch}/sources",
           "-o", f"Dir::State::Lists={scratch}/lists", "-o", f"Dir::Cache={scratch}/cache",
           "-o", f"Dir::State::status={scratch}/status", "-o", "APT::Sandbox::User=root"]
    log = scratch / "log"
    with open(log, "wb") as out:
        for command in (["update"], ["install", "--download-only", "--no-install-recommends", *packages]):
            if subprocess.call(apt + command, stdin=subprocess.DEVNULL, stdout=out, stderr=out) != 0:
                raise Failure(f"apt-get {command[0]} of Debian {suite} failed:\n{tail(str(log))}")
    return sorted((scratch / "cache" / "archives").glob("*.deb"))


def _sources(suite: str) -> dict[str, str]:
    """This machine's sources of Debian's packages, as files for apt, but of another release."""
    if SOURCES.is_file():
        lines = SOURCES.read_text().splitlines(keepends=True)
        return {"debian.sources": "".join(_of_suite(line, suite) for line in lines)}
    if not OLDER_SOURCES.is_file():
        return {}
    lines = [line.split() for line in OLDER_SOURCES.read_text().splitlines()]
    mirrors = [line[1] for line in lines if len(line) >= 4 and line[0] == "deb" and line[1].rstrip("/").endswith("/debian")]
    return {"debian.list": f"deb {mirrors[0]} {suite} main\n"} if mirrors else {}


def _of_suite(line: str, suite: str) -> str:
    if not line.startswith("Suites:"):
        return line
    return f"Suites: {suite}-security\n" if line.rstrip().endswith("-security") else f"Suites: {suite}\n"


def _pack(root: Path, out: Path) -> None:
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(root, arcname=".", recursive=False, filter=_nobodys)
        for path in sorted(root.rglob("*")):
            archive.add(path, arcname=str(path.relative_to(root)), recursive=False, filter=_nobodys)


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode &= 0o1777  # nothing in a pod of ours is setuid
    return entry
