"""The quick ways of a list in and out are exactly the slow ones: the schema's reading, the encoder's text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from recsys_engine.contract import ContractError
from recsys_engine.contract.encoding import json_text, recommendations_json, recommendations_text
from recsys_engine.contract.parsing import is_plain_request, load, parse_recommend
from recsys_engine.contract.responses import Recommendations, ScoredItem
from recsys_engine.contract.schemas import RecommendSchema

texts = st.text(max_size=8)
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts, st.just("x" * 201), st.lists(texts)
)
contexts = st.dictionaries(
    st.sampled_from(["surface", "item_id", "session_id", "cart_item_ids", "session_item_ids", "member"]),
    st.one_of(anything, st.just(["a", "b"])),
)
bodies = st.dictionaries(
    st.sampled_from(["namespace", "user_id", "surface", "k", "context", "include_reasons", "explain_level", "other"]),
    st.one_of(anything, contexts),
) | st.fixed_dictionaries({"user_id": texts, "k": st.integers(0, 300), "context": contexts})
numbers = st.floats(allow_nan=False, allow_infinity=False)
places = st.builds(ScoredItem, texts, numbers, st.integers(1, 200), st.tuples() | st.tuples(texts), st.none())
answers = st.builds(
    Recommendations,
    texts,
    texts,
    st.lists(places, max_size=4).map(tuple),
    st.none() | texts,
    st.none() | texts,
    st.none() | st.dictionaries(texts, numbers | texts),
)


def outcome(read, body):
    try:
        return read(body)
    except ContractError as error:
        return error.code, error.message, dict(error.details)


@given(bodies)
def test_a_plain_body_is_read_as_the_schema_reads_it(body):
    known = {name: body[name] for name in RecommendSchema().fields if name in body}

    plain = is_plain_request(body)

    if plain:
        assert load(RecommendSchema, body) == known
    assert outcome(parse_recommend, body) == outcome(lambda one: parse_recommend({**one, "unknown": 1}), body)


def test_what_the_schema_would_refuse_or_change_is_not_plain():
    for body in ({"k": True}, {"k": 4.0}, {"k": "4"}, {"user_id": 7}, {"user_id": "x" * 201}, {"context": []}):
        assert not is_plain_request(body)
    assert not is_plain_request({"constraints": {}})
    assert is_plain_request({"namespace": "n", "user_id": None, "k": 5, "surface": "home", "context": {"item_id": "a"}})


@given(answers)
def test_a_list_is_written_letter_for_letter_as_the_encoder_writes_it(answer):
    text = recommendations_text(answer)

    assert text == json_text(recommendations_json(answer))
    assert json.loads(text) == recommendations_json(answer)
