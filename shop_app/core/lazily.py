"""Heavy libraries that hardly any process needs, imported when one of their functions is first called.

A shop process starts in half the CPU time without scipy; only a page with statistics waits for it, once.
"""

from importlib import import_module
from typing import Any


class Lazily:
    """Stands for a module: `stats = Lazily("scipy.stats")` is used like `from scipy import stats`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
