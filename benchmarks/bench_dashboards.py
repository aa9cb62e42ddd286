"""The console's dashboards over millions of events on PostgreSQL: seconds a page, and whether its sums are the log's.

    python -m benchmarks.bench_dashboards --server postgresql+psycopg://me@127.0.0.1/postgres [--events 5000000]
        [--step seed|measure|drop]

A database of its own is filled by the server itself (`generate_series`), summed by the shop's job, given some newer
events that no sum holds yet, asked, and dropped; with `--step` one at a time, since filling takes minutes and asking
wants a quiet machine. Printed per page: median wall seconds, the first call, and this process's CPU seconds. The
first call of all is that of a process that has just started.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url, select, text

from shop_app.accounts.models import User
from shop_app.accounts.services import create_user
from shop_app.analytics.period import last_days
from shop_app.analytics.queries import funnel
from shop_app.analytics.services import roll_days
from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from tests.factories.catalog import a_product

DATABASE, ANALYST = "bench_dashboards", "bench@example.org"
NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
DAYS = 90
NEWER = 2_000
"""Events since the last run of the summing job."""
SLOTS, KEPT_BY_MINUTE = 12, 3
"""Lists that were asked for, and days whose counts are still by the minute."""
QUARTER = "from=2025-12-03&to=2026-03-02"
PAGES = (
    "/admin/",
    f"/admin/?{QUARTER}",
    "/admin/live",
    "/admin/live/figures",
    "/admin/funnel",
    f"/admin/funnel?by=slot&{QUARTER}",
    "/admin/funnel?by=rank",
    f"/admin/funnel?by=rank&{QUARTER}",
    "/admin/funnel?by=device",
    f"/admin/funnel?by=device&{QUARTER}",
    "/admin/funnel?by=audience",
    f"/admin/funnel?by=audience&{QUARTER}",
    "/admin/funnel?by=arm",
    f"/admin/funnel?by=arm&{QUARTER}",
    "/admin/funnel?slot=surface1.widget1",
    "/admin/attribution",
    "/admin/guardrails",
    f"/admin/guardrails?{QUARTER}",
    "/admin/costs",
    f"/admin/costs?{QUARTER}",
    "/admin/service-levels",
    "/admin/alerts",
    "/admin/delivery",
    "/admin/dead-letters",
    "/admin/events",
    "/admin/experiments/new",
)

FILL = """
INSERT INTO tracked_event (source_event_id, type, shopper_key, item_id, value, occurred_at, received_at, surface,
    widget, rank, request_id, recommended, meta, device, is_bot, is_qa, delivery, next_attempt_at, attempts)
SELECT 'e' || n,
    CASE WHEN r < 0.93 THEN :view WHEN r < 0.98 THEN :click WHEN r < 0.995 THEN :add ELSE :custom END,
    CASE WHEN n / 12 % 3 = 0 THEN 'u_' ELSE 'a_' END || (hashint4(n / 12) & 65535), 'P-' || (hashint4(n) & 4095), 1,
    at, at,
    'surface' || (n / 12 % 6), 'widget' || (n / 12 % 4), 1 + n % 12, 'r' || (n / 12), n / 12 % 20 > 0,
    CASE n / 12 % 7 WHEN 0 THEN '{"experiment": "cards", "ab_bucket": "four"}'::json
        WHEN 1 THEN '{"experiment": "cards", "ab_bucket": "control"}'::json ELSE '{}'::json END,
    (ARRAY['phone', 'desktop', 'tablet'])[1 + n / 12 % 3], n % 97 = 0, n % 211 = 0, 'sent', at, 0
FROM (SELECT n, random() AS r, CAST(:start AS timestamptz) + (n - :first) * (CAST(:span AS interval)) / :number AS at
      FROM generate_series(:first, :first + :number - 1) AS n) AS numbers
"""
ORDERS = """
WITH placed AS (
  INSERT INTO "order" (number, idempotency_key, shopper_key, email, address, delivery_method, currency, subtotal_minor,
      delivery_minor, total_minor, status, placed_at, access_token, is_imported)
  SELECT 'N' || n, 'k' || n, 's' || n % 65536, 'a@example.org', '{}', 'standard', 'EUR', 1999, 0, 1999,
      CASE WHEN n % 40 = 0 THEN 'cancelled' ELSE 'placed' END,
      CAST(:start AS timestamptz) + n * (CAST(:span AS interval)) / :number, 't', false
  FROM generate_series(1, :number - 1) AS n RETURNING id, number, placed_at),
lines AS (
  INSERT INTO order_line (order_id, position, product_id, item_id, sku, title, quantity, unit_price_minor, currency,
      recommended)
  SELECT id, 1, :product, 'P-1', 'P-1', 'One', 1, 1999, 'EUR', false FROM placed RETURNING id, order_id)
INSERT INTO order_line_credit (order_line_id, day, credit, surface, widget, rank, device, request_id, quantity,
    revenue_minor, currency, credited_at)
SELECT lines.id, (placed_at AT TIME ZONE 'UTC')::date, CASE WHEN lines.id % 3 = 0 THEN 'click_24h' ELSE 'organic' END,
    CASE WHEN lines.id % 3 = 0 THEN 'surface' || lines.id % 6 ELSE '' END,
    CASE WHEN lines.id % 3 = 0 THEN 'widget' || lines.id % 4 ELSE '' END,
    1, 'phone', CASE WHEN lines.id % 3 = 0 THEN 'r' || 1 + lines.id * 5 % (8 * :number) ELSE '' END, 1, 1999, 'EUR',
    placed_at
FROM lines JOIN placed ON placed.id = lines.order_id
"""
ARMS = """
UPDATE order_line_credit SET arm = meta->>'experiment' || ' · ' || (meta->>'ab_bucket')
FROM (SELECT DISTINCT ON (request_id) request_id, meta FROM tracked_event WHERE meta->>'experiment' <> '') AS shown
WHERE shown.request_id = order_line_credit.request_id
"""
PURCHASES = """
INSERT INTO tracked_event (source_event_id, type, shopper_key, item_id, value, occurred_at, received_at, recommended,
    order_number, meta, device, is_bot, is_qa, delivery, next_attempt_at, attempts)
SELECT 'order:' || number || ':line:1', :purchase, shopper_key, 'P-1', 1, placed_at, placed_at, false, number,
    '{"unit_price": 1999, "currency": "EUR"}', 'phone', false, false, 'sent', placed_at, 0
FROM "order"
"""
ANSWERS = """
INSERT INTO answer_minute (minute, slot, source, reason, answers, hits, took_us, cpu_us, within_10, within_25,
    within_50, within_100, within_200, within_300, within_500, within_1000)
SELECT at, 'surface' || slot % 6 || '.widget' || slot % 4, source, reason, 40, 8, 800000, 200000, 20, 30, 34, 37,
    38, 39, 40, 40
FROM (SELECT generate_series(CAST(:start AS timestamptz), CAST(:middle AS timestamptz), '1 hour') AS at UNION ALL
      SELECT generate_series(CAST(:middle AS timestamptz) + interval '1 minute', CAST(:end AS timestamptz), '1 minute')
     ) AS minutes,
    generate_series(0, :slots - 1) AS slot,
    (VALUES ('model', ''), ('cached', 'late'), ('fallback', 'failed'), ('none', 'empty')) AS ended (source, reason)
"""
CALLS = """
INSERT INTO call_minute (minute, verb, outcome, calls, things, took_us, cpu_us, wire_bytes)
SELECT DISTINCT minute, verb, outcome, 30, 300, 200000, 100000, 60000 FROM answer_minute,
    (VALUES ('recommend'), ('send_events'), ('upsert_items'), ('upsert_users')) AS verbs (verb),
    (VALUES ('ok'), ('unavailable')) AS ended (outcome)
"""
REGRETS = """
INSERT INTO guard_day (day, surface, widget, sold_out_clicks)
SELECT DISTINCT minute::date, split_part(slot, '.', 1), split_part(slot, '.', 2), 3 FROM answer_minute
"""
COMPLAINTS = """
INSERT INTO complaint (at, surface, widget, request_id, is_qa)
SELECT CAST(:start AS timestamptz) + n * (CAST(:span AS interval)) / 5000, 'surface' || n % 6, 'widget' || n % 4,
    'r' || n, false
FROM generate_series(1, 4999) AS n
"""
BRUTE = """
SELECT count(*) FILTER (WHERE type = :view), count(*) FILTER (WHERE type = :click), count(*) FILTER (WHERE type = :add)
FROM tracked_event WHERE NOT is_bot AND NOT is_qa AND widget <> '' AND occurred_at >= :start AND occurred_at < :end
"""


def main() -> None:
    """Fill, sum, ask, compare, drop; or one of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--step", choices=("all", "seed", "measure", "drop"), default="all")
    options = parser.parse_args()
    address = make_url(options.server).set(database=DATABASE).render_as_string(hide_password=False)
    try:
        if options.step in {"all", "seed"}:
            _on(options.server, f"CREATE DATABASE {DATABASE}")
            with _shop(address):
                _fill(options.events)
                _analyst()
        if options.step in {"all", "measure"}:
            with _shop(address) as app:
                _ask(_signed_in(app), options.repeats)
                _compare()
    finally:
        if options.step in {"all", "drop"}:
            _on(options.server, f"DROP DATABASE {DATABASE} WITH (FORCE)")


def _on(server: str, statement: str) -> None:
    with create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(statement))


@contextmanager
def _shop(address: str) -> Iterator[Flask]:
    """A shop over the database, and its context."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings = {
            "SECRET_KEY": "bench-secret-" * 4,
            "DATABASE_URL": address,
            "REDIS_URL": "redis://127.0.0.1:6379/15",
            "RECSYS_DATABASE_URL": f"sqlite:///{folder}/recsys.sqlite3",
            "VAR_DIR": f"{folder}/var",
            "RATE_LIMITS": "off",
        }
        app = create_app(load_settings(settings), clock=FixedClock(NOW))
        with app.app_context():
            db.create_all()
            yield app
            db.session.remove()
            db.engine.dispose()


def _ask(browser: FlaskClient, repeats: int) -> None:
    slow = []
    for path in PAGES:
        median, first, cpu = _measured(browser, path, repeats)
        slow += [path] if max(median, first) > 1 else []
        print(f"{path:55} {median:.2f} s  (first {first:.2f}, CPU {cpu:.2f})", flush=True)
    print("over one second:", ", ".join(slow) or "none")


def _fill(events: int) -> None:
    start = NOW - timedelta(days=DAYS, minutes=10)
    kinds = {name: int(EventKind[name.upper()]) for name in ("view", "click", "add", "custom")}
    table = db.metadata.tables["tracked_event"]
    began = time.monotonic()
    with unit_of_work(db.session):
        product_id = a_product("P-1").id
    with db.engine.begin() as connection:
        for index in table.indexes:
            index.drop(connection)
        old = {"first": 1, "number": events, "start": start, "span": timedelta(days=DAYS)}
        connection.execute(text(FILL), {**kinds, **old})
        for index in table.indexes:
            index.create(connection)
        orders = {"number": events // 100, "product": product_id, "start": start, "span": timedelta(days=DAYS)}
        connection.execute(text(ORDERS), orders)
        connection.execute(text(ARMS))
        connection.execute(text(PURCHASES), {"purchase": int(EventKind.PURCHASE)})
        days = {"start": start.replace(minute=0), "span": timedelta(days=DAYS)}
        counts = {"middle": NOW - timedelta(days=KEPT_BY_MINUTE), "end": NOW, "slots": SLOTS}
        connection.execute(text(ANSWERS), {**counts, "start": days["start"]})
        connection.execute(text(CALLS))
        connection.execute(text(REGRETS))
        connection.execute(text(COMPLAINTS), days)
        connection.execute(text("SELECT setval('tracked_event_id_seq', (SELECT max(id) FROM tracked_event))"))
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    print(f"{events:,} events in {time.monotonic() - began:.0f} s", flush=True)
    began = time.monotonic()
    with unit_of_work(db.session):
        days = roll_days(NOW, max_days=DAYS + 2)
    with db.engine.begin() as connection:
        new = {"first": 2 * events, "number": NEWER, "start": NOW - timedelta(minutes=5), "span": timedelta(minutes=4)}
        connection.execute(text(FILL), {**kinds, **new})
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    print(f"{days} days summed in {time.monotonic() - began:.0f} s", flush=True)


def _analyst() -> None:
    with unit_of_work(db.session):
        create_user(ANALYST, None, "Bench", "owner", now=NOW)


def _signed_in(app: Flask) -> FlaskClient:
    login_id = db.session.scalars(select(User).where(User.email == ANALYST)).one().get_id()
    db.session.remove()
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["_user_id"], session["_fresh"] = login_id, True
    return browser


def _measured(browser: FlaskClient, path: str, repeats: int) -> tuple[float, float, float]:
    """Median wall seconds of the later calls, the first call's, and median CPU seconds of the later ones."""
    walls, cpus = [], []
    for _ in range(repeats + 1):
        wall, cpu = time.monotonic(), time.process_time()
        answer = browser.get(path)
        walls.append(time.monotonic() - wall)
        cpus.append(time.process_time() - cpu)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}")
    first, *warm = walls
    return statistics.median(warm), first, statistics.median(cpus[1:])


def _compare() -> None:
    period = last_days(28, NOW.date())
    kinds = {name: int(EventKind[name.upper()]) for name in ("view", "click", "add")}
    counted = db.session.execute(text(BRUTE), {**kinds, "start": period.start, "end": period.end}).one()
    row = funnel.total(period)
    print("sums equal the log:", tuple(counted) == (row.impressions, row.clicks, row.adds), tuple(counted))


if __name__ == "__main__":
    main()
