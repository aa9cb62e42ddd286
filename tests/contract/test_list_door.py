"""A list by the short way past Flask is the list by the long way, and what is refused is refused the same."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from uuid import uuid4

import pytest

from recsys_engine.contract import Event, Item
from recsys_engine.http import ServerSettings, create_engine_app
from recsys_engine.http.settings import api_keys_from

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0003"
KEY = "a-key"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATH = "/v1/recommendations"


@pytest.fixture
def app(database_url):
    keys = api_keys_from(f"{sha256(KEY.encode()).hexdigest()}:serve:*")
    settings = ServerSettings(database_url, keys, rate_per_minute=0, cors_origins=("https://shop.example",))
    made = create_engine_app(settings, lambda: NOW)
    with closing(made.extensions["recsys_server"].tenants):
        yield made


@pytest.fixture
def namespace(app):
    name = f"ns-{uuid4()}"
    engine = app.extensions["recsys_server"].tenants.engine(ORG, name)
    engine.upsert_items([Item(f"p{n}", price=1.0, tags=(f"color:{n % 3}",)) for n in range(40)])
    ago = timedelta(hours=1)
    engine.send_events([Event(f"u{n % 5}", f"p{n * 7 % 40}", n % 4, 1.0, NOW - n * ago) for n in range(100)])
    return name


def sent(way, body, **more):
    """Status, headers and body of one call; ``way`` is a WSGI application."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "SERVER_NAME": "engine",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(raw),
        "CONTENT_LENGTH": str(len(raw)),
        "HTTP_X_ORG_ID": ORG,
        "HTTP_X_API_KEY": KEY,
        "HTTP_X_REQUEST_ID": "req-1",
        **more,
    }
    told = []
    answer = b"".join(way(environ, lambda status, headers, *_: told.append((status, dict(headers)))))
    return *told[0], json.loads(answer)


def without_time(answer):
    status, headers, body = answer
    return status, headers, {name: value for name, value in body.items() if name != "timestamp"}


def both(app, body, **more):
    """The answers of the door and of Flask alone, which must be equal."""
    short, long = sent(app.wsgi_app, body, **more), sent(app.wsgi_app.inner, body, **more)
    if short[0] != "200 OK":
        assert short[1].pop("Content-Length")
        assert long[1].pop("Content-Length")
    assert without_time(short) == without_time(long)
    return short


@pytest.mark.parametrize(
    "asked",
    [
        {"user_id": "u1", "k": 7, "context": {"surface": "home"}},
        {"user_id": "u1", "k": 7, "surface": "pdp.similar", "context": {"item_id": "p3"}},
        {"context": {"surface": "cart", "cart_item_ids": ["p1", "p2"], "session_id": "s"}},
        {"USER_ID": "u2", "k": None},
        {"user_id": "u1", "include_reasons": True, "explain_level": "full"},
        {"user_id": "u1", "constraints": {"include_tags_any": ["color:1"]}},
    ],
)
def test_both_ways_give_the_same_list(app, namespace, asked):
    status, headers, body = both(app, {"namespace": namespace, **asked})

    assert status == "200 OK"
    assert headers["X-Request-Id"] == body["request_id"] == "req-1"
    assert body["items"]


def test_every_refusal_is_the_same(app, namespace):
    plain = {"namespace": namespace, "user_id": "u1"}

    assert both(app, plain, HTTP_X_ORG_ID="")[2]["error"] == "missing_org_id"
    assert both(app, plain, HTTP_X_API_KEY="wrong")[2]["error"] == "unauthorized"
    assert both(app, {**plain, "k": 0})[2]["error"] == "invalid_k"
    assert both(app, {**plain, "context": {"item_id": 7}})[2]["error"] == "invalid_json_type"
    assert both(app, {**plain, "namespace": "a b"})[2]["error"] == "invalid_namespace"
    for raw in (b"", b"[1]", b"{", b"[" * 100, b'{"user_id": "\\ud800"}', b'{"k": NaN}'):
        assert both(app, raw)[0] == "400 BAD REQUEST"


def test_what_follows_the_first_value_is_ignored_by_both(app, namespace):
    raw = json.dumps({"namespace": namespace, "user_id": "u1"}).encode() + b" and more"

    assert both(app, raw)[0] == "200 OK"


def test_a_page_of_another_origin_is_judged_by_flask(app, namespace):
    _, headers, _ = sent(app.wsgi_app, {"namespace": namespace}, HTTP_ORIGIN="https://shop.example")

    assert headers["Access-Control-Allow-Origin"] == "https://shop.example"


def counted(app):
    lines = app.test_client().get("/metrics").text.splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines)
    return {name: value for name, value in told.items() if "duration" not in name and "/metrics" not in name}


def test_the_short_way_counts_what_the_long_way_counts(app, namespace):
    asked = {"namespace": namespace, "user_id": "u1", "context": {"surface": "home"}}

    sent(app.wsgi_app, asked)
    once = counted(app)
    sent(app.wsgi_app.inner, asked)
    twice = counted(app)

    grown = {name for name in once if float(twice[name]) == 2 * float(once[name])}
    assert once.keys() == twice.keys()
    assert {name for name in once if "policy_item_served_total" in name} <= grown
    assert f'http_requests_total{{method="POST",route="{PATH}",status="200"}}' in grown
    assert twice["http_inflight_requests"] == "1"  # the call that asks


def test_a_call_that_goes_the_long_way_pays_the_rate_limit_once(database_url):
    app = create_engine_app(ServerSettings(database_url, rate_per_minute=60, rate_burst=2), lambda: NOW)
    with closing(app.extensions["recsys_server"].tenants):
        refused = [sent(app.wsgi_app, {"namespace": "n", "k": 0})[2]["error"] for _ in range(3)]

    assert refused == ["invalid_k", "invalid_k", "rate_limited"]
