"""The ground truth, a JSON object a line: who saw what where, with which chance of a click, and what they did."""

import json
from collections.abc import Mapping
from typing import Any, Protocol, TextIO


class Truth(Protocol):
    """Takes what happened. Kinds: shopper, visit, seen, viewed, added, ordered, refused."""

    def note(self, kind: str, **facts: Any) -> None:
        """Write one fact down."""


class TruthFile:
    """Facts as JSON lines, flushed when the file is closed; without a file nothing is kept."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def note(self, kind: str, **facts: Any) -> None:
        """Write one line."""
        if self._file is not None:
            self._file.write(json.dumps({"kind": kind, **facts}, separators=(",", ":")) + "\n")


class TruthList:
    """Facts in memory, for tests."""

    def __init__(self) -> None:
        self.facts: list[Mapping[str, Any]] = []

    def note(self, kind: str, **facts: Any) -> None:
        """Keep one fact."""
        self.facts.append({"kind": kind, **facts})

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """The facts of one kind, in order."""
        return [fact for fact in self.facts if fact["kind"] == kind]
