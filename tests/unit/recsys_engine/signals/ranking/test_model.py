"""The ranking as a whole: learns habits, never the future, in both learners."""

import sys

import numpy as np
import pytest

from recsys_engine.signals.ranking.columns import Candidates
from recsys_engine.signals.ranking.learner import Lesson, LinearRanker, TreeRanker, learn
from recsys_engine.signals.ranking.lessons import cuts, future_of, histories_of, personal_lessons
from recsys_engine.signals.ranking.model import fit_ranking
from recsys_engine.signals.ranking.orders import DAY_S
from recsys_engine.signals.ranking.world import Tuning, world_at


@pytest.fixture(scope="session")
def now(orders):
    return int(orders.ts.max()) + 1


@pytest.fixture(scope="session")
def model(orders, facts, now):
    return fit_ranking(orders, facts, now, windows=2)


def _best(ranked, case, count):
    rows = np.flatnonzero(ranked.candidates.case == case)
    order = rows[np.argsort(-ranked.scores[rows], kind="stable")]
    return ranked.candidates.item[order[:count]]


def test_habits_come_first_on_the_home_page(model, orders):
    users = np.arange(10)

    ranked = model.personal(histories_of(orders, users), repeats=True)

    for user in users:
        items, count = np.unique(orders.item[orders.user == user], return_counts=True)
        habits = set(items[np.argsort(-count)[:3]].tolist())
        assert set(_best(ranked, user, 3).tolist()) == habits


def test_discovery_offers_nothing_bought_before_and_no_item_twice(model, orders):
    users = np.arange(10)

    ranked = model.personal(histories_of(orders, users), repeats=False)

    pairs = list(zip(ranked.candidates.case.tolist(), ranked.candidates.item.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    owned = set(zip(orders.user.tolist(), orders.item.tolist(), strict=True))
    assert not owned & set(pairs)


def test_a_basket_is_completed_from_its_own_group(model):
    ranked = model.together([np.array([11, 12, 13])])

    best = _best(ranked, 0, 3)
    assert ((best >= 10) & (best < 20)).all()
    assert not {11, 12, 13} & set(ranked.candidates.item.tolist())


def test_a_new_item_is_carried_by_its_text(orders, facts, now):
    past = orders.before(now)
    keep = ~np.isin(past.item, [17, 37])
    without = type(past)(
        past.item[keep],
        past.user[keep],
        past.basket[keep],
        past.ts[keep],
        past.quantity[keep],
        past.n_items,
        past.is_member,
    )
    model = fit_ranking(without, facts, now, windows=0)
    user = 1  # buys from group 1: items 10 to 19

    scores = model.newcomers(histories_of(without, np.array([user])))[0]

    assert model.kinship.items.tolist() == [17, 37]
    assert scores[0] > scores[1]


def test_without_a_past_window_fixed_weights_decide(orders, facts, now):
    model = fit_ranking(orders, facts, now, windows=0)

    assert model.rankers == {}
    assert np.isfinite(model.personal(histories_of(orders, np.array([0])), repeats=True).scores).all()


def test_lessons_of_a_window_do_not_see_its_future(orders, facts, now):
    cut = cuts(orders, now, 1)[0]
    past = orders.before(cut)

    one, other = (
        personal_lessons(world_at(past, facts, cut, Tuning()), past, future_of(known, cut), np.random.default_rng(0))
        for known in (orders, orders.before(cut + 20 * DAY_S))
    )

    features = [told["home"][0].candidates.features for told in (one, other)]
    users = min(len(np.unique(told["home"][0].candidates.case)) for told in (one, other))
    assert users > 0
    assert world_at(past, facts, cut, Tuning()).demand.purchases.sum() == len(past.item)
    assert features[0].shape[1] == features[1].shape[1]
    assert max(past.ts) < cut


def test_future_holds_the_first_basket_and_only_new_items(orders, now):
    cut = cuts(orders, now, 1)[0]

    future = future_of(orders, cut)

    user = int(future.users[0])
    owned = set(orders.item[(orders.user == user) & (orders.ts < cut)].tolist())
    assert not owned & set(future.new_items[user].tolist())
    mine = (orders.user == user) & (orders.ts >= cut)
    first = orders.basket[mine][np.argmin(orders.ts[mine])]
    assert set(future.next_basket[user].tolist()) == set(orders.item[orders.basket == first].tolist())


def test_cuts_need_a_past(orders, now):
    starts = cuts(orders, now, 99)

    assert starts[0] == now - 28 * DAY_S
    assert min(starts) >= orders.ts.min() + 84 * DAY_S


def _lessons(seed=0, cases=400, rows=8):
    rng = np.random.default_rng(seed)
    case = np.repeat(np.arange(cases), rows)
    features = rng.normal(size=(len(case), 3)).astype(np.float32)
    features[::7, 2] = np.nan
    chance = np.exp(2 * features[:, 0])
    bought = rng.random(len(case)) < chance / (chance + 5)
    return [Lesson(Candidates(case, np.arange(len(case)), features, ("good", "noise", "patchy")), bought)]


@pytest.mark.parametrize("kind", [TreeRanker, LinearRanker])
def test_a_ranker_learns_and_its_contributions_sum_to_the_score(monkeypatch, kind):
    if kind is LinearRanker:
        monkeypatch.setitem(sys.modules, "lightgbm", None)
    else:
        pytest.importorskip("lightgbm", reason="the ranker extra is not installed")

    ranker = learn(_lessons())

    assert isinstance(ranker, kind)
    probe = np.array([[2.0, 0, 0], [0, 0, 0], [-2, 0, np.nan]], np.float32)
    scores = ranker.scores(probe)
    assert scores[0] > scores[1] > scores[2]
    assert ranker.contributions(probe).sum(axis=1) == pytest.approx(scores, abs=1e-4)


def test_nothing_bought_teaches_nothing():
    lesson = _lessons()[0]

    assert learn([Lesson(lesson.candidates, np.zeros_like(lesson.bought))]) is None
