"""One transaction, opened by a view or a job and closed in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class SupportsTransaction(Protocol):
    """The part of a database session that a unit of work needs."""

    @property
    def new(self) -> Any: ...
    @property
    def dirty(self) -> Any: ...
    @property
    def deleted(self) -> Any: ...

    def connection(self, *, execution_options: Any) -> Any: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...


WRITE_OPTION = "shop_write"
"""Execution option read by the SQLite `begin` hook: take the write lock at once, so that read-then-write is safe."""


@contextmanager
def unit_of_work(session: SupportsTransaction) -> Iterator[None]:
    """Commit what the block did, or nothing of it.

    Reads done before on the same session end first: on SQLite a read snapshot cannot become a write lock.

    Raises:
        RuntimeError: something was already written on this session outside a unit of work.

    """
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("there are unsaved changes from outside this unit of work")
    session.rollback()
    session.connection(execution_options={WRITE_OPTION: True})
    try:
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise
