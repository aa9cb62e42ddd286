"""The learned ranking behind the common face of a signal."""

from dataclasses import dataclass

import numpy as np

from recsys_engine.domain import NO_ITEM, FloatArray, IntArray, Query
from recsys_engine.signals.ranking.from_state import Lessons, histories_from
from recsys_engine.signals.ranking.model import Ranked, RankingModel, fit_ranking
from recsys_engine.signals.state import LiveState

LONGEST_QUERY = 10  # items of a cart or session that count, the newest
HISTORY_EVENTS = 20_000
_NOTHING: IntArray = np.empty(0, np.int64)


@dataclass(frozen=True)
class FittedModel:
    """A ranking with the names behind its codes, so that any replica can read it whatever its own order."""

    ranking: RankingModel
    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]


def fit_model(lessons: Lessons, now_s: float) -> FittedModel:
    """Fit on everything in `lessons`, taken to be known at `now_s`."""
    ranking = fit_ranking(lessons.orders, lessons.facts, round(now_s))
    return FittedModel(ranking, lessons.item_ids, lessons.user_ids)


class LearnedSource:
    """Candidates and scores of the ranker for the question a request asks; silent until a model is there.

    A product in view or a cart asks what goes with it, a shopper's history asks what they buy next. The models of items
    and neighbours are as old as the last refit; the shopper's own history is read live. Score = 1 / (1 + e^−ranker).
    """

    name = "learned"

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._model: FittedModel | None = None
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._to_model: IntArray = _NOTHING
        self._to_shelf: IntArray = _NOTHING
        self._memo: tuple[object, IntArray, FloatArray] = (None, _NOTHING, np.zeros(0))

    @property
    def is_ready(self) -> bool:
        return self._model is not None

    def use(self, model: FittedModel) -> None:
        """Swap the model in; the next query sees it."""
        self._model = model
        self._users = {user_id: code for code, user_id in enumerate(model.user_ids)}
        self._items = {item_id: code for code, item_id in enumerate(model.item_ids)}
        self._to_model, self._memo = _NOTHING, (None, _NOTHING, np.zeros(0))
        index = self._state.catalog.index_of
        self._to_shelf = np.array([index(item_id) for item_id in model.item_ids], np.int64)

    def candidates(self, query: Query, limit: int) -> IntArray:
        items, scores = self._ranked(query)
        return items[np.lexsort((items, -scores))][:limit]

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        known, scores = self._ranked(query)
        dense = np.zeros(query.shelf.size)
        dense[known] = scores
        return dense[items]

    def _ranked(self, query: Query) -> tuple[IntArray, FloatArray]:
        if self._memo[0] is query:
            return self._memo[1], self._memo[2]
        ranked = self._answer(query)
        items, scores = _NOTHING, np.zeros(0)
        if ranked is not None:
            items = self._to_shelf[ranked.candidates.item]
            scores = 1 / (1 + np.exp(-ranked.scores.astype(np.float64)))
        self._memo = (query, items, scores)
        return items, scores

    def _answer(self, query: Query) -> Ranked | None:
        if self._model is None:
            return None
        ranking = self._model.ranking
        together = self._together(query)
        if len(together):
            return ranking.together([together])
        history = self._state.histories.history(query.user_id, HISTORY_EVENTS)
        lines = histories_from(history, self._mapped(query.shelf.size), self._users.get(query.user_id or "", -1))
        if not len(lines.item):
            session = self._codes(query.session)
            return ranking.together([session]) if len(session) else None
        return ranking.personal(lines, repeats=query.settings.exclude_bought_days is None)

    def _together(self, query: Query) -> IntArray:
        shown = np.array([query.view_item]) if query.view_item != NO_ITEM else query.cart
        return self._codes(shown)

    def _codes(self, items: IntArray) -> IntArray:
        codes = self._mapped(self._state.catalog.size)[items[-LONGEST_QUERY:]]
        return codes[codes >= 0]

    def _mapped(self, size: int) -> IntArray:
        """Shelf index → model code or −1; grown when the shelf does."""
        if len(self._to_model) < size:
            ids = self._state.catalog.shelf().ids
            self._to_model = np.array([self._items.get(item_id, -1) for item_id in ids], np.int64)
        return self._to_model
