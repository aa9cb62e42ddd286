"""What a connection to PostgreSQL is told before anything else."""

from flask import Flask
from sqlalchemy import text

from shop_app.extensions import db


def test_postgresql_never_compiles_a_plan_not_even_after_a_rollback(app: Flask) -> None:
    with app.app_context():
        if db.engine.dialect.name != "postgresql":
            assert db.engine.dialect.name == "sqlite"
            return
        db.session.execute(text("SELECT 1"))
        db.session.rollback()

        assert db.session.scalar(text("SHOW jit")) == "off"
