"""Repeats are found by looking ids up, whatever the database's statistics say about the tenant."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from recsys_engine.contract import Event
from recsys_engine.service import Database, Engine
from recsys_engine.store import ingest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url):
    made = Database(database_url)
    made.create_tables()
    yield made
    made.close()


def events(count):
    return [Event(f"u_{n % 50}", f"p{n % 90}", 0, 1.0, NOW, {}, f"e-{n}") for n in range(count)]


@pytest.mark.parametrize("known_rows", [0, 2000])
def test_each_id_is_looked_up_and_the_log_is_never_read(database, known_rows):
    """Statistics from before the tenant's first event made PostgreSQL read its whole log for every batch."""
    engine = Engine(database, str(uuid4()), f"ns-{uuid4()}", lambda: NOW)
    engine.append_history(events(3000)[:known_rows])
    if not database.is_sqlite:
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE engine_events")
    engine.append_history(events(3000)[known_rows:])

    with engine.reading() as (connection, tenant):
        ids = [f"e-{n}" for n in range(2500, 3500)]
        found = ingest._stored_digests(connection, tenant, ids)
        plan = plan_of(connection, tenant, ids)

    assert sorted(found) == sorted(f"e-{n}" for n in range(2500, 3000))
    assert ("tenant=? AND source_event_id=?" if database.is_sqlite else "using uq_engine_events_source") in plan
    assert not any(other in plan for other in ("ix_engine_events", "engine_events_pkey", "Seq Scan", "SCAN e"))


def plan_of(connection, tenant, ids):
    if connection.dialect.name == "sqlite":
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {ingest._DIGESTS_ON_SQLITE}", ("[]", tenant))
        return "\n".join(row[3] for row in steps)
    steps = connection.exec_driver_sql(f"EXPLAIN {ingest._DIGESTS_ON_POSTGRESQL}", (ids, tenant))
    return "\n".join(row[0] for row in steps)
