"""A panel of lines over time, with axes and a legend. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass

from . import units
from .answers import Answers
from .dashboard import Look, Panel, legend
from .svg import FAINT, INK, Svg, fit, width

SIZE = 10.5  # of the words at axes and in legends
LINE = 15.0  # height of a line of the legend
MOST_LINES = 2
MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360]


@dataclass(frozen=True)
class Box:
    """Where on the page."""

    x: float
    y: float
    w: float
    h: float


@dataclass
class Line:
    name: str
    look: Look
    points: list[tuple[float, float, float]]  # time, bottom (0, or what it is stacked upon), top


def draw(svg: Svg, panel: Panel, box: Box, answers: Answers) -> bool:
    """Draws it into the box, below its title; tells whether there was anything to draw."""
    lines = _lines(panel, answers)
    if not any(line.points for line in lines):
        svg.text(box.x + box.w / 2, box.y + box.h / 2, "No data", 13, FAINT, "middle")
        return False
    rows = _legend(lines, box.w)
    values = [top for line in lines for _, _, top in line.points]
    marks = units.ticks(max(values), panel.unit, all(value % 1 == 0 for value in values))
    step = marks[1] - marks[0]
    names = [units.written(mark, panel.unit, step=step) for mark in marks]
    left = max(width(name, SIZE) for name in names) + 6
    plot = Box(box.x + left, box.y + 4, box.w - left - 6, box.h - 4 - 18 - LINE * len(rows) - 3)

    def x(at: float) -> float:
        return plot.x + plot.w * (at - answers.begin) / (answers.end - answers.begin)

    def y(value: float) -> float:
        return plot.y + plot.h * (1 - value / marks[-1])

    for mark, name in zip(marks, names):
        svg.line(plot.x, y(mark), plot.x + plot.w, y(mark))
        svg.text(plot.x - 5, y(mark) + 3.5, name, SIZE, FAINT, "end")
    for at in _hours(answers):
        svg.line(x(at), plot.y, x(at), plot.y + plot.h)
        svg.text(x(at), plot.y + plot.h + 14, time.strftime("%H:%M", time.gmtime(at)), SIZE, FAINT, "middle")
    steps = panel.custom.get("lineInterpolation") == "stepAfter"
    for line in lines:
        for run in _runs(line.points, answers.step):
            _run(svg, panel, line, run, steps, x, y)
    for index, row in enumerate(rows):
        at = box.x + 4
        base = box.y + box.h - LINE * (len(rows) - index - 1) - 4
        for name, look in row:
            if look:
                svg.line(at, base - 3.5, at + 12, base - 3.5, look.colour, stroke_width=3, stroke_dasharray=look.dash and "4 3")
            svg.text(at + (16 if look else 0), base, name, SIZE, INK if look else FAINT)
            at += _entry(name)
    return True


def _lines(panel: Panel, answers: Answers) -> list[Line]:
    stacked = panel.custom.get("stacking", {}).get("mode") == "normal"
    lines: list[Line] = []
    below: dict[float, float] = {}
    for query in panel.queries:
        for series in answers.to(query):
            name = legend(query, series.labels)
            points = [(at, below.get(at, 0.0) if stacked else 0.0, value) for at, value in series.points]
            if stacked:
                points = [(at, base, base + value) for at, base, value in points]
                below.update((at, top) for at, _, top in points)
            lines.append(Line(name, panel.look(name, len(lines)), points))
    return lines


def _runs(points: list, step: float) -> list[list]:
    """Cut where something is missing."""
    runs: list[list] = []
    for point in points:
        if not runs or point[0] - runs[-1][-1][0] > step * 1.5:
            runs.append([])
        runs[-1].append(point)
    return runs


def _run(svg: Svg, panel: Panel, line: Line, run: list, steps: bool, x, y) -> None:
    stroke = panel.custom.get("lineWidth", 1) * 0.8
    if len(run) == 1:
        at, _, top = run[0]
        svg.add("circle", cx=x(at), cy=y(top), r=stroke * 1.2, fill=line.look.colour)
        return
    tops = _path([(x(at), y(top)) for at, _, top in run], steps)
    if line.look.fill:
        bottoms = [(x(at), y(bottom)) for at, bottom, _ in run]
        if all(bottom == 0 for _, bottom, _ in run):
            under = f"V{bottoms[0][1]:.1f}H{bottoms[0][0]:.1f}Z"
        else:
            under = "L" + _path(bottoms, steps, back=True)[1:] + "Z"
        svg.add("path", d=tops + under, fill=line.look.colour, fill_opacity=f"{line.look.fill:g}")
    svg.add("path", d=tops, fill="none", stroke=line.look.colour, stroke_width=stroke, stroke_linejoin="round",
            stroke_dasharray=line.look.dash)


def _path(points: list[tuple[float, float]], steps: bool, back: bool = False) -> str:
    """Along these points, straight or in steps that keep each value until the next; points on a level line are left out."""
    if steps:
        corners = [points[0]]
        for (_, before), (at, now) in zip(points, points[1:]):
            corners += [(at, before), (at, now)]
        points = corners
    kept = [point for index, point in enumerate(points)
            if index in (0, len(points) - 1) or not points[index - 1][1] == point[1] == points[index + 1][1]]
    if back:
        kept.reverse()
    return "M" + "L".join(f"{at:.1f} {value:.1f}" for at, value in kept)


def _hours(answers: Answers) -> list[float]:
    """Where the axis of time has words: whole minutes, about five of them."""
    minutes = next((m for m in MINUTES if (answers.end - answers.begin) / 60 / m <= 6), MINUTES[-1])
    step = minutes * 60.0
    first = -(-answers.begin // step) * step
    return [first + step * index for index in range(int((answers.end - first) // step) + 1)]


def _entry(name: str) -> float:
    """The room that a name takes in the legend."""
    return 16 + width(name, SIZE) + 12


def _legend(lines: list[Line], room: float) -> list[list[tuple[str, Look | None]]]:
    """Names in rows. Those for which there is no room are counted at the end."""
    rows: list[list[tuple[str, Look | None]]] = [[]]
    used = 4.0
    for index, line in enumerate(lines):
        name = fit(line.name, SIZE, room - 40)
        rest = len(lines) - index - 1
        last = len(rows) == MOST_LINES
        spare = width(f"and {rest} more", SIZE) + 12 if last and rest else 0
        if used + _entry(name) - 12 + spare > room:
            if last:
                rows[-1].append((f"and {rest + 1} more", None))
                break
            if rows[-1]:
                rows.append([])
                used = 4.0
        rows[-1].append((name, line.look))
        used += _entry(name)
    return rows
