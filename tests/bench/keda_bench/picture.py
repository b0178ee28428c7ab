"""What each fleet did with one load, over time, as SVG. Pure.

All fleets have the same scales. Delay is logarithmic, because the promise lies far below the worst.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from drover_pictures.svg import FAINT, GRID, INK, Svg, num

from .excerpt import Excerpt
from .world import DROVER, ON_TRACES, World

WIDTH, LEFT, RIGHT = 1100.0, 76.0, 1076.0
TOP, LOAD, SIZE, DELAY, GAP, TITLE = 66.0, 92.0, 66.0, 74.0, 12.0, 36.0
SOFT, BROKEN = "#52606d", "#d64545"
COLOURS = ("#0b6e99", "#c4722a", "#8a5aa8", "#5d8a3a", "#a63d57")
POINTS = 500  # across; each shows the worst within it
LEAST_DELAY = 0.1


@dataclass(frozen=True)
class Scale:
    """From values to a panel's height."""

    low: float
    high: float
    top: float
    height: float
    log: bool = False

    def y(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.top + self.height * (1 - share)


def draw(found: dict, its: World) -> str:
    """The picture of one trace's run."""
    fleets = [name for name in (DROVER, *(keda.name for keda in ON_TRACES)) if name in found["figures"]]
    height = TOP + LOAD + len(fleets) * (TITLE + SIZE + GAP + DELAY) + 34
    title = f"{found['name']}: Drover beside KEDA with the HPA, real ones on a real broker"
    svg = Svg(WIDTH, height, title)
    svg.text(LEFT, 30, title, 18, INK, weight=600)
    svg.text(LEFT, 50, about(found, its), 12.5, FAINT)
    axis = Axis(svg, found["seconds"])
    _load(axis, TOP, found, its)
    top = TOP + LOAD
    promise = its.passes(its.promise)
    largest = max(max(found["figures"][name]["sizes"]) for name in fleets)
    slowest = max(max(found["figures"][name]["delays"]) for name in fleets)
    for colour, name in zip(COLOURS, fleets):
        figures = found["figures"][name]
        _heading(svg, top, colour, name, figures)
        top += TITLE
        _sizes(axis, Scale(0, nice(largest), top, SIZE), colour, figures["sizes"])
        top += SIZE + GAP
        high = max(slowest * 1.15, promise * 3)
        _delays(axis, Scale(LEAST_DELAY, high, top, DELAY, log=True), colour, figures["delays"], promise)
        top += DELAY
    axis.words(top)
    return str(svg)


def about(found: dict, its: World) -> str:
    return (f"{found['seconds'] / 60:.0f} minutes, {its.pace:g} times as fast as the trace; a pod does {found['perPod']:.0f} records a "
            f"second and takes {its.passes(its.start_up):g} s to start; promise {its.passes(its.promise):g} s; {its.partitions} partitions")


class Axis:
    """Time from left to right."""

    def __init__(self, svg: Svg, seconds: float) -> None:
        self.svg, self.seconds = svg, seconds
        self.tick = next(step for step in (15, 30, 60, 120, 300, 600, 1800, 3600) if seconds / step <= 14 or step == 3600)

    def x(self, at: float) -> float:
        return LEFT + (RIGHT - LEFT) * at / self.seconds

    def panel(self, scale: Scale, what: str, marks: list[tuple[float, str]]) -> None:
        at = 0
        while at <= self.seconds:
            self.svg.line(self.x(at), scale.top, self.x(at), scale.top + scale.height)
            at += self.tick
        for value, words in marks:
            self.svg.line(LEFT, scale.y(value), RIGHT, scale.y(value))
            self.svg.text(LEFT - 8, scale.y(value) + 3.5, words, 10, FAINT, anchor="end")
        middle = scale.top + scale.height / 2
        self.svg.text(14.0, middle, what, 10.5, SOFT, anchor="middle", transform=f"rotate(-90 14 {num(middle)})")

    def curve(self, scale: Scale, values: list[float]) -> tuple[str, str]:
        """The line, and the area below it."""
        each = self.seconds / len(values)
        points = [(self.x((number + 0.5) * each), scale.y(value)) for number, value in enumerate(values)]
        line = "M" + "L".join(f"{num(x)} {num(y)}" for x, y in points)
        bottom = num(scale.top + scale.height)
        return line, f"{line}L{num(points[-1][0])} {bottom}L{num(points[0][0])} {bottom}Z"

    def stairs(self, scale: Scale, values: list[int]) -> tuple[str, str]:
        each, last = self.seconds / len(values), None
        line = ""
        for number, value in enumerate(values):
            if number == 0:
                line = f"M{num(LEFT)} {num(scale.y(value))}"
            elif value != last:
                line += f"H{num(self.x(number * each))}V{num(scale.y(value))}"
            last = value
        line += f"H{num(RIGHT)}"
        return line, f"{line}V{num(scale.top + scale.height)}H{num(LEFT)}Z"

    def words(self, bottom: float) -> None:
        at = 0
        while at <= self.seconds:
            words = f"{at // 60} min" if at % 60 == 0 else f"{at} s"
            self.svg.text(self.x(at), bottom + 17, words if at else "0", 10.5, FAINT, anchor="middle")
            at += self.tick


def _load(axis: Axis, top: float, found: dict, its: World) -> None:
    load = Excerpt(found["step"], tuple(found["rates"]))
    wanted = [load.rate((number + 0.5) * load.seconds / POINTS) * its.pace for number in range(POINTS)]
    high = nice(max(wanted))
    scale = Scale(0, high, top, LOAD)
    axis.panel(scale, "records/s", [(value, f"{value:g}") for value in (0, high / 2, high)])
    line, area = axis.curve(scale, wanted)
    axis.svg.add("path", d=area, fill=SOFT, fill_opacity="0.18")
    axis.svg.add("path", d=line, fill="none", stroke=SOFT, stroke_width="1")


def _heading(svg: Svg, top: float, colour: str, name: str, figures: dict) -> None:
    y = top + TITLE - 10
    svg.rect(LEFT, y - 9, 10, 10, colour, rx=2)
    svg.text(LEFT + 16, y, name, 13.5, INK, weight=600)
    over = f"{figures['seconds_over']:.0f} s over the promise" if figures["seconds_over"] >= 0.5 else "promise kept"
    words = (f"{figures['pod_seconds']:,.0f} pod-seconds  ·  {over}  ·  p99 {figures['p99']:.1f} s  ·  "
             f"{figures['changes']} changes of size  ·  {figures['generations']} generations  ·  at most {figures['peak']} pods")
    svg.text(RIGHT, y, words, 12, SOFT, anchor="end")


def _sizes(axis: Axis, scale: Scale, colour: str, sizes: list[int]) -> None:
    axis.panel(scale, "pods", [(value, f"{value:g}") for value in (0, scale.high / 2, scale.high)])
    line, area = axis.stairs(scale, sizes)
    axis.svg.add("path", d=area, fill=colour, fill_opacity="0.22")
    axis.svg.add("path", d=line, fill="none", stroke=colour, stroke_width="1.3")


def _delays(axis: Axis, scale: Scale, colour: str, delays: list[float], promise: float) -> None:
    svg, level = axis.svg, scale.y(promise)
    marks = [(value, f"{value:g} s") for value in (0.1, 1, 10, 100, 1000)
             if value <= scale.high and abs(scale.y(value) - level) > 9]
    axis.panel(scale, "delay", marks)
    line, area = axis.curve(scale, thinned(delays))
    clip = f"over{num(scale.top)}"
    svg.parts.append(f'<clipPath id="{clip}"><rect x="{num(LEFT)}" y="{num(scale.top)}" width="{num(RIGHT - LEFT)}" '
                     f'height="{num(level - scale.top)}"/></clipPath>')
    svg.add("path", d=area, fill=BROKEN, fill_opacity="0.55", clip_path=f"url(#{clip})")
    svg.add("path", d=line, fill="none", stroke=colour, stroke_width="1")
    svg.line(LEFT, level, RIGHT, level, BROKEN, stroke_width="1.2", stroke_dasharray="5 3")
    svg.text(LEFT - 8, level + 3.5, f"{promise:g} s", 10, BROKEN, anchor="end", weight=600)
    svg.text(RIGHT - 2, level - 4, "promise", 9.5, BROKEN, anchor="end")


def thinned(values: list[float]) -> list[float]:
    """Few enough to be drawn, each the most within its share."""
    each = max(1, math.ceil(len(values) / POINTS))
    return [max(values[begin:begin + each]) for begin in range(0, len(values), each)]


def nice(most: float) -> float:
    """The end of a scale, a little above the most."""
    power = 10 ** math.floor(math.log10(max(most, 1)))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if step * power >= most)
