"""What can be asked for, and cleaning up whatever happens."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from drover_demo.kube import Kube
from drover_demo.screen import Screen
from drover_demo.shell import ROOT, Failure
from drover_demo.stage import Stage

from . import board, dashboard, shot, story
from .answers import Answers
from .cells import Cell, Style

IMAGES = ROOT / "docs" / "images"
SEEN = ROOT / "target" / "pictures"
TITLE = "drover top -A"


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    screen = Screen()
    try:
        code = 0 if asked.verb == "draw" else _look(asked, screen)
        if code == 0:
            _draw(asked, screen)
        return code
    except Failure as failure:
        screen.line(f"\n{screen.paint('red', 'pictures:')} {failure}")
        return 1


def _look(asked: argparse.Namespace, screen: Screen) -> int:
    """What there is to be seen goes into a folder, and the cluster away."""
    # SIGTERM ends it as Ctrl-C does: with cleaning up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    the_stage = Stage(asked.dir, asked.bin, asked.images, screen)
    kube = None
    try:
        the_stage.build()
        kube = Kube(the_stage.environment)
        _keep(story.tell(the_stage, kube, screen), asked.seen)
        return 0
    except (Failure, OSError) as failure:
        screen.line(f"\n{screen.paint('red', 'pictures:')} {failure}")
        the_stage.explain()
        return 1
    except KeyboardInterrupt:
        screen.line("\ninterrupted")
        return 130
    finally:
        # A second Ctrl-C would leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if kube:
            kube.close()
        the_stage.strike()


def _keep(seen: story.Seen, folder: Path) -> None:
    for name, answers in seen.boards.items():
        answers.save(folder / f"{name}.json")
    rows = [[[cell.text, asdict(cell.style)] for cell in row] for row in seen.top]
    (folder / "top.json").write_text(json.dumps(rows))


def _draw(asked: argparse.Namespace, screen: Screen) -> None:
    asked.out.mkdir(parents=True, exist_ok=True)
    if not (asked.seen / "top.json").exists():
        raise Failure(f"there is nothing to draw in {asked.seen}; make pictures looks at a cluster first")
    for name in dashboard.BOARDS:
        answers = Answers.load(asked.seen / f"{name}.json")
        svg, empty = board.draw(dashboard.read(name, answers.variables), answers)
        _write(asked.out / f"dashboard-{name}.svg", svg, screen)
        if empty:
            screen.line(f"    panels without data: {', '.join(empty)}")
    rows = json.loads((asked.seen / "top.json").read_text())
    cells = [[Cell(text, Style(**style)) for text, style in row] for row in rows]
    _write(asked.out / "top.svg", shot.draw(cells, TITLE), screen)


def _write(file: Path, svg: str, screen: Screen) -> None:
    file.write_text(svg)
    screen.line(f"  {file}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pictures", description="Pictures of the dashboards and of drover top.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    cache = Path(os.environ.get("DROVER_CACHE") or Path.home() / ".cache" / "drover")
    make = verbs.add_parser("make", help="start a cluster, let it work for four minutes, look at it, draw")
    make.add_argument("--dir", type=Path, default=cache / "clusters" / "pictures", help="the cluster's folder")
    make.add_argument("--bin", type=Path, required=True, help="the folder of the binaries")
    make.add_argument("--images", type=Path, required=True, help="the folder of the image archives")
    draw = verbs.add_parser("draw", help="draw again what was seen the last time")
    for verb in (make, draw):
        verb.add_argument("--seen", type=Path, default=SEEN, help="the folder of what was seen (default: %(default)s)")
        verb.add_argument("--out", type=Path, default=IMAGES, help="the folder of the pictures (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
