"""An evaluation from orders to report: our ranking beside its baselines, on the same cases."""

import numpy as np
import pytest

from recsys_engine.evaluation.__main__ import as_table
from recsys_engine.evaluation.runner import OURS, TASKS, EvaluationCancelledError, evaluate
from recsys_engine.signals.ranking.orders import DAY_S, Facts, orders_from_rows

START = 1_600_000_000


def _shop():
    """24 shoppers, each with two habits in a group of six and one other item of it, every ten days for 200 days."""
    rng = np.random.default_rng(4)
    rows = []
    for user in range(24):
        group = 6 * (user % 4)
        for order in range(20):
            bought = {group, group + 1, group + 2 + int(rng.integers(4))}
            at = START + (10 * order + user % 7) * DAY_S
            rows.extend((item, user, user * 100 + order, at, 1) for item in bought)
    item, user, basket, ts, quantity = (np.array(column) for column in zip(*rows, strict=True))
    zero = np.zeros(24, np.int64)
    facts = Facts(np.ones(24, np.float32), zero, zero, np.eye(24, 384, dtype=np.float32))
    return orders_from_rows(
        item=item,
        user=user,
        basket=basket,
        ts=ts,
        quantity=quantity.astype(np.float32),
        n_items=24,
        is_member=np.ones(24, bool),
    ), facts


@pytest.fixture(scope="module")
def report():
    return evaluate(*_shop(), k=3)


@pytest.mark.ticket("RS-049")
def test_every_engine_answers_the_same_cases_and_habits_beat_popularity(report):
    assert set(report.engines) == {OURS, "popularity", "personal_frequency", "item_knn"}
    assert {scores["next_basket"].cases for scores in report.engines.values()} == {24}
    ours, popular = (report.engines[name]["next_basket"] for name in (OURS, "popularity"))
    assert ours.ndcg > 0.6 > popular.ndcg
    assert ours.low <= ours.ndcg <= ours.high
    assert popular.against is not None
    assert popular.against[0] > 0
    assert ours.against is None
    assert set(report.engines[OURS]) <= set(TASKS)


def test_progress_never_falls_and_ends_at_a_hundred():
    told = []

    evaluate(*_shop(), k=3, progress=lambda done, total, what: told.append((done, total, what)))

    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert (told[0], told[-1]) == ((0, 100, "cases"), (100, 100, "item_knn"))
    assert {what for _, _, what in told} >= {"rankers", "models", OURS, "popularity"}


def test_a_cancelled_evaluation_stops_at_the_next_step():
    told = []

    with pytest.raises(EvaluationCancelledError):
        evaluate(*_shop(), progress=lambda *step: told.append(step), is_cancelled=lambda: len(told) == 2)

    assert len(told) == 2


def test_the_table_has_a_row_for_each_engine_and_task(report):
    rows = as_table(report.as_json()).splitlines()

    assert len(rows) == 2 + sum(len(tasks) for tasks in report.engines.values())


def test_an_evaluation_of_nobody_says_why():
    orders, facts = _shop()

    with pytest.raises(ValueError, match="record more"):
        evaluate(orders, facts, cut=START)
