"""The verbs. Each is a few lines that call the module which does the work."""

from __future__ import annotations

import argparse
import sys

from . import tools
from .say import Failure, say


def main(arguments: list[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except Failure as failure:
        print(f"cluster: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cluster: interrupted; the next run cleans up what this one began", file=sys.stderr)
        return 130


def _tools(arguments: argparse.Namespace) -> None:
    parts = [arguments.only] if arguments.only else list(tools.PARTS)
    tools.ensure(parts)
    say("all programs are there")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verb = verbs.add_parser("tools", help="make sure that all programs exist; builds them the first time")
    verb.add_argument("--only", choices=list(tools.PARTS), help="only the programs of this part")
    verb.set_defaults(run=_tools)
    return parser
