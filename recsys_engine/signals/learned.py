"""The learned ranking behind the common face of a signal."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import numpy as np

from recsys_engine.contract.entities import EventType
from recsys_engine.domain import NO_ITEM, FloatArray, IntArray, Query
from recsys_engine.signals.histories import TS_MS
from recsys_engine.signals.picking import best, looked_up
from recsys_engine.signals.ranking.from_state import Lessons, histories_from
from recsys_engine.signals.ranking.model import Ranked, RankingModel, Told, fit_ranking, tell_nobody
from recsys_engine.signals.ranking.shoppers import Histories
from recsys_engine.signals.state import LiveState

LONGEST_QUERY = 10  # items of a cart or session that count, the newest
HISTORY_EVENTS = 20_000
BROWSED_S = 86_400  # what a shopper looked at in the last day still colours their lists
NEW_SHARE = 1e-3  # items nobody has bought yet come after those the ranker knows
SEEN_SHARE = 0.5  # of what goes with it, beside what they usually buy
REMEMBERED = 5_000  # answers; one is about 5 kB
EXPLAINED = 8  # items of a history named in an explanation
_NOTHING: IntArray = np.empty(0, np.int64)
_NO_ROWS: FloatArray = np.empty((0, 5))
Answer = tuple[IntArray, FloatArray]
Key = tuple[str | None, int, float, bool, bytes, bytes]


@dataclass(frozen=True)
class FittedModel:
    """A ranking with the names behind its codes, so that any replica can read it whatever its own order.

    ``version`` tells one fit from another.
    """

    ranking: RankingModel
    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    version: str = ""


def fit_model(lessons: Lessons, now_s: float, progress: Told = tell_nobody) -> FittedModel:
    """Fit on everything in `lessons`, taken to be known at `now_s`."""
    ranking = fit_ranking(lessons.orders, lessons.facts, round(now_s), progress=progress)
    return FittedModel(ranking, lessons.item_ids, lessons.user_ids, uuid4().hex)


@dataclass(frozen=True)
class Question:
    """What a request asks, in model codes: items shown beside, items looked at lately, and whether repeats are
    welcome.
    """

    shown: IntArray
    seen: IntArray
    repeats: bool


@dataclass(frozen=True)
class Part:
    """A ranking that takes part in an answer, and the items (model codes) it was asked from."""

    ranked: Ranked
    share: float
    asked: IntArray


class LearnedSource:
    """Candidates and scores of the ranker for the question a request asks; silent until a model is there.

    A product in view or a cart asks what goes with it; a shopper's history asks what they buy next, and what they
    looked
    at in the last day adds what goes with that. The models of items and neighbours are as old as the last refit; the
    shopper's own events are read live. An answer is 1 / (1 + e^−ranker); answers add up by their shares.
    """

    name = "learned"

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._model: FittedModel | None = None
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._to_model: IntArray = _NOTHING
        self._to_shelf: IntArray = _NOTHING
        self._memo: OrderedDict[Key, Answer] = OrderedDict()
        self._erasures = 0

    @property
    def is_ready(self) -> bool:
        return self._model is not None

    @property
    def model(self) -> FittedModel | None:
        """The model as it answers: without whom the live state no longer knows."""
        return self._model

    @property
    def version(self) -> str:
        """Which fit answers; empty without a model."""
        return self._model.version if self._model is not None else ""

    def use(self, model: FittedModel) -> None:
        """Swap the model in; the next query sees it."""
        self._model = model
        self._users = {user_id: code for code, user_id in enumerate(model.user_ids)}
        self._items = {item_id: code for code, item_id in enumerate(model.item_ids)}
        self._to_model = _NOTHING
        self._memo.clear()
        index = self._state.catalog.index_of
        self._to_shelf = np.array([index(item_id) for item_id in model.item_ids], np.int64)
        self._leave_out_the_erased()

    def _leave_out_the_erased(self) -> None:
        """Empty the rows of members the live state knows nothing of: a model is as old as its refit, an erasure is not.

        What they added to sums over everybody (co-occurrence, the linear model, the trees) stays until the next refit.
        """
        self._erasures = self._state.erasures
        model, histories = self._model, self._state.histories
        gone = [code for user_id, code in self._users.items() if user_id and not histories.has_events(user_id)]
        if model is None or not gone:
            return
        model.ranking.world.neighbours.forget(np.array(gone))
        erased = set(gone)
        ids = tuple("" if code in erased else user_id for code, user_id in enumerate(model.user_ids))
        self._model = replace(model, user_ids=ids)
        self._users = {user_id: code for code, user_id in enumerate(ids) if user_id}
        self._memo.clear()

    def candidates(self, query: Query, limit: int) -> IntArray:
        items, scores = self._answer(query)
        return items[best(scores, limit, query.shelf.ties[items])] if len(items) > limit else items

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        return looked_up(*self._answer(query), items)

    def _answer(self, query: Query) -> Answer:
        """Remembered until the shopper does something, the question changes or a new model comes."""
        if self._model is None:
            return _NOTHING, np.zeros(0)
        if self._erasures != self._state.erasures:
            self._leave_out_the_erased()
        question = self._question(query)
        key = (
            query.user_id,
            *self._events_of(query.user_id),
            question.repeats,
            question.shown.tobytes(),
            question.seen.tobytes(),
        )
        answer = self._memo.get(key)
        if answer is None:
            answer = self._memo[key] = self._computed(self._model.ranking, query, question)
            if len(self._memo) > REMEMBERED:
                self._memo.popitem(last=False)
        return answer

    def _events_of(self, user_id: str | None) -> tuple[int, float]:
        """How many events a shopper has and when the last one was: changes with every event, and with forgetting."""
        user = self._state.histories.user_index.get(user_id) if user_id else None
        rows = self._state.histories.rows(user) if user is not None else _NO_ROWS
        return (len(rows), float(rows[-1, TS_MS])) if len(rows) else (0, 0.0)

    def _question(self, query: Query) -> Question:
        shown = np.array([query.view_item]) if query.view_item != NO_ITEM else query.cart
        history = query.history
        browsing = (history.types < EventType.PURCHASE) & (history.ts_s > query.now_s - BROWSED_S)
        seen = np.concatenate([history.items[browsing], query.session])
        repeats = query.settings.exclude_bought_days is None
        return Question(self._codes(shown), self._codes(seen), repeats)

    def _computed(self, ranking: RankingModel, query: Query, question: Question) -> Answer:
        dense = np.zeros(query.shelf.size)
        lines = self._lines(query)
        if len(lines.item) and not len(question.shown):
            dense[self._to_shelf[ranking.kinship.items]] += NEW_SHARE * ranking.newcomers(lines)[0]
        for part in self._parts(ranking, query, question, lines):
            items = self._to_shelf[part.ranked.candidates.item]
            dense[items] += part.share * _chance(part.ranked.scores)
        items = np.flatnonzero(dense)
        return items, dense[items]

    def _lines(self, query: Query) -> Histories:
        history = self._state.histories.history(query.user_id, HISTORY_EVENTS)
        return histories_from(history, self._mapped(query.shelf.size), self._users.get(query.user_id or "", -1))

    def _parts(self, ranking: RankingModel, query: Query, question: Question, lines: Histories) -> list[Part]:
        """The rankings an answer adds up, with their shares."""
        if len(question.shown):
            return [Part(ranking.together([question.shown]), 1.0, question.shown)]
        parts: list[Part] = []
        if len(lines.item):
            parts.append(Part(ranking.personal(lines, repeats=question.repeats), 1.0, np.unique(lines.item)))
        seen = question.seen if len(question.seen) or len(lines.item) else self._codes(query.anchors[::-1])
        if len(seen):
            parts.append(Part(ranking.together([seen]), SEEN_SHARE if len(lines.item) else 1.0, seen))
        return parts

    def explain(self, query: Query, items: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
        """For each item, the rankings that spoke for it: the ranker's columns and the items they speak from.

        ``adds`` of all blocks sum to the item's value (an item without sales has one of its own, for its relatives);
        base, columns and novelty of a block sum to its ``ranker`` score (both to single precision).
        """
        if self._model is None:
            return {}
        ranking, lines = self._model.ranking, self._lines(query)
        parts = self._parts(ranking, query, self._question(query), lines)
        return {item: [block for part in parts for block in self._told(ranking, part, item)] for item in items}

    def _told(self, ranking: RankingModel, part: Part, item: int) -> Iterator[dict[str, Any]]:
        code = int(self._mapped(self._state.catalog.size)[item])
        row = int(np.searchsorted(part.ranked.candidates.item, code))  # one case: items ascend
        if row == len(part.ranked.candidates.item) or part.ranked.candidates.item[row] != code:
            return
        split = ranking.split(part.ranked, row)
        assert self._model is not None
        ease, near = ranking.ties(part.asked, code)
        strongest = np.argsort(-(np.abs(ease) + near), kind="stable")[:EXPLAINED]
        yield {
            "question": part.ranked.recipe,
            "share": part.share,
            "ranker": split.total,
            "base": split.base,
            "columns": {
                name: {"value": value, "contribution": share} for name, (value, share) in split.columns.items()
            },
            "novelty": split.novelty,
            "adds": float(part.share * _chance(part.ranked.scores[row : row + 1])[0]),
            "history": [
                {"item_id": self._model.item_ids[part.asked[at]], "ease": float(ease[at]), "together": float(near[at])}
                for at in strongest.tolist()
                if ease[at] or near[at]
            ],
        }

    def _codes(self, items: IntArray) -> IntArray:
        """Model codes of the newest ten distinct items, oldest first."""
        codes = self._mapped(self._state.catalog.size)[items]
        newest = list(dict.fromkeys(codes[codes >= 0][::-1].tolist()))[:LONGEST_QUERY]
        return np.array(newest[::-1], np.int64)

    def _mapped(self, size: int) -> IntArray:
        """Shelf index → model code or −1; grown when the shelf does."""
        if len(self._to_model) < size:
            ids = self._state.catalog.shelf().ids
            self._to_model = np.array([self._items.get(item_id, -1) for item_id in ids], np.int64)
        return self._to_model


def _chance(scores: Any) -> FloatArray:
    """1 / (1 + e^−score)."""
    chance: FloatArray = 1 / (1 + np.exp(-scores.astype(np.float64)))
    return chance
