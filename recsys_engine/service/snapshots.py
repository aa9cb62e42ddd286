"""Starting from a stored state instead of the whole log, and keeping that state recent."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict

from sqlalchemy import Connection

from recsys_engine.contract.errors import EngineUnavailableError
from recsys_engine.signals.packing import Arrays, packed, unpacked
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store.snapshots import SnapshotFolder

log = logging.getLogger(__name__)

FORMAT = 3
"""Goes up when a state is laid out or counted differently; files of another format are passed over."""
SAVE_EVERY = 10_000
"""Rows of the log from one snapshot to the next; a start applies at most about these."""
SHORT_TAIL = 20_000
TAIL_SHARE = 2
"""A row of the tail costs up to twice one read with the whole log."""
SHORTEST_PAUSE_S = 60.0
_SETTINGS = "settings"


class Snapshots:
    """Loads and writes one tenant's snapshots. Writing happens in a thread of its own, one at a time."""

    def __init__(self, folder: SnapshotFolder, writing: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._folder = folder
        self._writing = writing
        self._is_outdated = False
        self._next_look_s = 0.0
        self._thread: threading.Thread | None = None

    def load(self, connection: Connection, settings: CounterSettings, head_seq: int) -> LiveState | None:
        """The stored state, if it was counted with these settings and is close behind the log; else None."""
        arrays = self._folder.load(connection)
        state = None if arrays is None else _state_of(arrays, settings)
        behind = head_seq - (state.seq if state else 0)
        if state is None or not 0 <= behind <= max(SHORT_TAIL, state.seq // TAIL_SHARE):
            self._is_outdated = True
            return None
        return state

    def save(self, frozen: LiveState) -> bool:
        """Write a frozen state now; False when another process is writing or a person was erased meanwhile."""
        arrays = {_SETTINGS: packed(_description(frozen.settings)), **frozen.arrays()}
        is_saved = self._folder.save(self._writing, frozen.seq, arrays)
        if is_saved:
            self._is_outdated = False
            log.info("engine_snapshot_saved", extra={"seq": frozen.seq})
        return is_saved

    def keep_recent(self, seq: int, freeze: Callable[[], LiveState]) -> None:
        """Start writing a snapshot when the newest one has fallen behind ``seq``; returns at once."""
        now_s = time.monotonic()
        if now_s < self._next_look_s or (self._thread is not None and self._thread.is_alive()):
            return
        self._next_look_s = now_s + SHORTEST_PAUSE_S
        behind = seq if self._is_outdated else seq - self._folder.newest_seq()
        if behind >= SAVE_EVERY:
            self._thread = threading.Thread(target=self._save_quietly, args=(freeze,), daemon=True)
            self._thread.start()

    def drop_before(self, seq: int) -> None:
        """Delete snapshots that stand before a row of the log."""
        self._folder.drop_before(seq)

    def finish(self) -> None:
        """Wait for a snapshot that is being written."""
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _save_quietly(self, freeze: Callable[[], LiveState]) -> None:
        try:
            self.save(freeze())
        except (EngineUnavailableError, OSError) as error:
            log.warning("engine_snapshot_not_saved", extra={"error": type(error).__name__})


def _description(settings: CounterSettings) -> list[object]:
    half_lives = [list(pair) for pair in sorted(settings.half_lives_ms.items())]
    return [FORMAT, {**asdict(settings), "half_lives_ms": half_lives}]


def _state_of(arrays: Arrays, settings: CounterSettings) -> LiveState | None:
    described = arrays.get(_SETTINGS)
    if described is None or unpacked(described) != _description(settings):
        return None
    state = LiveState(settings)
    state.load(arrays)
    return state
