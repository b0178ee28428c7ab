"""Reads the Dockerfiles of examples, so that what a user builds with a container engine is what the tests run.

A small part of the language, and anything else is an error: FROM debian:SUITE-slim, one RUN that installs Debian
packages and nothing else, COPY . ., and WORKDIR, ENV, USER and CMD or ENTRYPOINT in their JSON form.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from .say import Failure

INSTALL = re.compile(
    r"apt-get update && apt-get install -y --no-install-recommends ([a-z0-9.+ -]+?) && rm -rf /var/lib/apt/lists/\*")


@dataclass
class Recipe:
    suite: str = ""
    packages: list[str] = field(default_factory=list)
    folder: str = "/"
    copies: bool = False
    environment: list[str] = field(default_factory=list)
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def read(path: Path) -> Recipe:
    recipe = Recipe()
    for line in _lines(path):
        word, _, rest = line.partition(" ")
        try:
            _take(recipe, word, rest.strip())
        except ValueError as error:
            raise Failure(f"{path}: cannot do {line!r}: {error}") from error
    if not recipe.suite or not recipe.user:
        raise Failure(f"{path}: FROM and USER are missing")
    return recipe


def _lines(path: Path) -> list[str]:
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def _take(recipe: Recipe, word: str, rest: str) -> None:
    if word == "FROM":
        found = re.fullmatch(r"debian:([a-z]+)-slim", rest)
        if not found:
            raise ValueError("only debian:SUITE-slim")
        recipe.suite = found[1]
    elif word == "RUN":
        found = INSTALL.fullmatch(rest)
        if not found or recipe.packages:
            raise ValueError("only one, which installs Debian packages")
        recipe.packages = found[1].split()
    elif word == "COPY":
        if rest != ". .":
            raise ValueError("only COPY . .")
        recipe.copies = True
    elif word == "WORKDIR":
        recipe.folder = rest
    elif word == "ENV":
        recipe.environment.append(rest)
    elif word == "USER":
        recipe.user = rest
    elif word == "ENTRYPOINT":
        recipe.entrypoint = json.loads(rest)
    elif word == "CMD":
        recipe.command = json.loads(rest)
    else:
        raise ValueError("this word is not known here")
