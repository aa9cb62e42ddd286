"""Counters and a latency histogram in the Prometheus text format, one process."""

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

MAX_SERIES = 2_000
"""Label sets one name may have; what comes later is counted under ``other``, so that ids cannot fill the memory."""
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
Labels = tuple[tuple[str, str], ...]
_RUNNING: tuple[str, Labels] = ("http_inflight_requests", ())


class Metrics:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[tuple[str, Labels], float] = defaultdict(float)
        self._each: dict[tuple[str, str, Labels], Counter[str]] = defaultdict(Counter)
        self._gauges: dict[tuple[str, Labels], float] = {}
        self._buckets: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = defaultdict(float)
        self._series: dict[str, int] = defaultdict(int)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._add(name, tuple(sorted(labels.items())), amount)

    def count_all(self, amounts: Iterable[tuple[str, float]], labels: Labels) -> None:
        """Add to several counters under the same labels, which are in alphabetical order."""
        with self._lock:
            for name, amount in amounts:
                self._add(name, labels, amount)

    def count_each(self, name: str, label: str, values: Sequence[str], labels: Labels) -> None:
        """Add 1 for each value of one label, which sorts before the others."""
        with self._lock:
            known = self._each[name, label, labels]
            fresh = {value for value in values if value not in known}
            if fresh and self._series[name] + len(fresh) > MAX_SERIES:
                for value in values:
                    self._add(name, ((label, value), *labels), 1)
                return
            self._series[name] += len(fresh)
            known.update(values)

    def _add(self, name: str, labels: Labels, amount: float) -> None:
        key = (name, labels)
        if key not in self._counters:
            if self._series[name] >= MAX_SERIES:
                key = (name, tuple((label, "other") for label, _ in labels))
            self._series[name] += key not in self._counters
        self._counters[key] += amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._gauges[name, tuple(sorted(labels.items()))] = value

    def running(self, change: int) -> None:
        """A request came in (1) or left (-1)."""
        with self._lock:
            self._gauges[_RUNNING] = self._gauges.get(_RUNNING, 0) + change

    def answered(self, seconds: float, method: str, route: str, status: str) -> None:
        """A request left: count it, add it to ``http_request_duration_seconds``, and one fewer is running."""
        where = (("method", method), ("route", route))
        with self._lock:
            self._add("http_requests_total", (*where, ("status", status)), 1)
            row = self._buckets.get(where)
            if row is None:
                row = self._buckets[where] = [0] * (len(BUCKETS_S) + 1)
            row[bisect_left(BUCKETS_S, seconds)] += 1
            self._sums[where] += seconds
            self._gauges[_RUNNING] = self._gauges.get(_RUNNING, 0) - 1

    def text(self) -> str:
        """Everything as Prometheus text."""
        with self._lock:
            lines = [f"{name}{_labels(labels)} {value:g}" for (name, labels), value in sorted(self._all_counters())]
            lines += [f"{name}{_labels(labels)} {value:g}" for (name, labels), value in sorted(self._gauges.items())]
            for labels, row in sorted(self._buckets.items()):
                lines += self._histogram(labels, row)
        return "\n".join(lines) + "\n"

    def _all_counters(self) -> Iterator[tuple[tuple[str, Labels], float]]:
        yield from self._counters.items()
        for (name, label, labels), values in self._each.items():
            for value, count in values.items():
                yield (name, ((label, value), *labels)), count

    def _histogram(self, labels: Labels, row: list[int]) -> list[str]:
        name, running, lines = "http_request_duration_seconds", 0, []
        for edge, count in zip((*(f"{edge:g}" for edge in BUCKETS_S), "+Inf"), row, strict=True):
            running += count
            lines.append(f"{name}_bucket{_labels((*labels, ('le', edge)))} {running}")
        shown = _labels(labels)
        return [*lines, f"{name}_count{shown} {running}", f"{name}_sum{shown} {self._sums[labels]:g}"]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
