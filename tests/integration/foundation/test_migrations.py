"""The migrations build exactly the tables that the models describe, on either database."""

from flask_migrate import check, downgrade, upgrade
from sqlalchemy import inspect

from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.extensions import db


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
