"""Delays, pods and changes of a run, from what was committed, produced and seen. Pure; the same for every fleet."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import asdict, dataclass, field

from .commits import Ledger

LOOK = 0.2  # seconds between two looks at the oldest record


@dataclass
class Figures:
    """Seconds of the wall's clock."""

    pod_seconds: float
    seconds_over: float  # the oldest record had waited for longer than promised
    share_over: float
    p50: float  # from a record's time to the commit that covers it
    p99: float
    worst: float
    late: int  # records that took longer than promised
    records: int
    undone: int  # records of the run that were not done when it was given up
    changes: int  # of the size
    generations: int  # of the group, with members
    peak: int
    # For pictures, one value each second: the worst delay within it, and the size.
    delays: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def as_json(self) -> dict:
        return asdict(self)


def oldest(times: list[float], place: tuple[str, str, int], ledger: Ledger, moments: list[float]) -> list[float]:
    """For each moment how long the oldest record of a partition had waited that was not committed then; 0 where none waits."""
    committed_at, offsets = ledger.times[place], ledger.offsets[place]
    found, index, committed = [], 0, 0
    for moment in moments:
        while index < len(committed_at) and committed_at[index] <= moment:
            committed = offsets[index]
            index += 1
        waits = committed < len(times) and times[committed] <= moment
        found.append(moment - times[committed] if waits else 0.0)
    return found


def record_delays(times: list[float], place: tuple[str, str, int], ledger: Ledger) -> tuple[list[float], int]:
    """From each record's time to the commit that covers it, and how many records none covers."""
    delays, offset = [], 0
    for at, committed in zip(ledger.times[place], ledger.offsets[place]):
        while offset < min(committed, len(times)):
            delays.append(max(0.0, at - times[offset]))
            offset += 1
    return delays, len(times) - offset


def quantile(ordered: list[float], share: float) -> float:
    """Of values in order; 0 where there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def pod_seconds(spans: list[tuple[float, float | None]], since: float, until: float) -> float:
    """From the moment that a pod was there to the moment it was gone, as far as it lies within."""
    return sum(max(0.0, min(until, until if gone is None else gone) - max(since, seen)) for seen, gone in spans)


def size_at(changes: list[tuple[float, int]], moment: float) -> int:
    index = bisect_right([at for at, _ in changes], moment)
    return changes[index - 1][1] if index else 0


def of_run(fleet: str, topic: str, times: dict[int, list[float]], ledger: Ledger, spans: list[tuple[float, float | None]],
           changes: list[tuple[float, int]], since: float, until: float, promise: float) -> Figures:
    """A fleet's figures between two moments; `times` are those of the topic's records by partition."""
    looks = int((until - since) / LOOK)
    moments = [since + number * LOOK for number in range(1, looks + 1)]
    worst = [0.0] * looks
    all_delays: list[float] = []
    undone = 0
    for partition, produced in times.items():
        place = (fleet, topic, partition)
        worst = [max(pair) for pair in zip(worst, oldest(produced, place, ledger, moments))]
        delays, left = record_delays(produced, place, ledger)
        all_delays += delays
        undone += left
    all_delays.sort()
    seconds_over = LOOK * sum(delay > promise for delay in worst)
    each = round(1 / LOOK)
    whole = range(0, looks, each)
    sizes = [size_at(changes, since + number) for number in range(len(whole))]
    within = [size for at, size in changes if since < at <= until]
    return Figures(
        pod_seconds=pod_seconds(spans, since, until), seconds_over=seconds_over, share_over=seconds_over / (until - since),
        p50=quantile(all_delays, 0.5), p99=quantile(all_delays, 0.99), worst=all_delays[-1] if all_delays else 0.0,
        late=len(all_delays) - bisect_left(all_delays, promise), records=sum(map(len, times.values())), undone=undone,
        changes=len(within), generations=ledger.begun_generations(fleet, since, until),
        peak=max([size_at(changes, since), *within]),
        delays=[round(max(worst[begin:begin + each]), 2) for begin in whole], sizes=sizes)
