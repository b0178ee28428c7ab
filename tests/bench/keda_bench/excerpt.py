"""A part of a trace, and the moments at which its records come. Pure."""

from __future__ import annotations

import bisect
import math
import random
from dataclasses import dataclass
from pathlib import Path

BUSIEST = 300.0  # seconds of the trace


@dataclass(frozen=True)
class Cut:
    """A part of a trace of tests/traces, seconds of the trace; before it the load rises from nothing for `lead`.

    `pace` is how many times faster it is played. Drover's own windows do not become shorter with it: they hold pods for minutes after a
    burst, so a load of bursts is played less fast than one that rises and falls slowly.
    """

    name: str
    trace: str
    begins: float
    lasts: float
    pace: float
    lead: float = 300
    about: str = ""


WORLD_CUP = Cut("worldcup98", "worldcup98_1998-06-10_48h.csv", 40.9 * 3600, 4500, 3, lead=600,
                about="requests to the web site of the World Cup 98 during a match and after it")
BURSTS = Cut("bursts", "bursts_24h.csv", 8.55 * 3600, 3600, 2.5, about="made up: flat, and a burst of five times as much")
CUTS = (WORLD_CUP, BURSTS)


@dataclass(frozen=True)
class Excerpt:
    """Rates of records per second of the trace, each for `step` seconds of it."""

    step: float
    rates: tuple[float, ...]

    @property
    def seconds(self) -> float:
        return self.step * len(self.rates)

    def rate(self, at: float) -> float:
        """Straight from the middle of one interval to the middle of the next, as the simulator joins them."""
        place = at / self.step - 0.5
        low = min(max(math.floor(place), 0), len(self.rates) - 1)
        high = min(low + 1, len(self.rates) - 1)
        share = min(max(place - low, 0.0), 1.0)
        return self.rates[low] * (1 - share) + self.rates[high] * share

    def busiest(self) -> float:
        """The mean rate of the busiest five minutes."""
        steps = max(1, round(BUSIEST / self.step))
        sums = [sum(self.rates[begin:begin + steps]) for begin in range(max(1, len(self.rates) - steps + 1))]
        return max(sums) / min(steps, len(self.rates))

    def scaled(self, busiest: float) -> Excerpt:
        """So many times as much that the busiest five minutes have this rate."""
        factor = busiest / self.busiest()
        return Excerpt(self.step, tuple(rate * factor for rate in self.rates))

    def shortened(self, share: float) -> Excerpt:
        """Its beginning."""
        return Excerpt(self.step, self.rates[:max(1, round(len(self.rates) * share))])

    def faster(self, pace: float) -> Excerpt:
        """The same records in a shorter time."""
        return Excerpt(self.step / pace, tuple(rate * pace for rate in self.rates))

    def csv(self, about: str) -> str:
        """As `drover simulate` reads it."""
        lines = [f"# {about}", "t_seconds,messages_per_second"]
        lines += [f"{number * self.step:g},{rate:.6g}" for number, rate in enumerate(self.rates)]
        return "\n".join(lines) + "\n"


def read(path: Path) -> list[tuple[float, float]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(",") for line in lines if line[:1].isdigit())
    return [(float(at), float(rate)) for at, rate in pairs]


def cut(rows: list[tuple[float, float]], part: Cut) -> Excerpt:
    """The part, with its lead before it."""
    step = rows[1][0] - rows[0][0]
    inside = [rate for at, rate in rows if part.begins <= at < part.begins + part.lasts]
    leading = round(part.lead / step)
    lead = [inside[0] * (number + 0.5) / leading for number in range(leading)]
    return Excerpt(step, tuple(lead + inside))


def shares(partitions: int, sigma: float, seed: int) -> list[float]:
    """The partitions' shares of the load, log-normal."""
    chance = random.Random(f"shares-{seed}")
    weights = [math.exp(sigma * chance.gauss(0, 1)) for _ in range(partitions)]
    return [weight / sum(weights) for weight in weights]


def arrivals(excerpt: Excerpt, pace: float, weights: list[float], seed: int) -> list[tuple[float, int]]:
    """Independent arrivals at these rates: wall seconds from the beginning, and the partition."""
    chance = random.Random(f"arrivals-{seed}")
    edges, total = [], 0.0
    for weight in weights:
        total += weight
        edges.append(total)
    most = max(excerpt.rates)
    found, at = [], 0.0
    while True:
        at += chance.expovariate(most)
        if at >= excerpt.seconds:
            return found
        # Thinning: candidates at the greatest rate, each kept with the chance that its moment's rate gives.
        if chance.random() * most < excerpt.rate(at):
            partition = min(bisect.bisect_left(edges, chance.random() * total), len(edges) - 1)
            found.append((at / pace, partition))
