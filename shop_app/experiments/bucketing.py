"""Which variant a shopper gets: deterministic, salted per experiment, with layers as disjoint hash ranges.

The hash is GrowthBook's version 2: FNV-1a-32 of the decimal text of FNV-1a-32(seed + id), modulo 10,000. An experiment
draws twice from it: the *layer* seed decides whether a unit belongs to the experiment at all (experiments of one layer
own disjoint ranges, so no unit is in two), the *experiment* seed decides the variant. Different seeds make the two
draws independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shop_app.core.ids import MEMBER_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

FNV_OFFSET = 2_166_136_261
FNV_PRIME = 16_777_619
WORD = 0xFFFFFFFF
STEPS = 10_000  # the hash has this many values; shares are effective to .0001


@dataclass(frozen=True)
class HashRange:
    """Half-open part [start, end) of a layer's traffic, within 0..1."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= 1:
            raise ValueError("a range needs 0 <= start < end <= 1")

    def overlaps(self, other: HashRange) -> bool:
        """True when some unit would fall into both."""
        return self.start < other.end and other.start < self.end

    def __contains__(self, position: float) -> bool:
        return self.start <= position < self.end


@dataclass(frozen=True)
class Split:
    """How one experiment divides its traffic. `weights` are the planned shares of `variants` and sum to 1."""

    seed: str
    layer_seed: str
    traffic: HashRange
    variants: tuple[str, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.variants) < 2 or len(set(self.variants)) != len(self.variants):
            raise ValueError("an experiment needs at least two different variants")
        if len(self.weights) != len(self.variants) or min(self.weights) <= 0:
            raise ValueError("every variant needs a positive weight")
        if not math.isclose(math.fsum(self.weights), 1.0, abs_tol=1e-9):
            raise ValueError("weights must sum to 1")
        if self.seed == self.layer_seed:
            raise ValueError("the layer and the experiment must not share a seed")


def bucket(seed: str, unit_id: str) -> float:
    """Position of a unit in 0, .0001, … .9999."""
    return _fnv1a(str(_fnv1a(seed + unit_id))) % STEPS / STEPS


def assign(split: Split, unit_id: str) -> str | None:
    """The unit's variant, or None when it lies outside the experiment's part of the layer."""
    if bucket(split.layer_seed, unit_id) not in split.traffic:
        return None
    position, upper = bucket(split.seed, unit_id), 0.0
    for variant, weight in zip(split.variants, split.weights, strict=True):
        upper += weight
        if position < upper:
            return variant
    return split.variants[-1]


@dataclass(frozen=True)
class Target:
    """Whom an experiment is for: kinds of device (none named: all) and `members`, `guests` or, empty, both."""

    devices: tuple[str, ...] = ()
    people: str = ""

    def fits(self, unit_id: str, device: str) -> bool:
        """Does somebody of this key on this device belong to it? Members' keys begin with `u_`."""
        kind = "members" if unit_id.startswith(MEMBER_PREFIX) else "guests"
        return (not self.devices or device in self.devices) and self.people in {"", kind}


def free_range(taken: Sequence[HashRange], share: float) -> HashRange | None:
    """The first gap of a layer that holds `share` of its traffic, or None when no gap is wide enough."""
    start = 0.0
    for used in sorted(taken, key=lambda item: item.start):
        if used.start - start >= share - 1e-9:
            break
        start = max(start, used.end)
    end = min(start + share, 1.0)
    return HashRange(start, end) if start < 1 and end - start >= share - 1e-9 else None


def buckets(seed: str, unit_ids: Sequence[str] | np.ndarray) -> np.ndarray:
    """`bucket` of many ASCII ids at once, the same values. For audits and simulations over millions of units."""
    text = np.asarray(unit_ids, dtype=np.bytes_)
    codes = text.view(np.uint8).reshape(text.size, text.dtype.itemsize)
    first = np.full(text.size, _fnv1a(seed), dtype=np.uint32)
    for column in range(codes.shape[1]):
        code = codes[:, column]
        first = np.where(code > 0, (first ^ code) * np.uint32(FNV_PRIME), first)  # numpy pads short ids with zero bytes
    return _decimal_hash(first) % STEPS / STEPS


def _fnv1a(text: str) -> int:
    value = FNV_OFFSET
    for code in text.encode("utf-8"):
        value = ((value ^ code) * FNV_PRIME) & WORD
    return value


def _decimal_hash(values: np.ndarray) -> np.ndarray:
    """FNV-1a-32 of the decimal text of each number, most significant digit first."""
    result = np.full(values.size, FNV_OFFSET, dtype=np.uint32)
    started = np.zeros(values.size, dtype=bool)
    for power in (np.uint32(10**exponent) for exponent in range(9, -1, -1)):
        digits = values // power % np.uint32(10)
        started |= (digits > 0) | (power == 1)
        result = np.where(started, (result ^ (digits + np.uint32(ord("0")))) * np.uint32(FNV_PRIME), result)
    return result
