"""The migrations build exactly the tables that the models describe, on either database, and keep a shop's rows."""

from dataclasses import replace

import pytest
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import func, inspect, select, table

from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.extensions import db


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


def _rows() -> dict[str, int]:
    """How many rows each table of the shop has."""
    names = set(inspect(db.engine).get_table_names()) & set(db.metadata.tables)
    with db.engine.connect() as connection:
        return {name: connection.execute(select(func.count()).select_from(table(name))).scalar_one() for name in names}
