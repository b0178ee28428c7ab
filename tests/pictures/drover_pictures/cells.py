"""What a terminal shows: a screen of cells, each a character in its colours. Pure.

It understands what `drover top` writes. A sequence that it does not is an error, since the picture would be another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

SEQUENCE = re.compile(r"\x1b\[([<-?]?)([0-9;:]*)([@-~])")
# Modes that change nothing of what is seen: the cursor, wrapping, bracketed paste, mouse, synchronised drawing.
UNSEEN_MODES = {"25", "7", "1000", "1002", "1003", "1004", "1006", "1015", "2004", "2026"}


@dataclass(frozen=True)
class Style:
    """Colours are numbers of the 256 that terminals have, or "#rrggbb"; None is the terminal's own."""

    ink: int | str | None = None
    ground: int | str | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underlined: bool = False
    reversed: bool = False


PLAIN = Style()


@dataclass(frozen=True)
class Cell:
    text: str = " "
    style: Style = PLAIN


class NotUnderstood(Exception):
    """A sequence that changes the screen in a way that is not known here."""


class Cells:
    """A screen of so many columns and lines."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.is_alternate = False
        self._style = PLAIN
        self._x = self._y = 0
        self._rest = b""
        self._clear()

    def take(self, data: bytes) -> None:
        """Obeys what the program has written; what is not whole yet waits for the rest."""
        data = self._rest + data
        whole = data
        while whole:  # a character may be cut in the middle
            try:
                text = whole.decode()
                break
            except UnicodeDecodeError as error:
                if len(data) - error.start > 3:
                    raise
                whole = whole[:error.start]
        else:
            text = ""
        cut = text.rfind("\x1b")
        if cut >= 0 and not SEQUENCE.match(text, cut) and len(text) - cut < 32:
            text = text[:cut]
        self._rest = data[len(text.encode()):]
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = SEQUENCE.match(text, at)
                if not found:
                    raise NotUnderstood(repr(text[at:at + 12]))
                self._obey(found[1], found[2], found[3])
                at = found.end()
            else:
                self._put(text[at])
                at += 1

    def rows(self) -> list[list[Cell]]:
        return [list(row) for row in self._rows]

    def text(self) -> str:
        return "\n".join("".join(cell.text for cell in row).rstrip() for row in self._rows)

    def _clear(self) -> None:
        self._rows = [[Cell()] * self.columns for _ in range(self.lines)]

    def _put(self, character: str) -> None:
        if character == "\r":
            self._x = 0
        elif character == "\n":
            self._y = min(self._y + 1, self.lines - 1)
        elif character < " ":
            raise NotUnderstood(repr(character))
        elif self._x < self.columns:
            self._rows[self._y][self._x] = Cell(character, self._style)
            self._x += 1

    def _obey(self, private: str, parameters: str, last: str) -> None:
        numbers = [int(each) if each else None for each in parameters.replace(":", ";").split(";")]
        first = numbers[0]
        if private == "?" and last in "hl":
            for number in parameters.split(";"):
                if number == "1049":
                    self.is_alternate = last == "h"
                    self._clear()
                elif number not in UNSEEN_MODES:
                    raise NotUnderstood(f"mode {number}")
        elif private:
            raise NotUnderstood(f"{private}{parameters}{last}")
        elif last == "H":
            second = numbers[1] if len(numbers) > 1 else None
            self._y = min((first or 1), self.lines) - 1
            self._x = min((second or 1), self.columns) - 1
        elif last in "ABCD":
            by = first or 1
            self._y = max(0, min(self.lines - 1, self._y + {"A": -by, "B": by}.get(last, 0)))
            self._x = max(0, min(self.columns - 1, self._x + {"C": by, "D": -by}.get(last, 0)))
        elif last == "J" and first == 2:
            self._clear()
        elif last == "J" and not first:
            for y in range(self._y, self.lines):
                self._erase(y, self._x if y == self._y else 0)
        elif last == "K" and not first:
            self._erase(self._y, self._x)
        elif last == "m":
            self._style = styled(self._style, [number or 0 for number in numbers])
        else:
            raise NotUnderstood(f"{parameters}{last}")

    def _erase(self, y: int, begin: int) -> None:
        self._rows[y][begin:] = [Cell()] * (self.columns - begin)


def styled(style: Style, numbers: list[int]) -> Style:
    """The style after these parameters of `CSI … m`."""
    rest = list(numbers)
    while rest:
        n = rest.pop(0)
        if n == 0:
            style = PLAIN
        elif n in (38, 48, 58):
            colour = _extended(rest)
            if n != 58:  # of the line below a text, which is drawn in the text's colour
                style = replace(style, **{"ink" if n == 38 else "ground": colour})
        elif n in SWITCHES:
            style = replace(style, **SWITCHES[n])
        elif 30 <= n <= 37 or 90 <= n <= 97:
            style = replace(style, ink=n - 30 if n < 90 else n - 82)
        elif 40 <= n <= 47 or 100 <= n <= 107:
            style = replace(style, ground=n - 40 if n < 100 else n - 92)
        elif n != 59:
            raise NotUnderstood(f"{n}m")
    return style


SWITCHES = {1: {"bold": True}, 2: {"dim": True}, 3: {"italic": True}, 4: {"underlined": True}, 7: {"reversed": True},
            22: {"bold": False, "dim": False}, 23: {"italic": False}, 24: {"underlined": False}, 27: {"reversed": False},
            39: {"ink": None}, 49: {"ground": None}}


def _extended(rest: list[int]) -> int | str:
    kind = rest.pop(0)
    if kind == 5:
        return rest.pop(0)
    if kind == 2:
        return "#" + "".join(f"{rest.pop(0):02x}" for _ in range(3))
    raise NotUnderstood(f"38;{kind}m")
