"""A dashboard as a picture: each panel at its place, with its title. Pure."""

from __future__ import annotations

from . import plain, timeseries
from .answers import Answers
from .dashboard import Board, Panel
from .svg import FAINT, INK, Svg, fit
from .timeseries import Box

WIDTH = 1100.0
COLUMNS = 24
UNIT = 30.0  # height of one line of Grafana's grid
GAP = 8.0
MARGIN = 12.0
HEAD = 56.0
TITLE = 28.0
FOOT = 26.0
PAGE, PANEL, EDGE = "#f4f5f5", "white", "#dfe3e8"

DRAW = {"stat": plain.stat, "bargauge": plain.bars, "table": plain.table, "timeseries": timeseries.draw}


def draw(board: Board, answers: Answers) -> tuple[str, list[str]]:
    """The picture, and the titles of the panels for which Prometheus had nothing."""
    height = HEAD + UNIT * max(panel.y + panel.h for panel in board.panels) + FOOT
    svg = Svg(WIDTH, height, board.title, PAGE)
    svg.text(MARGIN + 4, 27, board.title, 18, INK, weight=600)
    svg.text(MARGIN + 4, 45, _about(answers), 11.5, FAINT)
    empty = [panel.title for panel in board.panels if not _panel(svg, panel, answers)]
    text = "Panels without data: " + ", ".join(empty) if empty else "Every panel has data."
    svg.text(MARGIN + 4, height - 10, fit(text, 10.5, WIDTH - 2 * MARGIN - 8), 10.5, FAINT)
    return str(svg), empty


def _about(answers: Answers) -> str:
    chosen = "".join(f"Fleet: {answers.variables[name]}  ·  " for name in ("consumer",) if name in answers.variables)
    minutes = (answers.end - answers.begin) / 60
    return (f"{chosen}{minutes:.0f} minutes of the demo's cluster, read by Prometheus every {answers.scrape:g} s and drawn by "
            f"make pictures from the dashboard's file; times are UTC")


def _panel(svg: Svg, panel: Panel, answers: Answers) -> bool:
    column = (WIDTH - 2 * MARGIN + GAP) / COLUMNS
    box = Box(MARGIN + column * panel.x, HEAD + UNIT * panel.y, column * panel.w - GAP, UNIT * panel.h - GAP)
    if panel.type == "row":
        svg.text(box.x + 4, box.y + 17, panel.title, 13.5, INK, weight=600)
        return True
    svg.parts.append("<g>")
    svg.add("title", panel.description)
    svg.rect(box.x, box.y, box.w, box.h, PANEL, stroke=EDGE, rx=3)
    svg.text(box.x + 10, box.y + 19, fit(panel.title, 12.5, box.w - 20), 12.5, INK, weight=600)
    inside = Box(box.x + 8, box.y + TITLE, box.w - 16, box.h - TITLE - 4)
    has_data = DRAW[panel.type](svg, panel, inside, answers)
    svg.parts.append("</g>")
    return has_data
