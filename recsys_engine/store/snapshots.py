"""Snapshots of a live state on this machine's disk, each known to the database it was made from.

A file is ``state-<tenant>-<seq>-<name>.npz``: arrays without pickle, every one with a CRC-32. It counts only while the
database knows its name, so a file beside another database, or beside an older copy of this one, is passed over.
"""

import fcntl
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, delete, insert, select

from recsys_engine.store.tables import operations, snapshots

log = logging.getLogger(__name__)

KEPT_NAMES = 64
"""Names the database keeps for a tenant: one for each machine that writes snapshots."""
ERASING = ("users_forgotten", "users_deleted", "events_deleted")
Arrays = Mapping[str, npt.NDArray[Any]]


class SnapshotFolder:
    """One tenant's snapshots in a folder that all processes of a machine share."""

    def __init__(self, folder: Path, tenant: int) -> None:
        self._folder = folder
        self._tenant = tenant
        self._stem = f"state-{tenant}-"

    def newest_seq(self) -> int:
        """The log row the newest file stands at, 0 without a file."""
        return max((_seq_of(path) for path in self._files()), default=0)

    def newest_age_s(self, now_s: float) -> float:
        """Seconds since the newest file was written, infinite without one."""
        ages = []
        for path in self._files():
            with suppress(FileNotFoundError):
                ages.append(now_s - path.stat().st_mtime)
        return min(ages, default=float("inf"))

    def load(self, connection: Connection) -> dict[str, npt.NDArray[Any]] | None:
        """The arrays of the newest file this database knows; None when there is none or it is damaged."""
        for path in sorted(self._files(), key=_seq_of, reverse=True):
            if not self._is_known(connection, path):
                log.warning("engine_snapshot_unknown", extra={"path": path.name})
                continue
            try:
                with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                    return {name: file[name] for name in file.files}
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                log.warning("engine_snapshot_damaged", extra={"path": path.name})
        return None

    def save(self, writing: Callable[[], Any], seq: int, arrays: Arrays) -> bool:
        """Write a file and put it in place of the older ones; False when another process is writing one.

        Nothing is kept when a person was erased since ``seq``: the log then no longer holds what the file would.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone() as is_alone:
            if not is_alone:
                return False
            for left in self._folder.glob(f"{self._stem}*.tmp"):
                left.unlink(missing_ok=True)
            with NamedTemporaryFile(dir=self._folder, prefix=self._stem, suffix=".tmp", delete=False) as file:
                np.savez(file, allow_pickle=False, **arrays)
            return self._put_in_place(writing, seq, Path(file.name))

    def _put_in_place(self, writing: Callable[[], Any], seq: int, made: Path) -> bool:
        name = uuid4().hex
        with writing() as connection:  # the writer's lock: an erasure comes wholly before or wholly after
            if erased_since(connection, self._tenant, seq):
                made.unlink()
                return False
            connection.execute(insert(snapshots).values(tenant=self._tenant, name=name, seq=seq))
            self._thin_out(connection)
            placed = made.replace(self._folder / f"{self._stem}{seq}-{name}.npz")
        for path in self._files():
            if path != placed and _seq_of(path) <= seq:
                path.unlink(missing_ok=True)
        return True

    def drop_before(self, seq: int) -> None:
        """Delete the files that stand before a row of the log."""
        for path in self._files():
            if _seq_of(path) < seq:
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return list(self._folder.glob(f"{self._stem}*.npz"))

    def _is_known(self, connection: Connection, path: Path) -> bool:
        name = path.stem.rpartition("-")[2]
        where = (snapshots.c.tenant == self._tenant, snapshots.c.name == name, snapshots.c.seq == _seq_of(path))
        return connection.execute(select(snapshots.c.seq).where(*where)).first() is not None

    def _thin_out(self, connection: Connection) -> None:
        mine = snapshots.c.tenant == self._tenant
        kept = select(snapshots.c.name).where(mine).order_by(snapshots.c.seq.desc()).limit(KEPT_NAMES)
        connection.execute(delete(snapshots).where(mine, snapshots.c.name.not_in(kept.subquery().select())))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        with (self._folder / f"{self._stem}lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def erased_since(connection: Connection, tenant: int, seq: int) -> bool:
    """Was anything taken out of the log after this row? Then no state of before can be made from it."""
    where = (operations.c.tenant == tenant, operations.c.seq > seq, operations.c.kind.in_(ERASING))
    return connection.execute(select(operations.c.seq).where(*where).limit(1)).first() is not None


def _seq_of(path: Path) -> int:
    seq = path.stem.split("-")[2]
    return int(seq) if seq.isdigit() else 0
