"""What is stored of a list is written by hand; read back it is what the list's own view says."""

import json
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_engine.contract import Context, RecommendRequest
from recsys_engine.contract.responses import Recommendations, ScoredItem
from recsys_engine.domain import Choice, Pool, Trace
from recsys_engine.pipeline import Outcome
from recsys_engine.service.decision_log import Circumstances, body_text, final_items, noted
from recsys_engine.service.ranking import Served
from recsys_engine.service.settings import StoredSettings

UNDER = Circumstances(datetime(2026, 3, 1, tzinfo=UTC), 7, 8, StoredSettings(), "learned-1", {"mmr_lambda": 0.5})
NAMES = ("trend", "rule", "fill")
numbers = st.floats(allow_nan=False)
odds = st.floats(0, 1)
places = st.lists(
    st.tuples(st.text(min_size=1), numbers, st.sampled_from(["score", "pin", "exploration"]), odds, st.integers(0, 7)),
    max_size=5,
)


@given(places)
def test_the_text_holds_the_list_its_request_and_what_it_was_made_under(drawn):
    columns = [np.zeros(len(drawn)) for _ in range(4)]
    sources = np.array([bits for *_, bits in drawn], np.int64)
    pool = Pool(np.arange(len(drawn)), sources, columns[0][:, None], columns[1][:, None], columns[2], columns[3])
    choices = [Choice(row, how, propensity=chance) for row, (_, _, how, chance, _) in enumerate(drawn)]
    items = tuple(ScoredItem(item_id, score, rank) for rank, (item_id, score, *_) in enumerate(drawn, 1))
    outcome = Outcome(pool, ("trend",), NAMES, choices, Trace())
    served = Served(Recommendations("r", "v", items), outcome, None, None)

    body = json.loads(body_text(noted(RecommendRequest("ü1", 5, Context("home")), served, UNDER)))

    assert body.pop("final_items") == json.loads(json.dumps(final_items(served)))
    assert body == {
        "request": {"k": 5, "context": {"surface": "home"}, "user_id": "ü1"},
        "settings": StoredSettings().digest,
        "model_version": "v",
        "epoch_ms": 8,
        "learned": "learned-1",
        "policy": {"mmr_lambda": 0.5},
    }
