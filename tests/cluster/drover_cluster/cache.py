"""The folder outside git where built programs, reservations and the default cluster live, and its locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Iterator

from .say import say


def cache_dir() -> Path:
    return Path(os.environ.get("DROVER_CACHE") or Path.home() / ".cache" / "drover").resolve()


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the lock `name` of this cache.

    The descriptor is not inherited by children (Python's default), so a long-lived child never keeps the lock.
    """
    folder = cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds the lock {file.name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
