"""Text as arrays, so that a state is nothing but named arrays and needs no pickle."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]


def packed(value: Any) -> npt.NDArray[np.uint8]:
    """Anything JSON can hold, as bytes."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def unpacked(array: npt.NDArray[Any]) -> Any:
    """What ``packed`` was given."""
    return json.loads(array.tobytes())


def under(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """The arrays with a prefix before their names."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def part(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """The arrays whose names have the prefix, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
