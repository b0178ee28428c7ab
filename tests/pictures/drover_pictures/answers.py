"""What Prometheus answered to each query of a dashboard over some time; kept as a file, so that it can be drawn again."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Callable

from .dashboard import Board, Query


@dataclass
class Series:
    labels: dict[str, str]
    points: list[tuple[float, float]]  # seconds since 1970, value; only what was there


@dataclass
class Answers:
    begin: float
    end: float
    step: float
    scrape: float  # seconds between two looks of Prometheus
    variables: dict[str, str]
    of: dict[str, list[Series]] = field(default_factory=dict)  # by the query; `instant` ones begin with @

    def to(self, query: Query) -> list[Series]:
        return self.of[key(query)]

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self)))

    @staticmethod
    def load(file: Path) -> Answers:
        found = json.loads(file.read_text())
        of = {name: [Series(each["labels"], [(at, value) for at, value in each["points"]]) for each in series]
              for name, series in found.pop("of").items()}
        return Answers(**found, of=of)


def key(query: Query) -> str:
    return ("@" if query.instant else "") + query.expr


def gather(board: Board, answers: Answers, ask: Callable[[str, dict[str, str]], list[dict]]) -> None:
    """Asks for each query of each panel: `ask(path, parameters)` is Prometheus' own API and gives its result."""
    for panel in board.panels:
        for query in panel.queries:
            if query.instant:
                found = ask("query", {"query": query.expr, "time": str(answers.end)})
            else:
                found = ask("query_range", {"query": query.expr, "start": str(answers.begin), "end": str(answers.end),
                                            "step": str(answers.step)})
            answers.of[key(query)] = [_series(each) for each in found]


def _series(found: dict) -> Series:
    values = found.get("values") or [found["value"]]
    points = [(float(at), float(value)) for at, value in values]
    # Not a number is how Prometheus says that it does not know; JSON has no word for it.
    return Series(found["metric"], [(at, value) for at, value in points if math.isfinite(value)])
