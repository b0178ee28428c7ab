"""Panels without an axis of time: a number, bars, a table. Pure."""

from __future__ import annotations

from . import units
from .answers import Answers
from .dashboard import Panel, legend
from .svg import FAINT, GRID, Svg, fit, width
from .timeseries import Box

TRACK = "#eef1f4"


def stat(svg: Svg, panel: Panel, box: Box, answers: Answers) -> bool:
    """One number, large."""
    value = _last(panel, answers)
    if value is None:
        text = panel.defaults.get("noValue", "No data")
    else:
        text = panel.text(value) or units.written(value, panel.unit, panel.defaults.get("decimals"))
    size = min(32.0, 32.0 * box.w / max(width(text, 36.0), 1.0))
    colour = FAINT if value is None else panel.threshold(value)
    svg.text(box.x + box.w / 2, box.y + box.h / 2 + size * 0.3, text, size, colour, "middle", 600)
    return value is not None


def bars(svg: Svg, panel: Panel, box: Box, answers: Answers) -> bool:
    """A bar for each series, from the panel's least to its most."""
    found = [(legend(query, series.labels), series.points[-1][1])
             for query in panel.queries for series in answers.to(query) if series.points]
    if not found:
        return _nothing(svg, panel, box)
    low, high = panel.defaults.get("min", 0), panel.defaults["max"]
    texts = [units.written(value, panel.unit, 1) for _, value in found]
    names = min(max(width(name, 11.5) for name, _ in found) + 8, box.w * 0.45)
    numbers = max(width(text, 13) for text in texts) + 10
    room = box.w - names - numbers - 8
    each = min(box.h / len(found), 34.0)
    for index, ((name, value), text) in enumerate(zip(found, texts)):
        top = box.y + index * each
        colour = panel.threshold(value)
        share = max(0.0, min(1.0, (value - low) / (high - low)))
        svg.text(box.x + 4, top + each / 2 + 4, fit(name, 11.5, names - 6))
        svg.rect(box.x + names, top + 4, room, each - 8, TRACK, rx=2)
        if share > 0:
            svg.rect(box.x + names, top + 4, max(room * share, 2.0), each - 8, colour, rx=2)
        svg.text(box.x + box.w - 6, top + each / 2 + 4.5, text, 13, colour, "end", 600)
    return True


def table(svg: Svg, panel: Panel, box: Box, answers: Answers) -> bool:
    """A row for each series, a column for each label that is shown."""
    columns, rows = _rows(panel, answers)
    if not rows:
        return _nothing(svg, panel, box)
    most = int((box.h - 22) // 23)
    shown = rows if len(rows) <= most else rows[:most - 1]
    left = box.x + 6
    for number, title in enumerate(columns):
        at = left + (box.w - 12) * number / len(columns)
        room = (box.w - 12) / len(columns) - 10
        svg.text(at, box.y + 13, title, 11.5, FAINT, weight=600)
        for index, row in enumerate(shown):
            svg.text(at, box.y + 37 + 23 * index, fit(row[number], 11.5, room))
    for index in range(len(shown) + (len(shown) < len(rows))):
        svg.line(box.x, box.y + 21 + 23 * index, box.x + box.w, box.y + 21 + 23 * index, GRID)
    if len(shown) < len(rows):
        svg.text(left, box.y + 37 + 23 * len(shown), f"and {len(rows) - len(shown)} more", 11.5, FAINT)
    return True


def _rows(panel: Panel, answers: Answers) -> tuple[list[str], list[list[str]]]:
    options: dict = {}
    for transformation in panel.source.get("transformations", []):
        options = transformation["options"]
    excluded, order, names = (options.get(key, {}) for key in ("excludeByName", "indexByName", "renameByName"))
    series = [each for query in panel.queries for each in answers.to(query) if each.points]
    labels = sorted({label for each in series for label in each.labels} | {"Value"}, key=lambda label: order.get(label, 99))
    shown = [label for label in labels if not excluded.get(label)]
    values = [{**each.labels, "Value": units.written(each.points[-1][1], panel.unit)} for each in series]
    rows = sorted([value.get(label, "") for label in shown] for value in values)
    return [names.get(label, label) for label in shown], rows


def _last(panel: Panel, answers: Answers) -> float | None:
    values = [series.points[-1][1] for query in panel.queries for series in answers.to(query) if series.points]
    return values[-1] if values else None


def _nothing(svg: Svg, panel: Panel, box: Box) -> bool:
    """What the panel says itself where there is nothing, which may be good news."""
    svg.text(box.x + box.w / 2, box.y + box.h / 2, panel.defaults.get("noValue", "No data"), 13, FAINT, "middle")
    return False
