"""Elements of SVG, as text; and about how wide words are."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

INK = "#1f2933"
FAINT = "#7b8794"
GRID = "#e4e7eb"
FONT = "Inter, Helvetica, Arial, sans-serif"

# Shares of the font's size, on the wide side: whose font it will be is not known.
NARROW, WIDE = set("ijl.,:;|!'()[]{}It/ "), set("mwMW@%")


class Svg:
    """A picture of this size that grows element by element."""

    def __init__(self, width: float, height: float, title: str, background: str = "white") -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {num(width)} {num(height)}" width="{num(width)}" '
            f'height="{num(height)}" role="img" font-family="{FONT}">',
            f"<title>{escape(title)}</title>",
            f'<rect width="100%" height="100%" fill="{background}"/>',
        ]

    def add(self, name: str, inside: str | None = None, **attributes: object) -> None:
        """An element; `font_size=3` is written font-size="3", and what is None is left out."""
        written = "".join(f" {key.rstrip('_').replace('_', '-')}={quoteattr(num(value))}"
                          for key, value in attributes.items() if value is not None)
        self.parts.append(f"<{name}{written}/>" if inside is None else f"<{name}{written}>{escape(inside)}</{name}>")

    def text(self, x: float, y: float, text: str, size: float = 11.5, fill: str = INK, anchor: str | None = None,
             weight: int | None = None, **more: object) -> None:
        self.add("text", text, x=x, y=y, font_size=size, fill=fill, text_anchor=anchor, font_weight=weight, **more)

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = GRID, **more: object) -> None:
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **more)

    def rect(self, x: float, y: float, width: float, height: float, fill: str, **more: object) -> None:
        self.add("rect", x=x, y=y, width=width, height=height, fill=fill, **more)

    def __str__(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def num(value: object) -> str:
    """A tenth of a pixel is enough."""
    if isinstance(value, float):
        return f"{value:.1f}".rstrip("0").rstrip(".")
    return str(value)


def width(text: str, size: float) -> float:
    """Pixels that a text takes, about."""
    return size * sum(0.34 if c in NARROW else 0.9 if c in WIDE else 0.7 if c.isupper() else 0.58 for c in text)


def fit(text: str, size: float, room: float) -> str:
    """The text, cut where there is no room for all of it."""
    if width(text, size) <= room:
        return text
    while text and width(text + "…", size) > room:
        text = text[:-1]
    return text + "…"
