"""The quick way of judging a browser's event says exactly what the schema says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_app.tracking import schemas
from shop_app.tracking.schemas import judge
from shop_app.tracking.services import BrowserEvent

USUAL: dict[str, Any] = {
    "id": "0b1c2d3e-aaaa", "type": "view", "kind": "impression", "item_id": "BTH-SOAP-01", "surface": "home",
    "widget": "top_picks", "rank": 3, "request_id": "r.1/a", "recommended": True, "created_at": 1_767_225_599_000,
    "href": "/products/soap?via=x", "text": "Soap", "referrer": "https://example.org/",
}  # fmt: skip
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", "top_picks", "view", "click", "add", "impression", "UPPER", "with space", "end\n", "a" * 600, 0, 1, 1000,
     1001, -1, 2.0, 2.5, 10**30, True, False, [], ["view"], {}, b"bytes", "0b1c2d3e-aaaa", "\ud800"]
)  # fmt: skip


def _told(event: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    quick = judge(event)
    with monkeypatch.context() as patched:
        patched.setattr(schemas, "_quick", lambda _: None)
        return quick, judge(event)


@given(
    changed=st.dictionaries(st.sampled_from([*USUAL, "experiment", "ab_bucket", "unknown"]), ODD, max_size=4),
    left_out=st.sets(st.sampled_from(list(USUAL)), max_size=4),
)
def test_the_quick_way_and_the_schema_agree_on_every_event(changed: dict[str, Any], left_out: set[str]) -> None:
    event = {name: value for name, value in (USUAL | changed).items() if name not in left_out}
    with pytest.MonkeyPatch.context() as monkeypatch:
        quick, slow = _told(event, monkeypatch)
    assert quick == slow


def test_the_trackers_usual_event_takes_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "_by_schema", lambda _: pytest.fail("went to the schema"))
    told = judge(USUAL)
    assert isinstance(told, BrowserEvent)
    assert (told.widget, told.rank, told.is_impression, told.is_recommended) == ("top_picks", 3, True, True)


@pytest.mark.parametrize("field", ["id", "item_id", "surface", "widget", "request_id"])
def test_a_line_end_after_a_valid_name_is_refused_by_field(field: str) -> None:
    told = judge(USUAL | {field: USUAL[field] + "\n"})
    assert (told.code, told.path) == ("invalid_field", field)  # type: ignore[union-attr]
