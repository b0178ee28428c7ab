"""How values are written in a unit of Grafana's, and where an axis has its ticks. Pure."""

from __future__ import annotations

import math

SECONDS = [(1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "hour"), (86400.0, "day")]
DECIMAL = [(1.0, ""), (1e3, " K"), (1e6, " Mil"), (1e9, " Bil")]
BINARY = [(1.0, "B"), (2.0**10, "KiB"), (2.0**20, "MiB"), (2.0**30, "GiB"), (2.0**40, "TiB")]
UNITS = ("short", "s", "cps", "percentunit", "bytes")

# Steps of an axis of times: as clocks have them.
CLOCK = [1.0, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]


def written(value: float, unit: str, decimals: int | None = None, step: float | None = None) -> str:
    """With so many decimals; without, with as many as tell it from its neighbours `step` away, or with three digits."""
    if unit == "percentunit":
        return number(value * 100, decimals, step and step * 100) + "%"
    if unit == "s":
        # Whole seconds stay seconds on an axis: 75 s, not 1.25 min.
        factor, name = scale(step if step and step >= 1 else value or 1.0, SECONDS)
        return f"{number(value / factor, decimals, step and step / factor)} {name}"
    if unit == "bytes":
        factor, name = scale(value, BINARY)
        return f"{number(value / factor, decimals, step and step / factor)} {name}"
    if unit in ("short", "cps"):
        factor, name = scale(value, DECIMAL)
        return number(value / factor, decimals, step and step / factor) + name + (" c/s" if unit == "cps" else "")
    raise ValueError(f"the unit {unit} is not known here; add it to {__file__}")


def scale(value: float, factors: list[tuple[float, str]]) -> tuple[float, str]:
    """The largest factor that the value reaches. What is below all has the smallest."""
    reached = [each for each in factors if abs(value) >= each[0] * (1 - 1e-9)]
    return reached[-1] if reached else factors[0]


def number(value: float, decimals: int | None, step: float | None) -> str:
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    if value % 1 == 0:
        return f"{value:,.0f}"
    if step:
        decimals = next((some for some in range(9) if abs(step * 10**some - round(step * 10**some)) < 1e-6), 9)
    else:
        decimals = min(3, max(0, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:,.{decimals}f}"


def ticks(high: float, unit: str, whole: bool, most: int = 5) -> list[float]:
    """From 0 to at least `high`, `most` steps or fewer. Of what comes in whole numbers there is no half."""
    if not high > 0:
        high = 1.0
    step = step_of(high / most, unit)
    if whole:
        step = max(1.0, step)
    return [step * index for index in range(math.ceil(high / step - 1e-9) + 1)]


def step_of(least: float, unit: str) -> float:
    """The smallest handsome step that is not smaller."""
    if unit == "s" and least > 1:
        days = CLOCK[-1]
        return next((step for step in CLOCK if step >= least), None) or days * step_of(least / days, "short")
    if unit == "bytes" and least > 1:
        base = 1024.0 ** math.floor(math.log(least, 1024))
        return next(base * k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024) if base * k >= least * (1 - 1e-9))
    base = 10.0 ** math.floor(math.log10(least))
    return next(base * k for k in (1, 2, 5, 10) if base * k >= least * (1 - 1e-9))
