"""Charts as geometry: where lines, points, ticks and labels lie; the page's template draws them as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

Value = float | None
Tick = tuple[float, str]  # position in the drawing, label

WIDTH, HEIGHT = 340.0, 216.0
LEFT, RIGHT, TOP, BOTTOM = 66.0, 12.0, 10.0, 40.0
MAX_SCATTER_POINTS = 4000
_NUM_BINS = 20


class Line(NamedTuple):
    """A named series; `tone` is its colour's name in the style sheet. None leaves a gap."""

    name: str
    values: Sequence[Value]
    tone: str = "a"


class Mark(NamedTuple):
    """A path of the drawing: `kind` line, dots or guide."""

    name: str
    tone: str
    kind: str
    path: str


@dataclass(frozen=True)
class Chart:
    """One drawing of WIDTH x HEIGHT."""

    title: str
    x_title: str
    y_title: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark]
    note: str = ""


class Axis(NamedTuple):
    """Values from `low` to `high` on drawing positions from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, values: Sequence[float]) -> list[Tick]:
        return [(self.place(value), short_number(value)) for value in values]


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    y_title: str,
    epochs: Sequence[float],
    y_from: float | None = None,
    note: str = "",
) -> Chart | None:
    """Series over epochs; None where no series has a number. `y_from` is on the axis, whatever the values."""
    values = [value for line in lines for value in line.values if is_number(value)]
    if not values:
        return None
    values += [] if y_from is None else [y_from]
    y_values = nice_ticks(min(values), max(values), 4)
    x_values = epoch_ticks(epochs)
    x = Axis(min(epochs), max(max(epochs), min(epochs) + 1), LEFT, WIDTH - RIGHT)
    y = Axis(y_values[0], y_values[-1], HEIGHT - BOTTOM, TOP)
    marks = [
        mark
        for line in lines
        for mark in (
            Mark(line.name, line.tone, "line", _polyline(x, y, epochs, line.values)),
            Mark("", line.tone, "dots", _dots(x, y, epochs, line.values)),
        )
        if mark.kind == "line" or len(epochs) <= 40
    ]
    return Chart(title, "epoch", y_title, x.ticks(x_values), y.ticks(y_values), marks, note)


def scatter_chart(title: str, x_values: Sequence[float], y_values: Sequence[float]) -> Chart:
    """IoU of each object before (x) and after (y); above the diagonal is better."""
    stride = math.ceil(len(x_values) / MAX_SCATTER_POINTS)
    x, y = _unit_axes(1.0)
    diagonal = f"M{x.place(0)} {y.place(0)}L{x.place(1)} {y.place(1)}"
    dots = _dots(x, y, x_values[::stride], y_values[::stride])
    note = "Each dot is an object; above the line, adapted SAM is better."
    if stride > 1:
        note += f" One of {stride} objects is drawn."
    ticks = nice_ticks(0, 1, 5)
    marks = [Mark("", "grid", "guide", diagonal), Mark("", "adapted", "dots", dots)]
    return Chart(title, "IoU zero-shot", "IoU adapted", x.ticks(ticks), y.ticks(ticks), marks, note)


def histogram_chart(title: str, series: Sequence[Line]) -> Chart:
    """How many objects have which IoU, in 20 bins, one outline a series."""
    counts = {
        line: _bin(line.values) for line in (Line(s.name, tuple(s.values), s.tone) for s in series)
    }
    most = max(1, *(max(bins) for bins in counts.values()))
    y_values = nice_ticks(0, most, 4)
    x, y = _unit_axes(y_values[-1])
    marks = [
        Mark(line.name, line.tone, "line", _steps(x, y, bins)) for line, bins in counts.items()
    ]
    return Chart(title, "IoU", "objects", x.ticks(nice_ticks(0, 1, 5)), y.ticks(y_values), marks)


def nice_ticks(low: float, high: float, num: int) -> list[float]:
    """About `num` steps of 1, 2 or 5 times a power of ten, from at most `low` to at least `high`."""
    if high <= low:
        margin = abs(low) * 0.5 or 0.5
        low, high = (0.0, 2 * high) if low > 0 else (low - margin, high + margin)
    rough = (high - low) / num
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def epoch_ticks(epochs: Sequence[float]) -> list[float]:
    """Whole epochs, at most about eight."""
    first, last = min(epochs), max(epochs)
    step = max(1, math.ceil((last - first) / 7))
    return [first + index * step for index in range(int((last - first) // step) + 1)]


def short_number(value: float) -> str:
    """A tick's label: 0.25, 3e-05, 12k."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value:.1e}"
    return f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.2g}"


def is_number(value: Value) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _unit_axes(y_high: float) -> tuple[Axis, Axis]:
    return Axis(0, 1, LEFT, WIDTH - RIGHT), Axis(0, y_high, HEIGHT - BOTTOM, TOP)


def _bin(values: Sequence[Value]) -> tuple[int, ...]:
    bins = [0] * _NUM_BINS
    for value in values:
        if value is not None:
            bins[min(int(value * _NUM_BINS), _NUM_BINS - 1)] += 1
    return tuple(bins)


def _steps(x: Axis, y: Axis, bins: Sequence[int]) -> str:
    path = f"M{x.place(0)} {y.place(0)}"
    for index, count in enumerate(bins):
        path += f"V{y.place(count)}H{x.place((index + 1) / _NUM_BINS)}"
    return f"{path}V{y.place(0)}"


def _polyline(x: Axis, y: Axis, places: Sequence[float], values: Sequence[Value]) -> str:
    path, pen = "", "M"
    for place, value in zip(places, values, strict=True):
        if value is None or not math.isfinite(value):
            pen = "M"
            continue
        path += f"{pen}{x.place(place)} {y.place(value)}"
        pen = "L"
    return path


def _dots(x: Axis, y: Axis, places: Sequence[float], values: Sequence[Value]) -> str:
    """Strokes of no length, which round caps make dots."""
    return "".join(
        f"M{x.place(place)} {y.place(value)}h0"
        for place, value in zip(places, values, strict=True)
        if value is not None and math.isfinite(value)
    )
