"""One list, stage by stage: candidates, filters, scores, rules, order, exploration, fill, cut."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from recsys_engine.domain import (
    NO_RULES,
    BoolArray,
    Choice,
    FloatArray,
    IntArray,
    Limits,
    Pool,
    Query,
    Ranker,
    RuleEffects,
    Signal,
    Trace,
)
from recsys_engine.stages.explore import explore
from recsys_engine.stages.filters import allowed, among, why_refused
from recsys_engine.stages.rerank import Caps, choose

PROFILE_FEATURE = "personalization"
BLOCKED = "blocked"
FILL_RESERVE = 3
"""Fill offers this many times k items, so that caps still leave a full list."""

DENSE_SIZE = 20_000
"""Up to this many items a mark per item is cheaper than sorting what was found."""
FILL = "fill"
Found = tuple[str, IntArray]
"""A generator and what it found, each item once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the signals by name, the ranker, and who fills up a short list (a signal name)."""

    signals: Mapping[str, Signal]
    ranker: Ranker
    fallback: str = "recent_popularity"
    penalty: Callable[[Query, IntArray], FloatArray] | None = None
    """A multiplier per item for what shoppers regret (guardrails)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One list to make: what to run, for whom, and the limits that hold whatever put an item there.

    ``rng`` gives the same generator on every call; making one is dear and only exploration needs it.
    """

    query: Query
    plan: Plan
    limits: Limits
    k: int
    rng: Callable[[], np.random.Generator]
    rules: RuleEffects = NO_RULES
    trace: Trace = field(default_factory=Trace)


@dataclass(slots=True)
class Outcome:
    """The finished list (pool rows in order) and everything needed to explain it."""

    pool: Pool
    names: tuple[str, ...]
    source_names: tuple[str, ...]
    choices: list[Choice]
    trace: Trace
    rows: IntArray = field(init=False)
    """The pool rows of the choices, in order."""

    def __post_init__(self) -> None:
        self.rows = np.array([choice.row for choice in self.choices], np.int64)

    def sources(self, row: int) -> tuple[str, ...]:
        """Who put a row into the pool."""
        return names_of(self.pool.sources.item(row), self.source_names)


def names_of(bits: int, names: Sequence[str]) -> tuple[str, ...]:
    """The names whose bit is set, the n-th bit standing for the n-th name."""
    return tuple([name for place, name in enumerate(names) if bits >> place & 1])


def recommend(job: Job) -> Outcome:
    """Up to ``k`` items from all generators of the recipe."""
    with _Timed(job.trace, "candidates"):
        found = _with_rule_items(_gather(job), job.rules)
    return _finish(job, found, may_fill=True)


def rerank(job: Job, items: IntArray, scores: FloatArray) -> Outcome:
    """Order the given items (and what rules add); their own scores take the popularity column."""
    fallback = job.plan.fallback
    signals = {**job.plan.signals, fallback: _Given(fallback, items, scores)}
    job.trace.counts["prefetched"] = len(items)
    found = _with_rule_items([("prefetched", items)], job.rules)
    return _finish(replace(job, plan=replace(job.plan, signals=signals)), found, may_fill=False)


class _Given:
    """The caller's own scores as a signal."""

    def __init__(self, name: str, items: IntArray, scores: FloatArray) -> None:
        self.name = name
        self._scores = dict(zip(items.tolist(), scores.tolist(), strict=True))
        self._items = items

    def candidates(self, query: Query, limit: int) -> IntArray:  # noqa: ARG002 - the protocol's shape
        return self._items[:limit]

    def scores(self, query: Query, items: IntArray) -> FloatArray:  # noqa: ARG002 - the protocol's shape
        return np.array([max(self._scores.get(item, 0.0), 0.0) for item in items.tolist()])


def _gather(job: Job) -> list[Found]:
    found: list[Found] = []
    for name, limit in job.query.settings.generators.items():
        signal = job.plan.signals.get(name)
        if signal is None or limit <= 0:
            continue
        started = perf_counter()
        items = signal.candidates(job.query, limit)
        found.append((name, items))
        job.trace.counts[name] = len(items)
        job.trace.seconds[f"source.{name}"] = perf_counter() - started
    return found


def _with_rule_items(found: list[Found], rules: RuleEffects) -> list[Found]:
    wanted = [item for item, _ in rules.pins] + [
        item for item, (delta, _) in rules.boosts.items() if delta > 0 and item in rules.injected
    ]
    return [*found, ("rule", np.array(list(dict.fromkeys(wanted)), np.int64))] if wanted else found


def _finish(job: Job, found: list[Found], *, may_fill: bool) -> Outcome:
    trace = job.trace
    names = (*[name for name, _ in found], FILL)
    with _Timed(trace, "filters"):
        items, bits = _merged(found, job.query.shelf.ties)
        trace.counts["merged"] = len(items)
        passed = _passed(job, items)
        if trace.counts["after_filters"] < len(items):
            items, bits = items[passed], bits[passed]
    may_fill = may_fill and not job.query.settings.only_own_history
    if may_fill and len(items) < job.k:
        items, bits = _filled(job, items, bits, len(names) - 1)
    outcome = _scored_and_ordered(job, items, bits, names)
    if may_fill and len(outcome.choices) < job.k:  # caps held items back: offer others
        items, bits = _filled(job, items, bits, len(names) - 1)
        outcome = _scored_and_ordered(job, items, bits, names)
    trace.counts["returned"] = len(outcome.choices)
    return outcome


def _merged(found: list[Found], ties: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct items of all generators and who found them (bit g for the g-th generator).

    In the order of ``ties``: whoever sorts rows by score and keeps the order of equal ones needs no more.
    """
    filled = [place for place, (_, part) in enumerate(found) if len(part)]
    if not filled:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    parts = [found[place][1] for place in filled]
    items = np.concatenate(parts)
    bits = np.array([1 << place for place in filled]).repeat([len(part) for part in parts])
    if len(ties) <= DENSE_SIZE:
        marks = np.bincount(items, bits, len(ties))
        items = (marks > 0).nonzero()[0]  # twice as fast as asking the floats themselves
        items = items[ties[items].argsort(kind="stable")]
        return items, marks[items].astype(np.int64)
    order = ties[items].argsort(kind="stable")
    items, bits = items[order], bits[order]
    begins = np.flatnonzero(np.concatenate([[True], items[1:] != items[:-1]]))
    return items[begins], np.bitwise_or.reduceat(bits, begins)


def _scored_and_ordered(job: Job, items: IntArray, bits: IntArray, source_names: tuple[str, ...]) -> Outcome:
    names = _features(job)
    with _Timed(job.trace, "scoring"):
        pool = score(job, items, bits, names)
        _boost(pool, job.rules)
    with _Timed(job.trace, "rerank"):
        choices = _ordered(job, pool)
    return Outcome(pool, names, source_names, choices, job.trace)


def _features(job: Job) -> tuple[str, ...]:
    """The signals this list looks at: those with a weight, and the profile where it multiplies."""
    settings = job.query.settings
    used = {name for name, weight in settings.weights.items() if weight}
    if settings.profile_boost > 0:
        used.add(PROFILE_FEATURE)
    return tuple([name for name in job.plan.signals if name in used or job.plan.ranker.wants_all])


def _passed(job: Job, items: IntArray) -> BoolArray:
    dropped = np.zeros(len(items), bool)
    checks = why_refused(job.query.shelf, job.limits, items)
    if job.rules.blocked:
        checks.append((BLOCKED, among(items, _blocked(job.rules))))
    for reason, refused in checks:
        if job.trace.is_detailed:
            _note_dropped(job, items[refused & ~dropped], reason)
        dropped |= refused
    if job.trace.is_detailed:  # blocked items no generator found would otherwise have come in by the fill
        for item, rule_ids in job.rules.blocked.items():
            job.trace.dropped.setdefault(item, ("rules", f"rule.block[{rule_ids[0]}]"))
    job.trace.counts["after_filters"] = len(items) - int(np.count_nonzero(dropped))
    return ~dropped


def _note_dropped(job: Job, items: IntArray, reason: str) -> None:
    for item in items.tolist():
        is_rule = reason == BLOCKED
        verdict = ("rules", f"rule.block[{job.rules.blocked[item][0]}]") if is_rule else ("filters", reason)
        job.trace.dropped[item] = verdict


def _filled(job: Job, items: IntArray, bits: IntArray, fill_bit: int) -> tuple[IntArray, IntArray]:
    """Add the most popular of everything that passes, so that a narrow request still gets a full list.

    The items stay in the order of ``ties``.
    """
    shelf = job.query.shelf
    open_ = allowed(shelf, job.limits, np.arange(shelf.size))
    open_[items] = False
    open_[_blocked(job.rules)] = False
    rest = np.flatnonzero(open_)
    popularity = job.plan.signals[job.plan.fallback].scores(job.query, rest)
    reserve = rest[_best(popularity, FILL_RESERVE * job.k, shelf.ties[rest])]
    everything = np.concatenate([items, reserve])
    order = shelf.ties[everything].argsort(kind="stable")
    return everything[order], np.concatenate([bits, np.full(len(reserve), 1 << fill_bit)])[order]


def _best(scores: FloatArray, count: int, ties: IntArray) -> IntArray:
    """Places of the ``count`` largest scores, best first."""
    part = np.arange(len(scores))
    if len(scores) > 4 * count:
        part = np.flatnonzero(scores >= np.partition(scores, len(scores) - count)[len(scores) - count])
    return part[np.lexsort((ties[part], -scores[part]))][:count]


def _blocked(rules: RuleEffects) -> IntArray:
    return np.fromiter(rules.blocked, np.int64, len(rules.blocked))


def score(job: Job, items: IntArray, bits: IntArray, names: tuple[str, ...]) -> Pool:
    """Features, contributions, the personal multiplier and the score of each item."""
    signals, query = job.plan.signals, job.query
    columns = np.zeros((len(names), len(items)))
    for place, name in enumerate(names if len(items) else ()):
        columns[place] = signals[name].scores(query, items)
    features = columns.T
    contributions = job.plan.ranker.contributions(query, items, features, names)
    multipliers = _personal_multiplier(query, features, names)
    if job.plan.penalty is not None and len(items):
        multipliers *= job.plan.penalty(query, items)
    blends = np.add.reduce(np.ascontiguousarray(contributions), 1)
    return Pool(items, bits, features, contributions, multipliers, blends * multipliers)


def _personal_multiplier(query: Query, features: FloatArray, names: Sequence[str]) -> FloatArray:
    """1 + boost · overlap; for shoppers with few recent items the excess is damped."""
    settings = query.settings
    if settings.profile_boost <= 0 or settings.is_plain_blend or PROFILE_FEATURE not in names:
        return np.ones(len(features))
    distinct = len(np.unique(query.history.items)) if query.history.size else 0
    damp = 1.0 if distinct >= settings.profile_min_events else settings.profile_cold_multiplier
    multiplier: FloatArray = 1 + settings.profile_boost * damp * features[:, names.index(PROFILE_FEATURE)]
    return multiplier


def _boost(pool: Pool, rules: RuleEffects) -> None:
    if not rules.boosts:
        return
    for row, item in enumerate(pool.items.tolist()):
        delta = rules.boosts.get(item, (0.0, ()))[0]
        if delta and pool.scores[row] != 0:
            pool.multipliers[row] *= 1 + delta
            pool.scores[row] *= 1 + delta
        elif delta:
            pool.scores[row] = delta


def _ordered(job: Job, pool: Pool) -> list[Choice]:
    settings = job.query.settings
    caps = Caps(job.query.shelf, settings, job.k)
    pinned = _pinned(job, pool, caps)
    order = (-pool.scores).argsort(kind="stable")  # rows are in the order of ties
    if pinned:
        order = order[~among(order, np.array([choice.row for choice in pinned]))]
    chosen, refused = choose(pool, order, job.k - len(pinned), caps, settings.mmr_lambda)
    listed = [*pinned, *chosen]
    if settings.exploration_rate > 0:
        listed = explore(listed, order.tolist(), settings.exploration_rate, job.rng(), _RowCaps(pool, caps))
    if job.trace.is_detailed:
        _note_cut(job, pool, listed, refused)
    return listed


def _note_cut(job: Job, pool: Pool, listed: list[Choice], refused: dict[int, str]) -> None:
    on_list = {choice.row for choice in listed}
    for row, item in enumerate(pool.items.tolist()):
        if row not in on_list:
            job.trace.dropped.setdefault(item, ("rerank", refused[item]) if item in refused else ("cut", "score"))


def _pinned(job: Job, pool: Pool, caps: Caps) -> list[Choice]:
    row_of = {item: row for row, item in enumerate(pool.items.tolist())} if job.rules.pins else {}
    slots = min(job.k, job.query.settings.max_pins)
    pinned: dict[int, Choice] = {}
    for item, rule_id in job.rules.pins:
        row = row_of.get(item)
        if row is None or len(pinned) == slots or row in pinned or caps.hit(item):
            continue
        caps.take(item)
        pinned[row] = Choice(row, "pin", rule_ids=(rule_id,))
    return list(pinned.values())


@dataclass(frozen=True, slots=True)
class _RowCaps:
    """Caps by pool row, as exploration wants them."""

    pool: Pool
    caps: Caps

    def fits(self, row: int) -> bool:
        return self.caps.hit(int(self.pool.items[row])) is None

    def take(self, row: int) -> None:
        self.caps.take(int(self.pool.items[row]))

    def release(self, row: int) -> None:
        self.caps.release(int(self.pool.items[row]))


class _Timed:
    """Notes the seconds of a stage; a class, since a generator's context costs four times as much."""

    __slots__ = ("_stage", "_started", "_trace")

    def __init__(self, trace: Trace, stage: str) -> None:
        self._trace = trace
        self._stage = stage

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._trace.seconds[self._stage] = perf_counter() - self._started
