"""Learning anew where the engine is a service: ``python -m recsys_engine.http.refits``, from cron every few minutes.

Reads the server's environment, looks at each namespace of its database and learns where enough was bought or somebody
was erased since the last time; running servers pick the models up from the folder. Twice at once is harmless.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import select

from recsys_engine.http.settings import ServerSettings, settings_from_env
from recsys_engine.service import Database, Engine
from recsys_engine.service.refits import Refits
from recsys_engine.store.tables import tenants


def refit_where_due(settings: ServerSettings, clock: Callable[[], datetime]) -> list[str]:
    """Learn anew, one namespace after the other; returns ``organisation/namespace`` of those that did.

    Raises:
        ValueError: without a model folder.
    """
    folder = settings.model_folder
    if folder is None:
        raise ValueError("RECSYS_MODEL_DIR is required")
    database = Database(settings.database_url)
    database.create_tables()
    with database.read() as connection:
        known = connection.execute(select(tenants.c.org_id, tenants.c.namespace).order_by(tenants.c.id)).all()
    done = []
    for org_id, namespace in known:
        engine = Engine(
            database, org_id, namespace, clock, decision_sample_rate=0.0, decision_days=0, model_folder=folder
        )
        refits = Refits(engine, folder)
        if refits.status().is_due and refits.run():
            done.append(f"{org_id}/{namespace}")
        engine.close()
    database.close()
    return done


if __name__ == "__main__":
    os.nice(5)  # it yields to the servers
    for name in refit_where_due(settings_from_env(os.environ), lambda: datetime.now(UTC)):
        sys.stdout.write(f"learned anew: {name}\n")
