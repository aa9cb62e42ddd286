"""The metrics an experiment may name, from per-shopper sums to moments of an arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shop_app.experiments.guardrails import Direction
from shop_app.experiments.statistics import moments
from shop_app.experiments.statistics.variance import winsorise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shop_app.experiments.queries import UnitSums
    from shop_app.experiments.statistics.moments import Moments


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by name; `definition` is shown beside the number, `unit` says what one unit of it is.

    One that is `is_guardrail_only` is too rare to be what an experiment is for.
    """

    name: str
    title: str
    definition: str
    unit: str
    direction: Direction = Direction.HIGHER_IS_BETTER
    is_guardrail_only: bool = False


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "ctr", "Click rate", "clicks on the slot / impressions of the slot, by delta method on shoppers", "share"
        ),
        Metric("add_rate", "Add-to-cart rate", "shoppers who added anything / shoppers exposed", "share"),
        Metric("conversion", "Conversion", "shoppers who bought anything / shoppers exposed", "share"),
        Metric(
            "revenue", "Revenue per shopper", "paid for lines since exposure, cut at the registered cap", "minor units"
        ),
        Metric(
            "complaints",
            "Complaints",
            "shoppers who said of the slot's list that it is not for them / shoppers exposed",
            "share",
            Direction.LOWER_IS_BETTER,
            is_guardrail_only=True,
        ),
    )
}


def moments_of(
    metric: str, units: Sequence[UnitSums], arms: tuple[str, str], *, cap_minor: int = 0
) -> tuple[Moments, Moments] | None:
    """Moments of control and treatment, or None while an arm is empty or a ratio has no denominator."""
    of_arm = [[unit for unit in units if unit.variant == arm] for arm in arms]
    if not all(of_arm) or (metric == "ctr" and not all(any(u.impressions for u in arm) for arm in of_arm)):
        return None
    control, treatment = (_moments(metric, arm, cap_minor) for arm in of_arm)
    return control, treatment


def _moments(metric: str, units: Sequence[UnitSums], cap_minor: int) -> Moments:
    if metric == "ctr":
        return moments.of_ratio([unit.clicks for unit in units], [unit.impressions for unit in units])
    if metric == "add_rate":
        return moments.of_proportion(sum(unit.adds > 0 for unit in units), len(units))
    if metric == "conversion":
        return moments.of_proportion(sum(unit.orders > 0 for unit in units), len(units))
    if metric == "complaints":
        return moments.of_proportion(sum(unit.complaints > 0 for unit in units), len(units))
    return moments.of_values(revenue(units, cap_minor))


def revenue(units: Sequence[UnitSums], cap_minor: int) -> np.ndarray:
    """Revenue per shopper in minor units, cut at the cap when there is one."""
    paid = np.array([unit.revenue for unit in units], dtype=float)
    return winsorise(paid, cap_minor) if cap_minor else paid
