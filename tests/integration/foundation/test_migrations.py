"""The migrations build exactly the tables that the models describe, on either database, and keep a shop's rows."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import func, inspect, select, table

from shop_app.analytics.models import OrderLineCredit
from shop_app.analytics.services import credit_order_lines
from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from tests.factories.analytics import an_event, an_order
from tests.factories.catalog import a_product


@pytest.fixture
def settings(settings: Settings, empty_database_url: str) -> Settings:
    return replace(settings, database_url=empty_database_url)


def test_migrations_and_models_agree(settings: Settings) -> None:
    app = create_app(settings)
    with app.app_context():
        upgrade()
        check()
        tables = set(inspect(db.engine).get_table_names())
        downgrade(revision="base")

        assert set(db.metadata.tables) <= tables
        assert set(inspect(db.engine).get_table_names()).isdisjoint(db.metadata.tables)
        db.session.remove()
        db.engine.dispose()


FIRST_PUBLISHED = "0001"
MADE_AGAIN = {"rolled_day", "day_cell"}
"""Sums of days that an upgrade may empty: their job makes them again from the log."""


def test_a_filled_shop_of_the_first_published_tables_keeps_every_row_when_upgraded(settings: Settings) -> None:
    app = create_app(settings)
    with app.app_context():
        upgrade()
        seeded = app.test_cli_runner().invoke(args=["seed", "small"])
        assert seeded.exit_code == 0, seeded.output
        downgrade(revision=FIRST_PUBLISHED)
        before = _rows()

        upgrade()

        after = _rows()
        page = app.test_client().get("/")
        db.session.remove()
        db.engine.dispose()
    assert {name: after[name] for name in before if name not in MADE_AGAIN} == {
        name: rows for name, rows in before.items() if name not in MADE_AGAIN
    }
    assert min(before["product"], before["order_line"], before["tracked_event"]) > 0
    assert page.status_code == 200


def test_lines_credited_before_the_arm_was_kept_get_the_one_the_job_would_write(
    settings: Settings, clock: FixedClock
) -> None:
    app = create_app(settings, clock=clock)
    with app.app_context():
        upgrade()
        products = [a_product(f"P-{number}") for number in range(3)]
        metas = ({"experiment": "cards", "ab_bucket": "four"}, {"experiment": "cards"}, {})
        for number, (product, meta) in enumerate(zip(products, metas, strict=True)):
            order = an_order(clock.now() - timedelta(hours=1), [product])
            for kind in (EventKind.VIEW, EventKind.CLICK):
                an_event(
                    kind,
                    clock.now() - timedelta(hours=2),
                    shopper_key=order.shopper_key,
                    item_id=product.sku,
                    surface="home",
                    widget="picks",
                    rank=1,
                    request_id=f"r{number}",
                    recommended=True,
                    meta=meta,
                )
        db.session.commit()
        credit_order_lines(clock.now())
        db.session.commit()
        written = _arms()
        db.session.remove()
        downgrade(revision="0018_link_checks")

        upgrade()

        filled = _arms()
        db.session.remove()
        db.engine.dispose()
    assert written == filled == {"r0": "cards · four", "r1": "cards · ", "r2": ""}


def _arms() -> dict[str, str]:
    rows = db.session.execute(select(OrderLineCredit.request_id, OrderLineCredit.arm))
    return {row.request_id: row.arm for row in rows}


def _rows() -> dict[str, int]:
    """How many rows each table of the shop has."""
    names = set(inspect(db.engine).get_table_names()) & set(db.metadata.tables)
    with db.engine.connect() as connection:
        return {name: connection.execute(select(func.count()).select_from(table(name))).scalar_one() for name in names}
