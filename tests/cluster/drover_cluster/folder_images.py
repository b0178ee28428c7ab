"""Container images of folders with a Dockerfile, without a container engine: Debian's packages, and the folder's files.

Deterministic but for what Debian has under a package's name on the day it was fetched.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from . import debian, dockerfile, images
from .say import Failure


def build(folders: dict[str, Path], out: Path) -> None:
    """Writes one archive with an image for each folder that has a Dockerfile (`dockerfile` says what may be in one).

    They share one layer with the Debian packages of all of them, and have one each with what is in the folder.
    """
    recipes = {name: dockerfile.read(folder / "Dockerfile") for name, folder in folders.items()}
    suites = {recipe.suite for recipe in recipes.values()}
    if len(suites) != 1:
        raise Failure(f"the Dockerfiles are FROM different releases of Debian: {', '.join(sorted(suites))}")
    base = debian.layer(suites.pop(), [package for recipe in recipes.values() for package in recipe.packages])
    described = _descriptor_of_file(base)
    manifests, blobs = {}, []
    for name, recipe in recipes.items():
        own = _layer(folders[name], recipe)
        config = images.to_json({
            "architecture": images.architecture(),
            "os": "linux",
            "config": {
                "User": recipe.user,
                **({"Entrypoint": recipe.entrypoint} if recipe.entrypoint else {}),
                **({"Cmd": recipe.command} if recipe.command else {}),
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", *recipe.environment],
                "WorkingDir": recipe.folder,
            },
            "rootfs": {"type": "layers", "diff_ids": [described["digest"], images.digest(own)]},
        })
        manifests[name] = images.manifest(config, [described, images.descriptor(images.LAYER, own)])
        blobs += [config, own]
    images.write(out, manifests, blobs, {described["digest"]: base})


def _layer(folder: Path, recipe: dockerfile.Recipe) -> bytes:
    """The folder's files where the Dockerfile copies them to, readable for everybody, root's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as layer:
        inside = recipe.folder.strip("/")
        paths = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts) if recipe.copies else []
        for path in [folder, *paths]:
            name = "/".join([inside, *path.relative_to(folder).parts])
            entry = layer.gettarinfo(str(path), arcname=name)
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644
            with open(path, "rb") if path.is_file() else io.BytesIO() as content:
                layer.addfile(entry, content if path.is_file() else None)
    return buffer.getvalue()


def _descriptor_of_file(path: Path) -> dict:
    digest = hashlib.sha256()
    with open(path, "rb") as content:
        for part in iter(lambda: content.read(1 << 20), b""):
            digest.update(part)
    return {"mediaType": images.LAYER, "digest": f"sha256:{digest.hexdigest()}", "size": path.stat().st_size}
