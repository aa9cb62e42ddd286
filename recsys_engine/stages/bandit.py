"""Which policy to show: Thompson sampling, ε-greedy and UCB1 behind one function that returns probabilities.

Every algorithm first yields the exact probability of each arm and the draw is made from those, so the propensity that
is logged is the one that was used. The posterior is two sums per arm (see `recsys_engine.signals.bandit`), hence free
of order.

Thompson sampling here is *tempered*: the posterior is sharpened by `confidence` (and further as evidence grows), and
every arm starts from the pooled reward rate worth `prior_trials` decisions instead of Beta(1, 1). Plain Thompson
explores for an endless horizon; shops don't have one. Sources: Chapelle, Li 2011 (posterior reshaping), Auer et al.
2002 (UCB1); figures: docs/statistics.md.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

GRID_POINTS = 512  # nodes of the quadrature over the reward rate; propensities are right to about 1e-4
GRID_REACH = 6.0  # posterior standard deviations covered on either side
BUCKET_KEY_BYTES = 200  # longer context keys are cut and end in a digest
HOLDOUT_STEPS = 10_000  # shares of the hold-out are effective to .0001


class Algorithm(StrEnum):
    """How arms are chosen; the names of the contract."""

    THOMPSON = "thompson"
    EPSILON_GREEDY = "epsilon_greedy"
    UCB1 = "ucb1"


@dataclass(frozen=True)
class BanditSettings:
    """`epsilon` is the share of draws spread evenly over all arms, so no propensity is ever 0 (required for
    evaluation).

    `prior_trials`: decisions the pooled rate counts for in each arm. `confidence` ≥ 1 sharpens the Thompson posterior
    and is multiplied by √(1 + trials / `horizon`), trials counted over all arms; 1 and an infinite horizon are plain
    Thompson.
    """

    algorithm: Algorithm = Algorithm.THOMPSON
    epsilon: float = 0.01
    prior_trials: float = 60.0
    confidence: float = 2.0
    horizon: float = 10_000.0

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ValueError("epsilon must lie in (0, 1]")
        if self.prior_trials <= 0 or self.confidence <= 0 or self.horizon <= 0:
            raise ValueError("prior_trials, confidence and horizon must be positive")


@dataclass(frozen=True, order=True)
class Arm:
    """Settled evidence of one policy: `trials` closed decisions with rewards (each 0..1) summing to `reward`;
    `pending` still open.
    """

    arm_id: str
    trials: int = 0
    reward: float = 0.0
    pending: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.reward <= self.trials or self.pending < 0:
            raise ValueError("an arm's reward must lie between 0 and its trials, pending must not be negative")


@dataclass(frozen=True)
class ArmChoice:
    """The arm to serve, its exact probability, the best arm by mean, and whether this draw explored (chose another)."""

    arm_id: str
    propensity: float
    empirical_best: str
    explore: bool


def choose_arm(arms: Sequence[Arm], settings: BanditSettings, rng: random.Random) -> ArmChoice:
    """Draw one arm. The order of `arms` does not matter. Raises ValueError without arms."""
    ordered = tuple(sorted(arms))
    chances = arm_probabilities(ordered, settings)
    drawn = rng.choices(ordered, weights=[chances[arm.arm_id] for arm in ordered])[0]
    best = empirical_best(ordered)
    return ArmChoice(drawn.arm_id, chances[drawn.arm_id], best, drawn.arm_id != best)


def arm_probabilities(arms: Sequence[Arm], settings: BanditSettings) -> dict[str, float]:
    """Probability of each arm under `settings`; they sum to 1 and none is below epsilon / arms."""
    ordered = tuple(sorted(arms))
    if not ordered or len({arm.arm_id for arm in ordered}) != len(ordered):
        raise ValueError("a decision needs at least one arm, each named once")
    return dict(_probabilities(ordered, settings))


def empirical_best(arms: Sequence[Arm]) -> str:
    """The arm with the highest mean reward so far; an untried one has mean 0; ties go to the lowest id."""
    return min(arms, key=lambda arm: (-arm.reward / max(arm.trials, 1), arm.arm_id)).arm_id


def is_held_out(user_id: str, *, salt: str, share: float) -> bool:
    """Sticky hold-out: the same shopper is always in or out for one salt (such as the surface), by SHA-256."""
    digest = hashlib.sha256(f"{salt}:{user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % HOLDOUT_STEPS < share * HOLDOUT_STEPS


def bucket_key(context: Mapping[str, str] | None) -> str:
    """Name of a context: `ctx:k1=v1|k2=v2`, keys and values trimmed and lower-cased, sorted by key.

    Missing context is `ctx:empty`, an empty one `ctx:`. Over 200 bytes: the first 200 (whole characters), then `|h=`
    and the first 8 bytes of the SHA-1 in hex. Keys that become equal are ordered by value and the first wins, so the
    caller's order is irrelevant.
    """
    if context is None:
        return "ctx:empty"
    pairs = sorted(((key.strip().lower(), value.strip().lower()) for key, value in context.items()), reverse=True)
    key = "ctx:" + "|".join(f"{name}={value}" for name, value in sorted(dict(pairs).items()))
    raw = key.encode("utf-8", "surrogatepass")
    if len(raw) <= BUCKET_KEY_BYTES:
        return key
    digest = hashlib.sha1(raw, usedforsecurity=False).digest()[:8].hex()
    return f"{raw[:BUCKET_KEY_BYTES].decode('utf-8', 'ignore')}|h={digest}"


@lru_cache(maxsize=4096)
def _probabilities(arms: tuple[Arm, ...], settings: BanditSettings) -> tuple[tuple[str, float], ...]:
    if settings.algorithm is Algorithm.THOMPSON:
        greedy = _thompson(arms, settings)
    elif settings.algorithm is Algorithm.EPSILON_GREEDY:
        greedy = _only(min(range(len(arms)), key=lambda index: _greedy_order(arms, index, settings)), len(arms))
    else:
        greedy = _only(min(range(len(arms)), key=lambda index: _upper_bound_order(arms, index)), len(arms))
    floor = settings.epsilon / len(arms)
    mixed = (1 - settings.epsilon) * greedy + floor
    return tuple((arm.arm_id, float(chance)) for arm, chance in zip(arms, mixed, strict=True))


def _greedy_order(arms: tuple[Arm, ...], index: int, settings: BanditSettings) -> tuple[float, int, str]:
    """Highest shrunk mean first; ties to the arm shown least (open decisions included), so a batch spreads out."""
    arm = arms[index]
    mean = (arm.reward + settings.prior_trials * _pooled_rate(arms)) / (arm.trials + settings.prior_trials)
    return (-mean, arm.trials + arm.pending, arm.arm_id)


def _upper_bound_order(arms: tuple[Arm, ...], index: int) -> tuple[float, int, str]:
    """UCB1: mean + √(2 ln N / n), n = max(1, shown), N = Σn; an untried arm has mean 0. Open decisions count as shown.

    Otherwise one arm would take the whole time until the first reward arrives.
    """
    shown = [max(1, arm.trials + arm.pending) for arm in arms]
    arm = arms[index]
    bound = arm.reward / max(1, arm.trials) + math.sqrt(2 * math.log(sum(shown)) / shown[index])
    return (-bound, shown[index], arm.arm_id)


def _thompson(arms: tuple[Arm, ...], settings: BanditSettings) -> NDArray[np.float64]:
    """P(arm has the highest rate) under independent Beta posteriors: ∫ f_i Π_{j≠i} F_j over one common grid."""
    alpha, beta = _posteriors(arms, settings)
    grid = _grid(alpha, beta)
    below = special.betainc(alpha[:, None], beta[:, None], grid[None, :])
    logs = np.log(np.maximum(below, 1e-300))
    others = np.exp(logs.sum(axis=0) - logs)
    mass = (np.diff(below, axis=1) * (others[:, 1:] + others[:, :-1]) / 2).sum(axis=1)
    chances: NDArray[np.float64] = mass / mass.sum()
    return chances


def _posteriors(arms: tuple[Arm, ...], settings: BanditSettings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    trials = np.array([arm.trials for arm in arms], dtype=float)
    reward = np.array([arm.reward for arm in arms], dtype=float)
    rate = _pooled_rate(arms)
    sharpness = settings.confidence * math.sqrt(1 + float(trials.sum()) / settings.horizon)
    alpha = sharpness * (settings.prior_trials * rate + reward)
    return alpha, sharpness * (settings.prior_trials * (1 - rate) + trials - reward)


def _pooled_rate(arms: tuple[Arm, ...]) -> float:
    """Reward rate over all arms, pulled towards one half by one decision, hence never 0 or 1."""
    trials = sum(arm.trials for arm in arms)
    return (math.fsum(arm.reward for arm in arms) + 0.5) / (trials + 1)


def _grid(alpha: NDArray[np.float64], beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rising points of [0, 1], dense where any posterior has its mass."""
    mean = alpha / (alpha + beta)
    deviation = np.sqrt(mean * (1 - mean) / (alpha + beta + 1))
    per_arm = max(GRID_POINTS // len(mean), 9)
    reach = np.linspace(-GRID_REACH, GRID_REACH, per_arm)
    points = (mean[:, None] + deviation[:, None] * reach[None, :]).ravel()
    return np.unique(np.concatenate([[0.0, 1.0], np.geomspace(1e-9, 1.0, 65), points[(points > 0) & (points < 1)]]))


def _only(index: int, arms: int) -> NDArray[np.float64]:
    chances = np.zeros(arms)
    chances[index] = 1.0
    return chances
