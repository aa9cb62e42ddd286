"""Stored rows: listing, deleting, erasing people."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Table, delete

from recsys_engine.contract import (
    DeleteFilter,
    DeleteResult,
    Event,
    ForgetResult,
    Page,
    PageQuery,
    StoredItem,
    StoredUser,
)
from recsys_engine.contract.limits import MAX_USERS_PER_CALL
from recsys_engine.service.decision_log import DecisionLog
from recsys_engine.service.intake import bounded, check_size
from recsys_engine.store import pages
from recsys_engine.store.bandit import forget_bandit
from recsys_engine.store.database import lock_head, move_head
from recsys_engine.store.decisions import forget_decisions
from recsys_engine.store.earlier import forget_earlier
from recsys_engine.store.log import append_operation
from recsys_engine.store.tables import events, items, users

Opened = Callable[[], AbstractContextManager[tuple[Connection, int]]]


class Archive:
    """Every deletion is an operation in the log, so that each replica takes it back from its signals.

    Operations outlive an erasure, so they name users by hash only.
    """

    def __init__(self, reading: Opened, writing: Opened, decisions: DecisionLog, follow: Callable[[], None]) -> None:
        self._reading = reading
        self._writing = writing
        self._decisions = decisions
        self._follow = follow

    def list_items(self, query: PageQuery) -> Page[StoredItem]:
        """Stored items, newest first."""
        with self._reading() as (connection, tenant):
            return pages.item_page(connection, tenant, bounded(query))

    def list_users(self, query: PageQuery) -> Page[StoredUser]:
        """Stored users, newest first."""
        with self._reading() as (connection, tenant):
            return pages.user_page(connection, tenant, bounded(query))

    def list_events(self, query: PageQuery) -> Page[Event]:
        """Stored events, newest first."""
        with self._reading() as (connection, tenant):
            return pages.event_page(connection, tenant, bounded(query))

    def delete_items(self, which: DeleteFilter) -> DeleteResult:
        """Delete items by id or age."""
        return self._delete(items, which, "item_id", "items_deleted")

    def delete_users(self, which: DeleteFilter) -> DeleteResult:
        """Delete users by id or age; their events stay (see ``forget_users``)."""
        return self._delete(users, which, "user_id", "users_deleted")

    def delete_events(self, which: DeleteFilter) -> DeleteResult:
        """Delete events and what they taught."""
        return self._delete(events, which, "user_id", "events_deleted")

    def _delete(self, table: Table, which: DeleteFilter, key: str, kind: str) -> DeleteResult:
        with self._writing() as (connection, tenant):
            seq, _ = lock_head(connection, tenant)
            count, touched = pages.delete_rows(connection, table, tenant, which, key=key, seq=seq + 1)
            payload = (
                {"ids": touched}
                if key == "item_id"
                else {"user_hashes": [self._decisions.user_hash(id_) for id_ in touched]}
            )
            append_operation(connection, tenant, seq + 1, kind, payload)
            move_head(connection, tenant, seq + 1)
        self._follow()
        return DeleteResult(count, f"{table.name.removeprefix('engine_').capitalize()} deleted successfully")

    def forget_users(self, user_ids: Sequence[str]) -> ForgetResult:
        """Erase people: rows, events, decisions and their exact contribution to every signal."""
        check_size(user_ids, MAX_USERS_PER_CALL, "users")
        self._decisions.flush()
        with self._writing() as (connection, tenant):
            seq, _ = lock_head(connection, tenant)
            gone = [_delete_people(connection, table, tenant, user_ids) for table in (users, events)]
            hashes = [self._decisions.user_hash(user_id) for user_id in user_ids]
            forget_earlier(connection, tenant, user_ids)
            lists = forget_decisions(connection, tenant, hashes)
            arms = forget_bandit(connection, tenant, hashes)
            append_operation(connection, tenant, seq + 1, "users_forgotten", {"user_hashes": hashes})
            move_head(connection, tenant, seq + 1)
        self._follow()
        return ForgetResult(users=gone[0], events=gone[1], decisions=lists, bandit_contexts=arms)


def _delete_people(connection: Connection, table: Table, tenant: int, user_ids: Sequence[str]) -> int:
    where = (table.c.tenant == tenant, table.c.user_id.in_(list(user_ids)))
    return int(connection.execute(delete(table).where(*where)).rowcount)
