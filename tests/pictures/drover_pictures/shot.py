"""A terminal's screen as a picture. Pure."""

from __future__ import annotations

from itertools import groupby

from .cells import Cell, Style
from .svg import Svg

SIZE = 13.0
WIDTH, HEIGHT = 7.9, 18.0  # of a cell
EDGE, BAR = 14.0, 30.0
MONO = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
INK, GROUND, FRAME = "#d7dde5", "#151b23", "#0d1117"
COLOURS = ["#20262e", "#ff6b6b", "#56d364", "#e3b341", "#6cb6ff", "#dcbdfb", "#4fd1d9", "#d7dde5",
           "#768390", "#ff938a", "#7ee787", "#f2cc60", "#91cbff", "#eedcff", "#8ce9ef", "#ffffff"]
BLOCKS = "▁▂▃▄▅▆▇█"


def draw(rows: list[list[Cell]], title: str) -> str:
    """In a window with this title."""
    columns = max(len(row) for row in rows)
    width, height = columns * WIDTH + 2 * EDGE, len(rows) * HEIGHT + BAR + 2 * EDGE - 6
    svg = Svg(width, height, title, "none")
    svg.rect(0, 0, width, height, FRAME, rx=8)
    svg.rect(0, BAR, width, height - BAR - 8, GROUND)
    svg.rect(0, height - 16, width, 16, GROUND, rx=8)
    for index, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        svg.add("circle", cx=18 + 18 * index, cy=BAR / 2, r=5.5, fill=colour)
    svg.text(width / 2, BAR / 2 + 4, title, 12, "#8b949e", "middle", font_family=MONO)
    svg.parts.append(f'<g font-family="{MONO}" font-size="{SIZE:g}" xml:space="preserve">')
    for number, row in enumerate(rows):
        _row(svg, row, BAR + EDGE - 4 + number * HEIGHT)
    svg.parts.append("</g>")
    return str(svg)


def _row(svg: Svg, row: list[Cell], top: float) -> None:
    at = 0
    for (style, kind), group in groupby(row, key=lambda cell: (cell.style, _kind(cell.text))):
        text = "".join(cell.text for cell in group)
        x, wide = EDGE + at * WIDTH, len(text) * WIDTH
        at += len(text)
        ink, ground = colours(style)
        if ground != GROUND:
            svg.rect(x, top, wide, HEIGHT, ground)
        opacity = 0.62 if style.dim else None
        if kind == "block":
            # Drawn, not written: whatever the font, they touch, and stand as high as they should.
            for index, block in enumerate(text):
                tall = (HEIGHT - 4) * (BLOCKS.index(block) + 1) / 8
                svg.rect(x + index * WIDTH, top + HEIGHT - 2 - tall, WIDTH - 0.6, tall, ink, opacity=opacity)
        elif text.strip():
            lead = len(text) - len(text.lstrip())
            words = text.strip()
            # As wide as its cells are, whatever the font.
            svg.add("text", words, x=x + lead * WIDTH, y=top + 13, fill=ink, fill_opacity=opacity,
                    font_weight=700 if style.bold else None, font_style="italic" if style.italic else None,
                    text_decoration="underline" if style.underlined else None,
                    textLength=len(words) * WIDTH, lengthAdjust="spacingAndGlyphs")


def _kind(text: str) -> str:
    return "block" if text in BLOCKS else "text"


def colours(style: Style) -> tuple[str, str]:
    """Ink and ground."""
    ink = _colour(style.ink, INK)
    ground = _colour(style.ground, GROUND)
    return (ground, ink) if style.reversed else (ink, ground)


def _colour(colour: int | str | None, own: str) -> str:
    if colour is None:
        return own
    if isinstance(colour, str):
        return colour
    if colour < 16:
        return COLOURS[colour]
    if colour < 232:
        cube = colour - 16
        levels = [0, 95, 135, 175, 215, 255]
        return "#" + "".join(f"{levels[cube // each % 6]:02x}" for each in (36, 6, 1))
    return "#" + f"{8 + 10 * (colour - 232):02x}" * 3
