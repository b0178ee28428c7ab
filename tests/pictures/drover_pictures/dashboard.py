"""A dashboard's own file: its panels with their places, queries, units and colours. Pure, but for reading it.

What is met and not understood is an error: a picture that leaves something out would not be one of the dashboard.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "charts" / "drover" / "dashboards"
BOARDS = ("fleets", "fleet")
TYPES = ("row", "stat", "bargauge", "table", "timeseries")

# Grafana's, in the shades that it has for light pages.
NAMED = {"green": "#56a64b", "red": "#e02f44", "orange": "#ff780a", "yellow": "#f2cc0c", "blue": "#3274d9",
         "purple": "#a352cc", "gray": "#8e8e8e", "text": "#1f2933"}
PALETTE = ["#56a64b", "#f2cc0c", "#8ab8ff", "#ff780a", "#e02f44", "#3274d9", "#a352cc", "#705da0", "#37872d", "#fade2a",
           "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477"]

OVERRIDES = {"color", "custom.lineStyle", "custom.fillOpacity"}


class NotUnderstood(Exception):
    """Something in a dashboard that cannot be drawn yet; says what and where."""


@dataclass(frozen=True)
class Query:
    expr: str
    legend: str  # with {{label}}; empty where it has none
    instant: bool


@dataclass(frozen=True)
class Look:
    """How one series of a panel is drawn."""

    colour: str
    dash: str | None
    fill: float  # opacity, 0 to 1


@dataclass
class Panel:
    type: str
    title: str
    description: str
    x: int
    y: int
    w: int
    h: int
    queries: list[Query] = field(default_factory=list)
    source: dict = field(default_factory=dict)

    @property
    def defaults(self) -> dict:
        return self.source["fieldConfig"]["defaults"]

    @property
    def custom(self) -> dict:
        return self.defaults.get("custom", {})

    @property
    def unit(self) -> str:
        return self.defaults["unit"]

    def look(self, name: str, index: int) -> Look:
        """Of the series with this name, the one with this number in its panel."""
        colour, dash, fill = PALETTE[index % len(PALETTE)], None, self.custom.get("fillOpacity", 0)
        for override in self.source["fieldConfig"]["overrides"]:
            if override["matcher"] != {"id": "byName", "options": name}:
                continue
            for each in override["properties"]:
                if each["id"] == "color":
                    colour = NAMED[each["value"]["fixedColor"]]
                elif each["id"] == "custom.lineStyle":
                    dash = " ".join(str(length) for length in each["value"]["dash"])
                else:
                    fill = each["value"]
        return Look(colour, dash, fill / 100)

    def threshold(self, value: float | None) -> str:
        """The colour of a value."""
        steps = self.defaults["thresholds"]["steps"]
        reached = [step for step in steps if step["value"] is None or (value is not None and value >= step["value"])]
        return NAMED[reached[-1]["color"]]

    def text(self, value: float) -> str | None:
        """A word that stands for this value."""
        for mapping in self.defaults.get("mappings", []):
            if found := mapping["options"].get(f"{value:g}"):
                return found["text"]
        return None


@dataclass
class Board:
    title: str
    panels: list[Panel]


def read(name: str, variables: dict[str, str]) -> Board:
    """A dashboard of the chart, with values for `$consumer` and the like."""
    return parse(json.loads((FOLDER / f"{name}.json").read_text()), variables)


def parse(source: dict, variables: dict[str, str]) -> Board:
    return Board(source["title"], [_panel(each, variables) for each in source["panels"]])


def _panel(source: dict, variables: dict[str, str]) -> Panel:
    kind, title, place = source["type"], source["title"], source["gridPos"]
    if kind not in TYPES:
        raise NotUnderstood(f"{title}: panels of the type {kind} cannot be drawn yet")
    panel = Panel(kind, title, source.get("description", ""), place["x"], place["y"], place["w"], place["h"], source=source)
    if kind == "row":
        return panel
    for target in source["targets"]:
        expr = _filled(target["expr"], variables, title)
        panel.queries.append(Query(expr, target.get("legendFormat") or "", bool(target.get("instant"))))
    for override in source["fieldConfig"]["overrides"]:
        ids = {each["id"] for each in override["properties"]}
        if override["matcher"]["id"] != "byName" or not ids <= OVERRIDES:
            raise NotUnderstood(f"{title}: the override {override} cannot be drawn yet")
    others = [each["id"] for each in source.get("transformations", []) if each["id"] != "organize" or kind != "table"]
    if others:
        raise NotUnderstood(f"{title}: the transformation {others[0]} cannot be drawn yet")
    return panel


def _filled(expr: str, variables: dict[str, str], title: str) -> str:
    for name, value in variables.items():
        expr = re.sub(r"\$(?:\{" + name + r"\}|" + name + r"\b)", lambda _: value, expr)
    if "$" in expr:
        raise NotUnderstood(f"{title}: nothing is known for a variable in {expr}")
    return expr


def legend(query: Query, labels: dict[str, str]) -> str:
    """What a series is called. Without a format its labels say it, as in Grafana."""
    if not query.legend:
        return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "value"
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), query.legend).strip()
