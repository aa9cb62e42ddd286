"""Scripted timelines of scrolling, hiding and resizing, and an oracle that says which cards were seen in them.

The oracle knows the rule (at least half of the card on screen for one unbroken second of a tab in use, once per answer
and item) and the geometry it laid out itself. It shares no code with the tracker and asks the browser nothing.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

SECOND_MS = 1000
MARGIN_MS = 100
"""Runs this close to a second may count or not."""
DOCUMENT_HEIGHT = 3500
"""More than any card reaches down to, or the browser would make the page longer than the oracle believes."""
WAITS_MS = (30, 180, 420, 700, 870, 960, 1040, 1150, 1400, 2100)


@dataclass(frozen=True, slots=True)
class Box:
    left: int
    top: int
    width: int
    height: int

    def overlap(self, other: "Box") -> int:
        """Square pixels both cover."""
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        return max(0, width) * max(0, height)

    def clipped(self, other: "Box") -> "Box":
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.width, other.left + other.width)
        bottom = min(self.top + self.height, other.top + other.height)
        return Box(left, top, max(0, right - left), max(0, bottom - top))


@dataclass(frozen=True, slots=True)
class Step:
    """Something happens, then `wait_ms` pass."""

    kind: str
    value: Any
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of cards by item, a sideways list with its own cards, a window, and what happens."""

    cards: dict[str, Box]
    shelf: Box
    shelved: dict[str, Box]
    window: tuple[int, int]
    steps: tuple[Step, ...]

    @property
    def shelf_length(self) -> int:
        return max(box.left + box.width for box in self.shelved.values())


@dataclass
class State:
    """How things stand between two steps."""

    timeline: Timeline
    cards: dict[str, Box]
    window: tuple[int, int]
    top: int = 0
    left: int = 0
    is_hidden: bool = False
    is_focused: bool = True
    request: int = 1
    generation: int = 0

    def apply(self, step: Step) -> None:
        match step.kind:
            case "scroll":
                self.top = step.value
            case "shelf":
                self.left = max(0, min(step.value, self.timeline.shelf_length - self.timeline.shelf.width))
            case "hide":
                self.is_hidden = step.value
            case "focus":
                self.is_focused = step.value
            case "resize":
                self.window = step.value
            case "grow":
                item, height = step.value
                self.cards = self.cards | {item: replace(self.cards[item], height=height)}
            case "swap":
                self.request, self.generation, self.cards = step.value, self.generation + 1, dict(self.timeline.cards)
        self.top = max(0, min(self.top, DOCUMENT_HEIGHT - self.window[1]))

    def in_sight(self) -> set[tuple[int, str, int]]:
        """Cards on screen right now, as (answer, item, which element): none when nobody looks at the tab."""
        if self.is_hidden or not self.is_focused:
            return set()
        window = Box(0, self.top, *self.window)
        seen = {
            (self.request, item, self.generation)
            for item, box in self.cards.items()
            if 2 * box.overlap(window) >= box.width * box.height
        }
        shelf = self.timeline.shelf.clipped(window)
        for item, box in self.timeline.shelved.items():
            moved = replace(
                box, left=self.timeline.shelf.left + box.left - self.left, top=self.timeline.shelf.top + box.top
            )
            if 2 * moved.overlap(shelf) >= box.width * box.height:
                seen.add((0, item, 0))
        return seen


@dataclass
class Verdict:
    """When each (answer, item) must have been reported, and which ones were too close to call."""

    must: dict[tuple[int, str], float] = field(default_factory=dict)
    may: set[tuple[int, str]] = field(default_factory=set)


def judge(timeline: Timeline, moments: Sequence[float]) -> Verdict:
    """What must be reported when step `n` took effect at `moments[n]`; the last moment is the end."""
    state = State(timeline, dict(timeline.cards), timeline.window)
    since: dict[tuple[int, str, int], float] = {}
    verdict = Verdict()
    for step, begins, ends in zip(timeline.steps, moments, moments[1:], strict=False):
        state.apply(step)
        seen = state.in_sight()
        for gone in since.keys() - seen:
            since.pop(gone)
        for card in seen:
            since.setdefault(card, begins)
        for (request, item, _), start in since.items():
            _count(verdict, (request, item), start, ends)
    return verdict


def _count(verdict: Verdict, key: tuple[int, str], start: float, until: float) -> None:
    if until - start >= SECOND_MS + MARGIN_MS:
        verdict.must[key] = min(verdict.must.get(key, start + SECOND_MS), start + SECOND_MS)
    elif until - start > SECOND_MS - MARGIN_MS:
        verdict.may.add(key)


def a_timeline(seed: int) -> Timeline:
    """A page and ten to eighteen things that happen to it. The first step is the page as it opens."""
    rng = random.Random(f"timeline {seed}")
    window = (rng.choice((600, 800, 1100)), rng.choice((300, 600, 900)))
    cards = {
        f"C{n}": Box(rng.randrange(0, 500, 10), rng.randrange(0, 2400, 10), rng.randrange(80, 300, 10), height)
        for n, height in enumerate(rng.choices((60, 100, 180, 400, 1000), k=7))
    }
    shelf = Box(rng.randrange(0, 200, 10), rng.randrange(0, 1500, 10), 400, 160)
    shelved = {f"S{n}": Box(n * 170, 0, 150, 150) for n in range(6)}
    opened = Step("open", None, rng.choice(WAITS_MS))
    steps = [_a_step(rng, cards) for _ in range(rng.randint(10, 18))]
    return Timeline(cards, shelf, shelved, window, (opened, *steps))


def _a_step(rng: random.Random, cards: dict[str, Box]) -> Step:
    kind = rng.choice(
        ("scroll",) * 6 + ("shelf",) * 3 + ("hide", "hide", "focus", "focus", "resize", "resize", "grow", "swap")
    )
    values = {
        "scroll": lambda: rng.randrange(0, 2600, 10),
        "shelf": lambda: rng.randrange(0, 700, 10),
        "hide": lambda: rng.random() < 0.4,
        "focus": lambda: rng.random() < 0.6,
        "resize": lambda: (rng.choice((400, 700, 1000)), rng.choice((250, 500, 800))),
        "grow": lambda: (rng.choice(sorted(cards)), rng.randrange(40, 900, 20)),
        "swap": lambda: rng.randint(1, 3),
    }
    return Step(kind, values[kind](), rng.choice(WAITS_MS))
