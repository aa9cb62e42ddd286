"""The counterfactual lab: what logged lists say about settings nobody has been shown.

Each impression of a served list is a row: the odds with which its item stood in that place (kept with the decision)
and the odds the draft would give it there (independent per-position weights, Li et al. 2018). The draft's lists are
made from the log as it was when each list was served.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.operations import DraftAnswer, DraftEstimate, DraftQuestion
from recsys_engine.evaluation.offpolicy import (
    OffPolicyReport,
    PolicyLog,
    ThinOverlapError,
    diagnose,
    evaluate_policy,
    replay,
)
from recsys_engine.evaluation.runner import EvaluationCancelledError
from recsys_engine.service import Engine
from recsys_engine.service.replay import Ask
from recsys_engine.signals.ranking.model import Told, tell_nobody
from recsys_engine.stages.explore import REACH
from recsys_engine.store.decisions import Decision, DecisionQuery, find_decisions
from recsys_engine.store.ingest import to_us
from recsys_engine.store.log import events_of_lists

SEED = 20_260_102
REVENUE_WINDOW = timedelta(days=7)
"""A purchase counts for the list its basket line remembers, this long after the last list."""
TOLD_EVERY, REDONE_EVERY = 20, 5
"""After so many lists the caller hears of it, and one is made again as it was, to check that the log is whole."""
CLICK, PURCHASE = 1, 3
PRIOR_IMPRESSIONS = 20.0
"""How many impressions of the mean an item's own click rate is blended with in the reward model."""
SHOWN = ("ips", "snips", "dr")


@dataclass(frozen=True, slots=True)
class _Told:
    """What the event log says of lists: seen, clicked, and paid in minor units, by (request id, item id)."""

    seen: set[tuple[str, str]]
    clicked: set[tuple[str, str]]
    paid: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class _Odds:
    """A draft's list for one request: the item of each place, whether it is kept for sure, and what may replace it."""

    items: tuple[str, ...]
    is_fixed: tuple[bool, ...]
    reserve: frozenset[str]
    rate: float

    def of(self, place: int, item_id: str) -> float:
        """The chance that `item_id` stands in `place` (from 0)."""
        if place >= len(self.items):
            return 0.0
        explores = 0.0 if self.is_fixed[place] or not self.reserve else self.rate
        if self.items[place] == item_id:
            return 1 - explores
        return explores / len(self.reserve) if item_id in self.reserve else 0.0


@dataclass(slots=True)
class _Row:
    unit: str
    place: int
    item: str
    logging: float
    target: float
    drafted: str
    clicked: float
    paid: float
    odds: _Odds


def try_draft(
    engine: Engine,
    question: DraftQuestion,
    *,
    progress: Told = tell_nobody,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> DraftAnswer:
    """Estimate a draft from the log; seconds to minutes, for a background job. Nothing is stored or served.

    Raises:
        ContractError: ``nothing_logged``: no list of the surface was seen in that time.
        EvaluationCancelledError: `is_cancelled` said so.

    """
    decisions = _decisions(engine, question)
    told = _events(engine, question, {decision.request_id for decision in decisions})
    seen = {request_id for request_id, _ in told.seen}
    wanted = [decision for decision in decisions if decision.request_id in seen]
    rows: list[_Row] = []
    same: list[bool] = []
    for number, (decision, ask) in enumerate(engine.replayer.with_other_knobs(wanted)):
        if number % TOLD_EVERY == 0:
            if is_cancelled():
                raise EvaluationCancelledError
            progress(90 * number // len(wanted), 100, "lists made again")
        rows += _rows_of(decision, _odds(ask, question.knobs), told)
        same += _as_then(decision, ask) if number % REDONE_EVERY == 0 else []
    if not rows:
        raise ContractError("nothing_logged", "no list of this surface was seen in that time", {})
    progress(92, 100, "estimates")
    answer = _answer(rows, len(wanted), sum(same) / len(same))
    progress(100, 100, "done")
    return answer


def _decisions(engine: Engine, question: DraftQuestion) -> list[Decision]:
    engine.decisions.flush()
    query = DecisionQuery(to_us(question.from_), to_us(question.to), surface=question.surface, limit=question.most)
    with engine.reading() as (connection, tenant):
        return find_decisions(connection, tenant, query)[::-1]


def _events(engine: Engine, question: DraftQuestion, wanted: set[str]) -> _Told:
    told = _Told(set(), set(), {})
    paid: dict[tuple[str, str], float] = {}
    with engine.reading() as (connection, tenant):
        found = events_of_lists(connection, tenant, to_us(question.from_), to_us(question.to + REVENUE_WINDOW))
        for row in found:
            meta = json.loads(row.meta)
            key = (meta.get("request_id", ""), row.item_id)
            if key[0] not in wanted or meta.get("bot") or meta.get("qa"):
                continue
            if row.is_impression:
                told.seen.add(key)
            elif row.type == CLICK:
                told.clicked.add(key)
            elif row.type == PURCHASE:
                paid[key] = paid.get(key, 0.0) + row.value * float(meta.get("unit_price") or 0)
    return _Told(told.seen | told.clicked, told.clicked, paid)


def _rows_of(decision: Decision, odds: _Odds, told: _Told) -> list[_Row]:
    """The impressions of one list."""
    places = [
        (place, item)
        for place, item in enumerate(decision.body["final_items"])
        if (decision.request_id, item["item_id"]) in told.seen
    ]
    rows = []
    for place, item in places:
        item_id, key = item["item_id"], (decision.request_id, item["item_id"])
        drafted = odds.items[place] if place < len(odds.items) else ""
        rows.append(
            _Row(
                unit=decision.user_hash or decision.request_id,
                place=place,
                item=item_id,
                logging=float(item["propensity"]),
                target=odds.of(place, item_id),
                drafted=drafted,
                clicked=float(key in told.clicked),
                paid=told.paid.get(key, 0.0),
                odds=odds,
            )
        )
    return rows


def _odds(ask: Ask, knobs: Mapping[str, object]) -> _Odds:
    """Who stands where by a draft, and who else might by its exploration."""
    served = ask(knobs)
    rate = served.query.settings.exploration_rate
    if rate > 0:
        served = ask({**knobs, "exploration_rate": 0.0})
    pool, choices, ids = served.outcome.pool, served.outcome.choices, served.query.shelf.ids
    taken = {choice.row for choice in choices}
    order = (-pool.scores).argsort(kind="stable").tolist() if rate > 0 else []
    reserve = [row for row in order if row not in taken][:REACH]
    return _Odds(
        items=tuple(ids[int(pool.items[choice.row])] for choice in choices),
        is_fixed=tuple(place == 0 or choice.how != "score" for place, choice in enumerate(choices)),
        reserve=frozenset(ids[int(pool.items[row])] for row in reserve),
        rate=rate,
    )


def _as_then(decision: Decision, ask: Ask) -> list[bool]:
    """Of the places that were not tried out: does the list made again hold the same item?"""
    made = _odds(ask, {"exploration_rate": 0.0}).items
    kept = [(n, item["item_id"]) for n, item in enumerate(decision.body["final_items"]) if item["how"] != "exploration"]
    return [place < len(made) and made[place] == item_id for place, item_id in kept]


def _answer(rows: list[_Row], lists: int, redone: float) -> DraftAnswer:
    clicks, paid = (np.array([getattr(row, name) for row in rows]) for name in ("clicked", "paid"))
    log = _policy_log(rows, clicks)
    weights = diagnose(log.weights)
    logged, drafted = np.array([row.item for row in rows]), np.array([row.drafted for row in rows])
    answer = DraftAnswer(
        lists=lists,
        rows=len(rows),
        measured_clicks=float(clicks.mean()),
        measured_revenue=float(paid.mean()),
        explored_share=float(np.mean([row.logging < 0.5 for row in rows])),
        same_share=float((logged == drafted).mean()),
        redone_share=redone,
        effective=weights.effective,
        mean_weight=weights.mean_weight,
        largest_weight=weights.largest_weight,
        problem=None,
        replay_clicks=_replayed(clicks, logged, drafted),
    )
    try:
        by_clicks = evaluate_policy(log, np.random.default_rng(SEED))
        by_money = evaluate_policy(_policy_log(rows, paid), np.random.default_rng(SEED))
    except ThinOverlapError as error:
        return replace(answer, problem=str(error))
    return replace(answer, clicks=_shown(by_clicks), revenue=_shown(by_money))


def _replayed(clicks: np.ndarray, logged: np.ndarray, drafted: np.ndarray) -> float | None:
    try:
        return replay(clicks, logged, drafted).value
    except ThinOverlapError:
        return None


def _shown(report: OffPolicyReport) -> tuple[DraftEstimate, ...]:
    found = report.estimates
    return tuple(DraftEstimate(name, found[name].value, found[name].low, found[name].high) for name in SHOWN)


def _policy_log(rows: list[_Row], rewards: np.ndarray) -> PolicyLog:
    """The rows with a cross-fitted reward model: place mean × item's lift, learned on the other half of people."""
    units = np.unique([row.unit for row in rows], return_inverse=True)[1].astype(np.int64)
    logged, target = np.empty(len(rows)), np.empty(len(rows))
    for fold in (0, 1):
        model = _RewardModel(
            [row for row, u in zip(rows, units, strict=True) if u % 2 != fold], rewards[units % 2 != fold]
        )
        for index in np.flatnonzero(units % 2 == fold).tolist():
            row = rows[index]
            logged[index] = model.of(row.place, row.item)
            target[index] = model.expected(row.place, row.odds)
    return PolicyLog(
        rewards=rewards,
        logging=np.array([row.logging for row in rows]),
        target=np.array([row.target for row in rows]),
        predicted_logged=logged,
        predicted_target=target,
        units=units,
    )


class _RewardModel:
    """Reward of an item in a place: the place's mean times the item's lift over it, shrunk towards 1."""

    def __init__(self, rows: list[_Row], rewards: np.ndarray) -> None:
        overall = float(rewards.mean()) if len(rows) else 0.0
        sums: dict[int, list[float]] = {}
        for row, reward in zip(rows, rewards.tolist(), strict=True):
            sums.setdefault(row.place, []).append(reward)
        self._places = {
            place: (sum(found) + PRIOR_IMPRESSIONS * overall) / (len(found) + PRIOR_IMPRESSIONS)
            for place, found in sums.items()
        }
        self._overall = overall
        gained: dict[str, float] = {}
        expected: dict[str, float] = {}
        for row, reward in zip(rows, rewards.tolist(), strict=True):
            gained[row.item] = gained.get(row.item, 0.0) + reward
            expected[row.item] = expected.get(row.item, 0.0) + self._place(row.place)
        prior = PRIOR_IMPRESSIONS * overall
        self._lifts = {item: (gained[item] + prior) / (expected[item] + prior) if prior else 1.0 for item in gained}

    def _place(self, place: int) -> float:
        return self._places.get(place, self._overall)

    def of(self, place: int, item: str) -> float:
        return self._place(place) * self._lifts.get(item, 1.0)

    def expected(self, place: int, odds: _Odds) -> float:
        """The mean over what the draft might show there."""
        if place >= len(odds.items):
            return 0.0
        explores = 0.0 if odds.is_fixed[place] or not odds.reserve else odds.rate
        kept = (1 - explores) * self.of(place, odds.items[place])
        if not explores:
            return kept
        others = sum(self._lifts.get(item, 1.0) for item in odds.reserve) / len(odds.reserve)
        return kept + explores * self._place(place) * others
