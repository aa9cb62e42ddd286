"""Offline evaluation: one global cut, full ranking, repeats and new items apart, baselines in the same run.

Everything is fitted on the orders before the cut; the truth is what each member bought in the 28 days after it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from recsys_engine.evaluation.baselines import Lists, Recommender, item_knn, learned, personal_frequency, popularity
from recsys_engine.evaluation.metrics import (
    coverage,
    diversity,
    hit_at,
    interval,
    ndcg_at,
    novelty,
    paired_interval,
    recall_at,
    reciprocal_rank_at,
)
from recsys_engine.signals.ranking.lessons import HORIZON_DAYS, future_of
from recsys_engine.signals.ranking.model import Told, fit_ranking, tell_nobody
from recsys_engine.signals.ranking.orders import DAY_S, Facts, Ints, Orders

K = 10
SEED = 20_260_101
STEP = 200  # shoppers asked at once
REGULAR_ORDERS = 5  # a shopper with as many past baskets counts as a regular
TASKS = ("next_basket", "repeats", "new_items")
OURS = "ranking"
FIT_SHARE = 0.8  # of an evaluation's time goes into learning
STEPS = 100
"""Progress is told in hundredths."""


class EvaluationCancelledError(Exception):
    """Whoever asked for the evaluation no longer wants it; nothing was stored."""


@dataclass(frozen=True)
class Scores:
    """Means over cases. `low`, `high`: 95 % bootstrap interval of ndcg; `against`: paired, our NDCG minus theirs."""

    cases: int
    ndcg: float
    recall: float
    hit: float
    mrr: float
    low: float
    high: float
    coverage: float
    novelty: float
    diversity: float
    segments: Mapping[str, float]
    against: tuple[float, float] | None = None


@dataclass(frozen=True)
class Report:
    """Scores by engine and task, with what was asked."""

    cut: int
    k: int
    shoppers: int
    items: int
    engines: Mapping[str, Mapping[str, Scores]]

    def as_json(self) -> dict[str, object]:
        """Plain values for a file; `records` keeps and compares them."""
        return asdict(self)


@dataclass
class _Watch:
    """Tells the caller how far it is and stops when they have had enough."""

    progress: Told
    is_cancelled: Callable[[], bool]
    told: int = field(default=0, init=False)

    def at(self, share: float, what: str) -> None:
        if self.is_cancelled():
            raise EvaluationCancelledError(what)
        self.told = max(self.told, round(STEPS * share))
        self.progress(self.told, STEPS, what)

    def fitting(self, done: int, total: int, what: str) -> None:
        self.at(FIT_SHARE * done / total, what)


def evaluate(
    orders: Orders,
    facts: Facts,
    *,
    cut: int | None = None,
    k: int = K,
    progress: Told = tell_nobody,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Report:
    """Our ranking beside popularity, personal frequency and item-KNN at `cut` (default: 28 days before the last order).

    For a background job: takes minutes on a large log. `progress(done, 100, what)` is called some twenty times, `done`
    never falls; `is_cancelled()` is asked at the same moments. `records.evaluate_and_store` keeps the result.

    Raises:
        ValueError: no member with two baskets before the cut bought anything after it.
        EvaluationCancelledError: `is_cancelled` said so.
    """
    watch = _Watch(progress, is_cancelled)
    watch.at(0, "cases")
    cut = int(orders.ts.max()) + 1 - HORIZON_DAYS * DAY_S if cut is None else cut
    past, future = orders.before(cut), future_of(orders, cut)
    if not len(future.users):
        raise ValueError("nobody with two orders before the cut bought after it: record more before evaluating")
    engines: dict[str, Recommender] = {
        OURS: learned(fit_ranking(past, facts, cut, progress=watch.fitting), past),
        "popularity": popularity(past, cut),
        "personal_frequency": personal_frequency(past, cut),
        "item_knn": item_knn(past, cut),
    }
    truths = _truths(past, future.users, future.next_basket, future.new_items)
    told: dict[str, dict[str, _Told]] = {}
    scored: dict[str, dict[str, Scores]] = {}
    for place, (name, engine) in enumerate(engines.items(), 1):
        told[name] = {
            task: _Told.ask(engine, users, wanted, task) for task, (users, wanted) in truths.items() if len(users)
        }
        ours = {} if name == OURS else told[OURS]
        scored[name] = {task: _scores(tasks, ours.get(task), past, facts, k) for task, tasks in told[name].items()}
        watch.at(FIT_SHARE + (1 - FIT_SHARE) * place / len(engines), name)
    return Report(cut, k, len(future.users), orders.n_items, scored)


Truths = dict[str, tuple[Ints, list[frozenset[int]]]]


def _truths(past: Orders, users: Ints, next_basket: dict[int, Ints], new_items: dict[int, Ints]) -> Truths:
    owned = set((past.user * past.n_items + past.item).tolist())
    whole, again, new = [], [], []
    for user in users.tolist():
        basket = frozenset(next_basket[user].tolist())
        whole.append((user, basket))
        again.append((user, frozenset(item for item in basket if user * past.n_items + item in owned)))
        new.append((user, frozenset(new_items[user].tolist())))
    return {task: _kept(pairs) for task, pairs in zip(TASKS, (whole, again, new), strict=True)}


def _kept(pairs: list[tuple[int, frozenset[int]]]) -> tuple[Ints, list[frozenset[int]]]:
    kept = [(user, wanted) for user, wanted in pairs if wanted]
    return np.array([user for user, _ in kept], np.int64), [wanted for _, wanted in kept]


@dataclass(frozen=True)
class _Told:
    """An engine's lists for the cases of a task."""

    users: Ints
    wanted: list[frozenset[int]]
    lists: Lists

    @classmethod
    def ask(cls, engine: Recommender, users: Ints, wanted: list[frozenset[int]], task: str) -> "_Told":
        steps = range(0, len(users), STEP)
        lists = [listed for start in steps for listed in engine(users[start : start + STEP], task != "new_items")]
        return cls(users, wanted, lists)

    def ndcg(self, k: int) -> list[float]:
        return [ndcg_at(listed, wanted, k) for listed, wanted in zip(self.lists, self.wanted, strict=True)]


def _scores(told: _Told, ours: _Told | None, past: Orders, facts: Facts, k: int) -> Scores:
    pairs = list(zip(told.lists, told.wanted, strict=True))
    ndcg = told.ndcg(k)
    low, high = interval(ndcg, np.random.default_rng(SEED))
    buyers = np.bincount(np.unique(past.user * past.n_items + past.item) % past.n_items, minlength=past.n_items)
    regular = past.baskets_by_user[told.users] >= REGULAR_ORDERS
    segments = {name: rows for name, rows in (("regular", regular), ("occasional", ~regular)) if rows.any()}
    return Scores(
        cases=len(pairs),
        ndcg=float(np.mean(ndcg)),
        recall=float(np.mean([recall_at(listed, wanted, k) for listed, wanted in pairs])),
        hit=float(np.mean([hit_at(listed, wanted, k) for listed, wanted in pairs])),
        mrr=float(np.mean([reciprocal_rank_at(listed, wanted, k) for listed, wanted in pairs])),
        low=low,
        high=high,
        coverage=coverage(told.lists, k, past.n_items),
        novelty=novelty(told.lists, k, buyers.astype(np.float64), int((past.baskets_by_user > 0).sum())),
        diversity=diversity(told.lists, k, facts.vectors),
        segments={name: float(np.mean(np.asarray(ndcg)[rows])) for name, rows in segments.items()},
        against=paired_interval(ours.ndcg(k), ndcg, np.random.default_rng(SEED)) if ours else None,
    )
