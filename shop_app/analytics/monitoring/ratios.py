"""Quotients that must hold: impressions per answer, clicks per impression, purchase events per order line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shop_app.analytics.monitoring.volume import MAD_TO_SIGMA

if TYPE_CHECKING:
    from collections.abc import Sequence

Z_LIMIT = 5.0
FEWEST_EXPECTED = 10.0  # expected numerator events below which a learned ratio is not judged


@dataclass(frozen=True)
class Quotient:
    """Numerator and denominator events of one window."""

    numerator: int
    denominator: int


@dataclass(frozen=True)
class RatioReading:
    """Observed and expected ratio; `z` in standard deviations of counting noise and past variation."""

    observed: float
    expected: float
    z: float
    is_alarm: bool


def must_be_one(window: Quotient) -> bool:
    """True when an identity is broken, such as purchase events per order line: any difference is an alarm."""
    return window.numerator != window.denominator


def judge_ratio(window: Quotient, history: Sequence[Quotient], *, z_limit: float = Z_LIMIT) -> RatioReading | None:
    """Compare a window's ratio with the median of earlier ones; None when there is too little to judge.

    Noise = Poisson noise of the numerator and the robust spread of the past ratios beyond it, whichever is larger.
    """
    past = np.array([item.numerator / item.denominator for item in history if item.denominator])
    if not past.size or not window.denominator:
        return None
    expected = float(np.median(past))
    expected_events = expected * window.denominator
    if expected_events < FEWEST_EXPECTED:
        return None
    counting = math.sqrt(expected / window.denominator)
    spread = float(np.median(np.abs(past - expected))) / MAD_TO_SIGMA
    observed = window.numerator / window.denominator
    z = (observed - expected) / max(counting, spread)
    return RatioReading(observed, expected, z, abs(z) >= z_limit)
