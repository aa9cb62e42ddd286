"""How Alembic reaches the shop's tables."""

from typing import Any

import sqlalchemy as sa
from alembic import context
from flask import current_app

from shop_app.extensions import UtcDateTime, db


def render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """Migrations stand alone: our types appear as what the database stores."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def compare_type(_context: Any, _inspected: Any, _column: Any, inspected_type: Any, metadata_type: Any) -> bool | None:
    """A `UtcDateTime` is a timestamp; let everything else be compared as usual."""
    if isinstance(metadata_type, UtcDateTime):
        return not isinstance(inspected_type, sa.DateTime)
    return None


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """The engine's tables may share the database; they are not ours to migrate."""
    return kind != "table" or name in db.metadata.tables


def run() -> None:
    """Run the migrations on the app's own database, in one transaction where the database can."""
    options = dict(current_app.extensions["migrate"].configure_args)
    options |= {"render_item": render_item, "compare_type": compare_type, "include_name": include_name}
    with db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=db.metadata, **options)
        with context.begin_transaction():
            context.run_migrations()


run()
