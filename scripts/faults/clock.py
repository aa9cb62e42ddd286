"""A clock that a fault run can step: the machine's, plus as many seconds as a file says."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

VARIABLE = "FAULT_CLOCK_FILE"


class SteppedClock:
    """Reads its offset anew with every look; a file that is missing or half written counts as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._offset_s())

    def _offset_s(self) -> float:
        try:
            return float(self._path.read_text())
        except (OSError, ValueError):
            return 0.0


def stepped_clock() -> SteppedClock:
    """The clock of this process's environment."""
    return SteppedClock(Path(os.environ[VARIABLE]))
