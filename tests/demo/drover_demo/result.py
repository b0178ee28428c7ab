"""The table at the end, and the verdict."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from .screen import Screen
from .story import Outcome

# Real KEDA 2.21 with a native consumer on such a cluster, the same burst: with its defaults, and polling every
# second. Measured once, elsewhere; for orientation only.
KEDA = {
    "first record handled after": ("1.1 s", "12.8 s"),
    "last record handled after": ("38 s", "66 to 73 s"),
    "scale changes": ("3", "5"),
    "group generations": ("", "8"),
    "pod-seconds": ("728", "3,780"),
}


def show(outcome: Outcome, screen: Screen) -> int:
    witness = outcome.witness
    twice = witness["handledTwice"] + witness["handledAgainOnRetry"]
    lost = max(0, outcome.produced - witness["handled"])
    disordered = witness["outOfOrder"] + witness["overlapping"]
    rows = [
        ("records produced", f"{outcome.produced:,}", None),
        ("handled", f"{witness['handled']:,}", None),
        ("handled twice", f"{twice:,}", twice == 0),
        ("lost", f"{lost:,}", lost == 0),
        ("out of order within a key", f"{disordered:,}", disordered == 0),
        ("first record handled after", _after(outcome, "firstHandledAt"), None),
        ("last record handled after", _after(outcome, "lastHandledAt"), None),
        ("back at zero after", _seconds(outcome.seconds_to_zero), outcome.seconds_to_zero is not None),
        ("scale changes", str(outcome.scale_changes), None),
        ("group generations", str(outcome.generations), None),
        ("pod-seconds", f"{outcome.pod_seconds:,.0f}", None),
    ]
    screen.chapter("What happened")
    screen.line(screen.paint("dim", f"  {'':<28}{'Drover':>12}{'KEDA tuned':>14}{'KEDA defaults':>16}"))
    for name, value, good in rows:
        tuned, defaults = KEDA.get(name, ("", ""))
        shown = f"{value:>12}"
        if good is not None:
            shown = screen.paint("green" if good else "red", shown)
        screen.line(f"  {name:<28}{shown}{tuned:>14}{defaults:>16}")
    rolled = "rolled once in the middle" if outcome.rolled else "not rolled"
    screen.line(screen.paint("dim", f"""
  Drover: this run, {rolled}, {outcome.pods} pods in all. Times count from the first record produced. Pod-seconds: from
  the moment a pod existed to the moment it was gone. Group generations: those with members, as the broker wrote
  them. KEDA: 2.21 with a native consumer, the same burst, measured elsewhere; for orientation."""))
    for example in witness["examples"]:
        screen.line(screen.paint("red", f"  {example}"))
    well = all(good for _, _, good in rows if good is not None)
    verdict = "every record once, in order within its key" if well else "this is not what Drover promises"
    screen.line("\n  " + screen.paint("green" if well else "red", verdict))
    return 0 if well else 1


def _after(outcome: Outcome, name: str) -> str:
    at = outcome.witness.get(name)
    return _seconds((moment(at) - moment(outcome.produced_at)).total_seconds() if at else None)


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


def moment(text: str) -> datetime:
    """RFC 3339 in UTC with any number of decimals; Python before 3.11 knows only six."""
    whole, decimals = re.fullmatch(r"(.*?)(?:\.(\d+))?Z", text).groups()
    micros = int((decimals or "0")[:6].ljust(6, "0"))
    return datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(microsecond=micros, tzinfo=timezone.utc)
