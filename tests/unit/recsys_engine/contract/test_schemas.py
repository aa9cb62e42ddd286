"""The published contracts: files equal what the schemas generate, examples pass and fail as they say."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_engine.contract import EVENT_SCHEMA_VERSION, ContractError, Event
from recsys_engine.contract.checks import check_item, check_user, event_problem
from recsys_engine.contract.control_schemas import AuditSearchSchema
from recsys_engine.contract.json_schema import contract_files, json_schema
from recsys_engine.contract.parsing import parse_event, parse_items, parse_users
from recsys_engine.contract.schemas import EventSchema

FOLDER = Path(__file__).parents[4] / "docs" / "contracts"
EVENT_FINGERPRINTS = {1: "173f9a89015f393b"}
NOW = datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)


@pytest.mark.ticket("RS-081")
@pytest.mark.ticket("RS-006")
@pytest.mark.parametrize("name", sorted(contract_files()))
def test_published_schemas_equal_the_code(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == contract_files()[name]


@pytest.mark.ticket("RS-052")
def test_a_changed_event_schema_has_a_new_version():
    """Whoever mends a dead letter must see under which rules it was refused."""
    published = json.loads(contract_files()["event.schema.json"])
    assert published.pop("$id") == f"urn:recsys:event:{EVENT_SCHEMA_VERSION}"
    fingerprint = hashlib.sha256(json.dumps(published, sort_keys=True).encode()).hexdigest()[:16]

    assert EVENT_FINGERPRINTS[EVENT_SCHEMA_VERSION] == fingerprint, "raise EVENT_SCHEMA_VERSION, add its fingerprint"


def examples(kind, verdict):
    found = json.loads((FOLDER / "examples" / f"{kind}.json").read_text(encoding="utf-8"))[verdict]
    return [pytest.param(one, id=f"{kind}-{verdict}-{n}") for n, one in enumerate(found)]


def verdict(kind, body):
    """None when accepted, else the error code."""
    try:
        if kind == "items":
            check_item(parse_items({"items": [body]})[0], 0)
        elif kind == "users":
            check_user(parse_users({"users": [body]})[0], 0)
        else:
            event = parse_event(body)
            problem = event_problem(event, NOW) if isinstance(event, Event) else event
            return problem and problem.code
    except ContractError as error:
        return error.code
    return None


@pytest.mark.ticket("RS-001")
@pytest.mark.parametrize("body", examples("items", "valid"))
def test_valid_items_pass(body):
    assert verdict("items", body) is None


@pytest.mark.ticket("RS-001")
@pytest.mark.parametrize("body", examples("items", "invalid"))
def test_invalid_items_are_refused(body):
    assert verdict("items", body)


@pytest.mark.ticket("RS-002")
@pytest.mark.parametrize("body", examples("users", "valid"))
def test_valid_users_pass(body):
    assert verdict("users", body) is None


@pytest.mark.ticket("RS-002")
@pytest.mark.parametrize("body", examples("users", "invalid"))
def test_invalid_users_are_refused(body):
    assert verdict("users", body)


@pytest.mark.ticket("RS-003")
@pytest.mark.parametrize("body", examples("events", "valid"))
def test_valid_events_pass(body):
    assert verdict("events", body) is None
    assert not EventSchema().validate(body)


@pytest.mark.ticket("RS-003")
@pytest.mark.parametrize("body", examples("events", "invalid"))
def test_invalid_events_are_refused(body):
    assert verdict("events", body)
    assert EventSchema().validate(body)


anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("aé \x00\ud800", max_size=5)
    | st.lists(st.none(), max_size=2)
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.just("u_1") | anything,
        "item_id": st.just("p") | anything,
        "type": st.integers(0, 4) | anything,
        "value": st.just(1.0) | anything,
        "meta": st.just({"a": 1}) | anything,
        "source_event_id": st.just("e") | anything,
    },
)


@given(bodies)
def test_the_fast_event_reader_accepts_nothing_the_schema_refuses(body):
    if verdict("events", body) is None:
        assert not EventSchema().validate({k: v for k, v in body.items() if v != "" or k == "item_id"})


@given(bodies)
def test_an_event_is_refused_by_name_or_read(body):
    read = parse_event(body)

    assert isinstance(read, Event) or read.code.startswith("invalid_")


def test_a_field_is_documented_under_the_name_it_has_in_the_body():
    found = json_schema(AuditSearchSchema)["properties"]

    assert "from" in found
    assert "from_" not in found
