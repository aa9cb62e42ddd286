"""The console's dashboards over millions of events on PostgreSQL: seconds a page, and whether its sums are the log's.

    python -m benchmarks.bench_dashboards --server postgresql+psycopg://me@127.0.0.1/postgres [--events 5000000]

A database of its own is filled by the server itself (`generate_series`), summed by the shop's job, given some newer
events that no sum holds yet, asked, and dropped. Printed per page: median wall seconds and this process's CPU seconds.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url, text

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

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
DAYS = 90
NEWER = 2_000
"""Events since the last run of the summing job."""
PAGES = (
    "/admin/",
    "/admin/?from=2025-12-03&to=2026-03-02",
    "/admin/funnel",
    "/admin/funnel?by=slot&from=2025-12-03&to=2026-03-02",
    "/admin/funnel?by=rank",
    "/admin/funnel?by=device",
    "/admin/attribution",
)

FILL = """
INSERT INTO tracked_event (source_event_id, type, shopper_key, item_id, value, occurred_at, received_at, surface,
    widget, rank, request_id, recommended, meta, device, is_bot, is_qa, delivery, next_attempt_at, attempts)
SELECT 'e' || n,
    CASE WHEN r < 0.93 THEN :view WHEN r < 0.98 THEN :click WHEN r < 0.995 THEN :add ELSE :custom END,
    's' || (hashint4(n / 12) & 65535), 'P-' || (hashint4(n) & 4095), 1, at, at,
    'surface' || (n / 12 % 6), 'widget' || (n / 12 % 4), 1 + n % 12, 'r' || (n / 12), n / 12 % 20 > 0, '{}',
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
  SELECT id, 1, 1, 'P-1', 'P-1', 'One', 1, 1999, 'EUR', false FROM placed RETURNING id, order_id)
INSERT INTO order_line_credit (order_line_id, day, credit, surface, widget, rank, device, request_id, quantity,
    revenue_minor, currency, credited_at)
SELECT lines.id, (placed_at AT TIME ZONE 'UTC')::date, CASE WHEN lines.id % 3 = 0 THEN 'click_24h' ELSE 'organic' END,
    CASE WHEN lines.id % 3 = 0 THEN 'surface' || lines.id % 6 ELSE '' END,
    CASE WHEN lines.id % 3 = 0 THEN 'widget' || lines.id % 4 ELSE '' END,
    1, 'phone', '', 1, 1999, 'EUR', placed_at
FROM lines JOIN placed ON placed.id = lines.order_id
"""
BRUTE = """
SELECT count(*) FILTER (WHERE type = :view), count(*) FILTER (WHERE type = :click), count(*) FILTER (WHERE type = :add)
FROM tracked_event WHERE NOT is_bot AND NOT is_qa AND widget <> '' AND occurred_at >= :start AND occurred_at < :end
"""


def main() -> None:
    """Fill, sum, ask, compare, drop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    server = create_engine(options.server, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE bench_dashboards"))
    try:
        address = make_url(options.server).set(database="bench_dashboards").render_as_string(hide_password=False)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            _run(address, folder, options.events, options.repeats)
    finally:
        with server.connect() as connection:
            connection.execute(text("DROP DATABASE bench_dashboards WITH (FORCE)"))


def _run(address: str, folder: str, events: int, repeats: int) -> None:
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
        _fill(events)
        browser = _analyst(app)
    for path in PAGES:
        print(_measured(browser, path, repeats), flush=True)
    with app.app_context():
        _compare()
        db.session.remove()
        db.engine.dispose()


def _fill(events: int) -> None:
    start = NOW - timedelta(days=DAYS, minutes=10)
    kinds = {name: int(EventKind[name.upper()]) for name in ("view", "click", "add", "custom")}
    table = db.metadata.tables["tracked_event"]
    began = time.monotonic()
    with db.engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))  # no product stands behind the lines
        for index in table.indexes:
            index.drop(connection)
        old = {"first": 1, "number": events, "start": start, "span": timedelta(days=DAYS)}
        connection.execute(text(FILL), {**kinds, **old})
        for index in table.indexes:
            index.create(connection)
        connection.execute(text(ORDERS), {"number": events // 100, "start": start, "span": timedelta(days=DAYS)})
        connection.execute(text("SELECT setval('tracked_event_id_seq', (SELECT max(id) FROM tracked_event))"))
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    print(f"{events:,} events in {time.monotonic() - began:.0f} s", flush=True)
    began = time.monotonic()
    with unit_of_work(db.session):
        days = roll_days(NOW, max_days=DAYS + 2)
    with db.engine.begin() as connection:
        new = {"first": events + 1, "number": NEWER, "start": NOW - timedelta(minutes=5), "span": timedelta(minutes=4)}
        connection.execute(text(FILL), {**kinds, **new})
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    print(f"{days} days summed in {time.monotonic() - began:.0f} s", flush=True)


def _analyst(app: Flask) -> FlaskClient:
    with unit_of_work(db.session):
        user = create_user("bench@example.org", None, "Bench", "owner", now=NOW)
        db.session.flush()  # the id is needed for the session
        login_id = user.get_id()
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["_user_id"], session["_fresh"] = login_id, True
    return browser


def _measured(browser: FlaskClient, path: str, repeats: int) -> str:
    walls, cpus = [], []
    for _ in range(repeats + 1):
        wall, cpu = time.monotonic(), time.process_time()
        answer = browser.get(path)
        walls.append(time.monotonic() - wall)
        cpus.append(time.process_time() - cpu)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}")
    first, *warm = walls
    return f"{path:55} {statistics.median(warm):.2f} s  (first {first:.2f}, CPU {statistics.median(cpus[1:]):.2f})"


def _compare() -> None:
    period = last_days(28, NOW.date())
    kinds = {name: int(EventKind[name.upper()]) for name in ("view", "click", "add")}
    counted = db.session.execute(text(BRUTE), {**kinds, "start": period.start, "end": period.end}).one()
    row = funnel.total(period)
    print("sums equal the log:", tuple(counted) == (row.impressions, row.clicks, row.adds), tuple(counted))


if __name__ == "__main__":
    main()
