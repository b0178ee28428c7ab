"""Container images without a container engine: one static binary, one layer, an OCI archive.

Deterministic: the archive depends on the name, the binary's content and the entry point, and on nothing else.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

from .packages import find
from .say import Failure

PAUSE = "drover.local/pause:1"
BUSYBOX = "drover.local/busybox:1"
NONROOT = 65532

PASSWD = f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{NONROOT}:{NONROOT}:nonroot:/home/nonroot:/sbin/nologin\n"
GROUP = f"root:x:0:\nnonroot:x:{NONROOT}:\n"

LAYER = "application/vnd.oci.image.layer.v1.tar"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def build(name: str, binary: Path, out: Path, entrypoint: str | None = None, command: list[str] | None = None,
          links: list[str] | None = None) -> str:
    """Writes the archive `out` with the image `name`; returns the image's digest.

    `links` are names in /bin that lead to the binary (busybox goes by the name it is called by).
    """
    path = entrypoint or f"/{binary.name}"
    try:
        content = binary.read_bytes()
    except OSError as error:
        raise Failure(f"cannot read the binary {binary}: {error.strerror}") from error
    _must_be_static(binary, content)
    layer = _layer(content, path, links or [])
    config = to_json({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "User": f"{NONROOT}:{NONROOT}",
            "Entrypoint": [path],
            **({"Cmd": command} if command else {}),
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    })
    made = manifest(config, [descriptor(LAYER, layer)])
    write(out, {name: made}, [config, layer])
    return digest(made)


def build_own(folder: Path) -> list[Path]:
    """The images that the cluster itself needs and tests may use: pause, and busybox with a shell."""
    busybox = find("busybox")
    if not busybox:
        raise Failure("the program busybox is missing; run `cluster tools`")
    pause, shell = folder / "pause.tar", folder / "busybox.tar"
    names = "sh sleep cat echo ls true false wget nc date env id ps grep head tail printf seq touch kill".split()
    build(PAUSE, Path(busybox), pause, "/bin/busybox", ["sleep", "2147483647"], ["sleep"])
    build(BUSYBOX, Path(busybox), shell, "/bin/busybox", ["sleep", "2147483647"], names)
    return [pause, shell]


def names_in(archive: Path) -> list[str]:
    """The image names that an archive holds."""
    with tarfile.open(archive) as tar:
        index = json.load(tar.extractfile("index.json"))
    return [each["annotations"]["io.containerd.image.name"] for each in index["manifests"]]


def architecture() -> str:
    return ARCHITECTURES.get(os.uname().machine, os.uname().machine)


def manifest(config: bytes, layers: list[dict]) -> bytes:
    return to_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    })


def write(out: Path, manifests: dict[str, bytes], blobs: list[bytes], files: dict[str, Path] | None = None) -> None:
    """The archive with these images; `files` are blobs that need not be in memory, by their digest."""
    index = to_json({
        "schemaVersion": 2,
        "manifests": [{
            **descriptor("application/vnd.oci.image.manifest.v1+json", each),
            "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": _tag(name)},
        } for name, each in manifests.items()],
    })
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.with_name(f".{out.name}.{os.getpid()}")
    with tarfile.open(scratch, "w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, "oci-layout", to_json({"imageLayoutVersion": "1.0.0"}), 0o644)
        _add(archive, "index.json", index, 0o644)
        for sha256, blob in {digest(blob): blob for blob in [*blobs, *manifests.values()]}.items():
            _add(archive, _blob(sha256), blob, 0o644)
        for sha256, path in (files or {}).items():
            entry = _entry(_blob(sha256), 0o644)
            entry.size = path.stat().st_size
            with open(path, "rb") as content:
                archive.addfile(entry, content)
    scratch.rename(out)


def _blob(sha256: str) -> str:
    return "blobs/sha256/" + sha256.removeprefix("sha256:")


def _must_be_static(binary: Path, content: bytes) -> None:
    if content[:4] != b"\x7fELF":
        raise Failure(f"{binary} is no Linux program (ELF)")
    # A program header of type PT_INTERP (3) names the loader of a dynamic program; the image would have none.
    offset = int.from_bytes(content[32:40], "little")
    size, count = (int.from_bytes(content[at:at + 2], "little") for at in (54, 56))
    headers = (content[offset + size * i:offset + size * i + 4] for i in range(count))
    if any(header == b"\x03\0\0\0" for header in headers):
        raise Failure(f"{binary} is linked dynamically and would not start alone in an image; link it statically"
                      " (Rust: -C target-feature=+crt-static)")


def _layer(binary: bytes, path: str, links: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        folders = {"etc", "tmp"} | {str(parent) for parent in Path(path.lstrip("/")).parents if str(parent) != "."}
        if links:
            folders.add("bin")
        for folder in sorted(folders):
            entry = _entry(folder, 0o1777 if folder == "tmp" else 0o755)
            entry.type = tarfile.DIRTYPE
            layer.addfile(entry)
        _add(layer, "etc/passwd", PASSWD.encode(), 0o644)
        _add(layer, "etc/group", GROUP.encode(), 0o644)
        _add(layer, path.lstrip("/"), binary, 0o755)
        for link in links:
            entry = _entry(f"bin/{link}", 0o777)
            entry.type, entry.linkname = tarfile.SYMTYPE, path
            layer.addfile(entry)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = _entry(name, mode)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _entry(name: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)  # owner 0:0 and time 0 by default
    entry.mode = mode
    return entry


def descriptor(media_type: str, content: bytes) -> dict:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def to_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _tag(name: str) -> str:
    last = name.rsplit("/", 1)[-1]
    return last.split(":", 1)[1] if ":" in last else "latest"
