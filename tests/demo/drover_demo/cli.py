"""What can be asked for, and cleaning up whatever happens."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from . import result, stage, starts, story
from .kube import Kube
from .screen import Screen
from .shell import Failure
from .world import World


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    screen = Screen()
    # SIGTERM ends the demo as Ctrl-C does: with cleaning up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    the_stage = stage.Stage(asked.dir, asked.bin, asked.images, screen)
    code = 1
    try:
        code = _play(asked, the_stage, screen)
    except Failure as failure:
        screen.line(f"\n{screen.paint('red', 'demo:')} {failure}")
        the_stage.explain()
    except KeyboardInterrupt:
        screen.line("\ninterrupted")
        code = 130
    finally:
        # A second Ctrl-C would leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if asked.keep and code != 130:
            the_stage.tell_how_to_look_around()
        else:
            the_stage.strike()
    return code


def _play(asked: argparse.Namespace, the_stage: stage.Stage, screen: Screen) -> int:
    the_stage.build()
    kube = Kube(the_stage.environment)
    world = World(kube, screen, the_stage)
    try:
        if asked.starts:
            return starts.tell(world, the_stage, screen, asked)
        outcome = story.tell(world, the_stage, screen, asked)
    finally:
        world.close()
        kube.close()
    return result.show(outcome, screen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo", description="A fleet of consumers from zero to zero.")
    cache = Path(os.environ.get("DROVER_CACHE") or Path.home() / ".cache" / "drover")
    parser.add_argument("--dir", type=Path, default=cache / "clusters" / "demo", help="the cluster's folder")
    parser.add_argument("--bin", type=Path, required=True, help="the folder of the release binaries")
    parser.add_argument("--images", type=Path, required=True, help="the folder of the image archives")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--keys", type=int, default=6_000)
    parser.add_argument("--starts", type=int, default=0, metavar="N",
                        help="instead of the story: N times from zero, and how long that takes")
    parser.add_argument("--no-restart", action="store_true", help="do not roll the fleet in the middle")
    return parser


if __name__ == "__main__":
    sys.exit(main())
