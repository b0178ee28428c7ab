"""The folder outside git where built programs, reservations and the default cluster live, and its locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO, Iterator

from .say import say


def cache_dir() -> Path:
    return Path(os.environ.get("DROVER_CACHE") or Path.home() / ".cache" / "drover").resolve()


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the lock `name` of this cache. Its file goes with it.

    The descriptor is not inherited by children (Python's default), so a long-lived child never keeps the lock.
    """
    folder = cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lock"
    while True:
        with open(path, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another run that holds the lock {path}")
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, path):
                continue  # whoever held it took the file away
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether `path` still is that very file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
