"""The geometry of plots, drawn as SVG by `admin/_charts.html`. A plot never carries colour or size: classes do.

The drawing box is 1000 × 1000 units and is stretched to its place; text stands beside it as HTML, so it keeps its size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

BOX = 1000.0
MAX_X_LABELS = 6


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `low` and `high` draw a band; None is a gap. `tone` 1–5 picks its colour, 0 is a quiet comparison."""

    name: str
    values: Sequence[float | None]
    tone: int = 1
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn series: SVG path data of the line, of its band (may be empty) and of its single points."""

    name: str
    tone: int
    path: str
    band: str
    points: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A line plot ready to draw, with the table that says the same."""

    title: str
    description: str
    lines: tuple[Line, ...]
    y_labels: tuple[str, ...]
    x_labels: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def is_empty(self) -> bool:
        return not any(line.path or line.points for line in self.lines)


def line_plot(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    text: Callable[[float], str] = "{:,.0f}".format,
    *,
    axis: Callable[[float], str] | None = None,
    least_top: float = 1.0,
) -> Plot:
    """Lines over equally spaced `labels`, from zero up.

    `text` writes the values and `axis` the round numbers beside the plot; `least_top` is the least the axis reaches, so
    that a plot of nearly nothing does not magnify noise.
    """
    top, steps = scale(_largest(series), least_top)
    return Plot(
        title=title,
        description=_in_words(series, labels, text),
        lines=tuple(_line(one, labels, top, text) for one in series),
        y_labels=tuple((axis or text)(top * (steps - n) / steps) for n in range(steps + 1)),
        x_labels=_spread(labels),
        header=("", *(one.name for one in series)),
        rows=tuple((label, *(_cell(one.values[n], text) for one in series)) for n, label in enumerate(labels)),
    )


def sparkline(values: Sequence[float | None]) -> str:
    """The path of a small line without axes, highest value at the top."""
    top = max([v for v in values if v is not None] or [0.0]) or 1.0
    return _path(_points(values, top))


def share(part: float, whole: float) -> float:
    """The width of a bar in percent, 0 when there is nothing to compare with."""
    return round(min(100.0, 100.0 * part / whole), 2) if whole > 0 else 0.0


def scale(largest: float, least_top: float = 1.0) -> tuple[float, int]:
    """A round number at or above `largest` and into how many round steps (4 or 5) to cut it."""
    wanted = max(largest, least_top)
    size = 10 ** floor(log10(wanted))
    for factor, steps in ((1, 5), (2, 4), (2.5, 5), (4, 4), (5, 5), (8, 4), (10, 5)):
        if wanted <= factor * size * (1 + 1e-9):
            return factor * size, steps
    raise ValueError(f"no scale for {largest!r}")


def _largest(series: Sequence[Series]) -> float:
    values = [v for one in series for v in (*one.values, *one.high) if v is not None and isfinite(v)]
    return max(values, default=0.0)


def _line(one: Series, labels: Sequence[str], top: float, text: Callable[[float], str]) -> Line:
    points = _points(one.values, top)
    marks = tuple(
        (point[0], point[1], f"{labels[n]}: {one.name} {text(value)}")
        for n, (point, value) in enumerate(zip(points, one.values, strict=True))
        if point is not None and value is not None
    )
    return Line(one.name, one.tone, _path(points), _band(one, top), marks)


def _points(values: Sequence[float | None], top: float) -> list[tuple[float, float] | None]:
    step = BOX / (len(values) - 1) if len(values) > 1 else 0.0
    start = 0.0 if len(values) > 1 else BOX / 2
    return [
        None if value is None else (round(start + n * step, 1), round(BOX * (1 - value / top), 1))
        for n, value in enumerate(values)
    ]


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """Runs of known points are joined; a gap starts a new run; a lonely point is a dot (a zero-length stroke)."""
    parts: list[str] = []
    for n, point in enumerate(points):
        if point is None:
            continue
        joined = n > 0 and points[n - 1] is not None
        parts.append(f"{'L' if joined else 'M'}{point[0]:g} {point[1]:g}")
        if not joined and (n + 1 == len(points) or points[n + 1] is None):
            parts.append("h0")
    return "".join(parts)


def _band(one: Series, top: float) -> str:
    if not one.low or not one.high:
        return ""
    pieces = []
    for run in _runs(_points(one.low, top), _points(one.high, top)):
        outline = [high for _, high in run] + [low for low, _ in reversed(run)]
        pieces.append("M" + "L".join(f"{x:g} {max(0.0, y):g}" for x, y in outline) + "Z")
    return "".join(pieces)


Pair = tuple[tuple[float, float], tuple[float, float]]


def _runs(lows: Sequence[tuple[float, float] | None], highs: Sequence[tuple[float, float] | None]) -> list[list[Pair]]:
    runs: list[list[Pair]] = [[]]
    for low, high in zip(lows, highs, strict=True):
        if low is not None and high is not None:
            runs[-1].append((low, high))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _spread(labels: Sequence[str]) -> tuple[str, ...]:
    """At most six labels, the first and the last among them, equally far apart where that can be."""
    if len(labels) <= MAX_X_LABELS:
        return tuple(labels)
    for count in range(MAX_X_LABELS, 2, -1):
        if (len(labels) - 1) % (count - 1) == 0:
            return tuple(labels[:: (len(labels) - 1) // (count - 1)])
    return (labels[0], labels[len(labels) // 2], labels[-1])


def _cell(value: float | None, text: Callable[[float], str]) -> str:
    return "–" if value is None else text(value)


def _in_words(series: Sequence[Series], labels: Sequence[str], text: Callable[[float], str]) -> str:
    sentences = []
    for one in series:
        known = [(value, labels[n]) for n, value in enumerate(one.values) if value is not None]
        if known:
            top, when = max(known, key=lambda pair: pair[0])
            sentences.append(f"{one.name}: last {text(known[-1][0])}, highest {text(top)} ({when})")
    return ". ".join(sentences) or "Nothing to show yet."


@dataclass(frozen=True, slots=True)
class Whisker:
    """An interval inside a wider one, around zero: positions in percent of the width, and the scale's end in words."""

    outer: tuple[float, float]
    inner: tuple[float, float]
    point: float
    reach: float


def whiskers(rows: Sequence[tuple[float, float, float, float, float]]) -> list[Whisker]:
    """Place (outer low, inner low, point, inner high, outer high) of every row on one scale with zero in the middle.

    The scale ends at the farthest inner end, a little widened; an outer end beyond it is cut there.
    """
    reach = max((abs(row[n]) for row in rows for n in (1, 3)), default=0.0) * 1.25 or 1.0

    def at(value: float) -> float:
        return round(50 + 50 * max(-1.0, min(1.0, value / reach)), 2)

    return [Whisker((at(a), at(e)), (at(b), at(d)), at(c), reach) for a, b, c, d, e in rows]
