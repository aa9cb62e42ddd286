"""Readings that stay valid however often one looks: normal-mixture confidence sequences and the mixture SPRT."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A closed interval in the metric's unit."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True when 0 lies outside."""
        return self.low > 0 or self.high < 0


def mixture_scale(planned_n: float, *, alpha: float = 0.05) -> float:
    """ρ that makes the sequence tightest at `planned_n` units: ρ² = (−2 ln α + ln(1 − 2 ln α)) / N*."""
    return math.sqrt((-2 * math.log(alpha) + math.log1p(-2 * math.log(alpha))) / planned_n)


def half_width(deviation: float, n: float, *, scale: float, alpha: float = 0.05) -> float:
    """Half width of the asymptotic confidence sequence of a mean after `n` units with standard deviation `deviation`.

    σ·√(2(nρ² + 1)/(nρ)² · ln(√(nρ² + 1)/α)), two-sided (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021, eq. 14).
    """
    grown = n * scale * scale + 1
    return deviation * math.sqrt(2 * grown / (n * scale) ** 2 * math.log(math.sqrt(grown) / alpha))


def confidence_sequence(
    estimate: float, standard_error: float, n: float, *, planned_n: float, alpha: float = 0.05
) -> Interval:
    """Interval of an estimate that holds at all looks together with probability 1 − alpha (asymptotically).

    `n` and `planned_n` count the same thing, such as units in both arms; σ is read back as `standard_error`·√n.
    """
    half = half_width(standard_error * math.sqrt(n), n, scale=mixture_scale(planned_n, alpha=alpha), alpha=alpha)
    return Interval(estimate - half, estimate + half)


def normal_mixture_bound(variance: float, rho: float, *, alpha: float = 0.05) -> float:
    """Boundary of a sum with accumulated `variance`: √((V + ρ)·ln((V + ρ)/(ρα²))) (Howard et al. 2021, eq. 14)."""
    return math.sqrt((variance + rho) * math.log((variance + rho) / (rho * alpha * alpha)))


def mixture_sprt(difference: float, variance: float, n: float, *, mixing_variance: float) -> float:
    """Likelihood ratio Λ of the mixture SPRT; 1/Λ is an always-valid p-value when the smallest so far is kept.

    Λ = √(v/(v + nτ²))·exp(n²τ²d²/(2v(v + nτ²))), v = variance of one pair's difference, τ² = `mixing_variance`
    (Johari, Pekelis, Walsh 2015). Returns inf beyond the range of a float.
    """
    spread = variance + n * mixing_variance
    exponent = n * n * mixing_variance * difference * difference / (2 * variance * spread)
    log_ratio = 0.5 * math.log(variance / spread) + exponent
    return math.exp(log_ratio) if log_ratio < 700 else math.inf


def always_valid_p(ratios: list[float]) -> float:
    """p-value after a series of looks: 1 / (largest likelihood ratio so far), at most 1."""
    return min(1.0, 1 / max(ratios, default=1.0))
