"""Small plots in SVG: intervals and bars that share one axis, one drawing a table row.

Places along the axis are percentages of the drawing's width, so that it fills its table cell at any size while dots
stay round and letters keep their size. Colours come from the page's style sheet, by class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markupsafe import Markup

_MARGIN = 1.0  # percent of the width kept free on either side, for dots


class Axis(NamedTuple):
    """A linear axis from the first to the last of its ticks."""

    ticks: tuple[float, ...]

    def place(self, value: float) -> str:
        """Where a value lies: percent of the drawing's width, as an SVG coordinate.

        Raises:
            ValueError: the value is not on the axis.
        """
        low, high = self.ticks[0], self.ticks[-1]
        if not low <= value <= high:
            raise ValueError(f"{value} is not on the axis from {low} to {high}")
        return f"{_MARGIN + (100 - 2 * _MARGIN) * (value - low) / (high - low):.3f}%"


def axis_over(values: Iterable[float | None], *, steps: int, from_zero: bool = False) -> Axis | None:
    """An axis with round ticks (1, 2 or 5 times a power of ten) that holds all values; None where there are none.

    At most `steps` steps from tick to tick, so that their labels do not run into each other. Bars need `from_zero`:
    their length is read, not their end.
    """
    there = [value for value in values if value is not None]
    if not there:
        return None
    if from_zero:
        there.append(0.0)
    low, high = min(there), max(there)
    if high - low < 1e-6:  # one value has no spread to show: show how far from zero it is
        low, high = min(low, 0.0), max(high, 0.1)
    magnitude = 10.0 ** math.floor(math.log10((high - low) / steps))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * magnitude
        # rounded, since 0.3 / 0.1 is a little less than 3
        first, last = math.floor(round(low / step, 6)), math.ceil(round(high / step, 6))
        if last - first <= steps:
            break
    ticks = tuple(round(i * step, 9) for i in range(first, last + 1))
    # the rounding above may have cut a hair off a value
    return Axis((min(ticks[0], low), *ticks[1:-1], max(ticks[-1], high)))


def axis_svg(axis: Axis, *, percent: bool) -> Markup:
    """The axis' ticks with their labels, for the head of the column."""
    return _svg(
        "axis",
        (
            f'<line class="tick" x1="{axis.place(tick)}" x2="{axis.place(tick)}" y1="80%" y2="100%"/>'
            f'<text x="{axis.place(tick)}" y="68%" text-anchor="middle">{_tick_label(tick, axis, percent)}</text>'
            for tick in axis.ticks
        ),
    )


def interval_svg(
    axis: Axis, point: float | None, median: float | None, low: float | None, high: float | None
) -> Markup:
    """The interval as a line, the median across it and the point estimate as a dot; what is None is left out."""
    parts = [_range(axis, low, high)]
    if median is not None:
        parts.append(f'<line class="median" x1="{axis.place(median)}" x2="{axis.place(median)}" y1="-8" y2="8"/>')
    if point is not None:
        parts.append(f'<circle class="point" cx="{axis.place(point)}" r="4"/>')
    return _plot(axis, parts)


def bar_svg(axis: Axis, value: float | None, low: float | None = None, high: float | None = None) -> Markup:
    """A bar from zero to the value with its interval over it; what is None is left out.

    Raises:
        ValueError: the axis does not hold zero.
    """
    parts = []
    if value is not None:
        zero, end = (float(axis.place(at)[:-1]) for at in (0.0, value))
        parts.append(f'<rect class="bar" x="{min(zero, end):.3f}%" width="{abs(end - zero):.3f}%" y="-6" height="12"/>')
    return _plot(axis, [*parts, _range(axis, low, high)])


def _range(axis: Axis, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f'<line class="interval" x1="{axis.place(low)}" x2="{axis.place(high)}"/>'


def _plot(axis: Axis, parts: Iterable[str]) -> Markup:
    """A row's drawing: grid lines over its whole height, and the parts around its middle, where their y is 0."""
    places = map(axis.place, axis.ticks)
    grid = (f'<line class="grid" x1="{x}" x2="{x}" y1="0%" y2="100%"/>' for x in places)
    return _svg("plot", [*grid, '<svg y="50%" overflow="visible">', *parts, "</svg>"])


def _tick_label(tick: float, axis: Axis, percent: bool) -> str:
    scale = 100 if percent else 1
    step = (axis.ticks[1] - axis.ticks[0]) * scale
    return f"{tick * scale:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _svg(kind: str, parts: Iterable[str]) -> Markup:
    """A drawing; the numbers stand beside it in the table, so that a screen reader may pass over it."""
    from markupsafe import Markup

    return Markup(f'<svg class="{kind}" width="100%" height="100%" aria-hidden="true">{"".join(parts)}</svg>')
