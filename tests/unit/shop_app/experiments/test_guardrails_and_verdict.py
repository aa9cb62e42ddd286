from datetime import timedelta

import numpy as np
import pytest

from shop_app.experiments.guardrails import FALSE_STOP, Direction, Guardrail, HarmWatch, look_for_harm
from shop_app.experiments.statistics.moments import Moments, of_proportion
from shop_app.experiments.statistics.sequences import Interval
from shop_app.experiments.verdict import (
    Decision,
    Evidence,
    GuardrailReading,
    GuardrailState,
    MetricReading,
    decide,
    read_guardrail,
    read_metric,
)

CONVERSION = Guardrail("conversion")


def sessions_until_stop(
    base: float, lift: float, rng: np.random.Generator, *, sessions: int = 20_000, looks: int = 40
) -> int | None:
    """Sessions over both arms at which the variant was stopped, read after every fortieth of the plan."""
    step, watch, control, treatment = sessions // looks // 2, HarmWatch(planned_units=sessions), 0, 0
    for look in range(1, looks + 1):
        control += rng.binomial(step, base)
        treatment += rng.binomial(step, base * (1 + lift))
        reading = look_for_harm(
            CONVERSION, of_proportion(control, look * step), of_proportion(treatment, look * step), watch
        )
        watch = reading.watch
        if reading.stop:
            return 2 * look * step
    return None


@pytest.mark.ticket("RS-051")
def test_a_variant_that_loses_fifteen_per_cent_is_stopped_before_twenty_thousand_sessions():
    rng = np.random.default_rng(21)

    stops = [sessions_until_stop(0.12, -0.15, rng) for _ in range(400)]

    assert np.mean([stop is not None for stop in stops]) >= 0.9


def funnel_stops(add_rate: float, conversion: float, change: float, rng: np.random.Generator) -> bool:
    """Whether a shop that guards add-to-cart and conversion stops within 20,000 sessions; buyers are among the adders."""
    looks, step = 40, 250
    bases, counts = (add_rate, conversion), np.zeros((2, 2), dtype=int)
    watches = [HarmWatch(planned_units=2 * looks * step)] * 2
    for look in range(1, looks + 1):
        for arm in (0, 1):
            adders = rng.binomial(step, add_rate * (1 + change * arm))
            counts[:, arm] += adders, rng.binomial(adders, conversion / add_rate)
        for metric in range(len(bases)):
            arms = (of_proportion(int(count), look * step) for count in counts[metric])
            reading = look_for_harm(CONVERSION, *arms, watches[metric], false_stop=FALSE_STOP / len(bases))
            watches[metric] = reading.watch
            if reading.stop:
                return True
    return False


def test_a_shop_that_sells_to_three_per_cent_is_guarded_by_what_goes_into_baskets():
    rng = np.random.default_rng(24)

    assert np.mean([funnel_stops(0.13, 0.03, -0.15, rng) for _ in range(150)]) >= 0.9
    assert np.mean([funnel_stops(0.13, 0.03, 0.0, rng) for _ in range(300)]) <= 0.01


def test_harmless_variants_are_left_alone():
    rng = np.random.default_rng(22)

    stops = [sessions_until_stop(0.12, 0.0, rng) for _ in range(500)]

    assert np.mean([stop is not None for stop in stops]) <= 0.01


def test_a_variant_that_helps_is_never_stopped_for_it():
    rng = np.random.default_rng(23)

    assert [sessions_until_stop(0.12, 0.15, rng) for _ in range(100)] == [None] * 100


def test_looking_again_at_the_same_data_reads_nothing():
    watch = HarmWatch(planned_units=2000)
    first = look_for_harm(CONVERSION, of_proportion(200, 500), of_proportion(180, 500), watch)

    again = look_for_harm(CONVERSION, of_proportion(200, 500), of_proportion(20, 500), first.watch)

    assert not again.stop
    assert again.watch == first.watch
    assert "nothing new" in again.reason


def test_after_the_plan_only_overwhelming_harm_stops():
    watch = HarmWatch(planned_units=1000, fractions=(0.5, 1.0))

    mild = look_for_harm(CONVERSION, of_proportion(500, 5000), of_proportion(430, 5000), watch)
    clear = look_for_harm(CONVERSION, of_proportion(500, 5000), of_proportion(300, 5000), watch)

    assert (mild.stop, clear.stop) == (False, True)


def test_a_margin_and_a_metric_where_less_is_better():
    latency = Guardrail("latency_ms", Direction.LOWER_IS_BETTER, margin=0.1)
    watch = HarmWatch(planned_units=2000)

    tolerated = look_for_harm(latency, Moments(1000, 100, 400), Moments(1000, 105, 400), watch)
    broken = look_for_harm(latency, Moments(1000, 100, 400), Moments(1000, 120, 400), watch)

    assert (tolerated.stop, broken.stop) == (False, True)
    assert tolerated.harm == pytest.approx(-5)
    assert "beyond the tolerated 10.0%" in broken.reason


def test_few_units_stop_nothing():
    reading = look_for_harm(CONVERSION, of_proportion(50, 60), of_proportion(0, 60), HarmWatch(2000))

    assert not reading.stop
    assert "too few" in reading.reason


def evidence(**changes) -> Evidence:
    values = {
        "primary": MetricReading("CTR", Direction.HIGHER_IS_BETTER, Interval(0.001, 0.01)),
        "guardrails": [GuardrailReading("returns", GuardrailState.HOLDS)],
        "ratio_is_clean": True,
        "running_for": timedelta(days=8),
    }
    return Evidence(**(values | changes))


def test_ship_when_everything_holds():
    assert decide(evidence()).decision is Decision.SHIP


@pytest.mark.parametrize(
    ("changes", "decision", "word"),
    [
        ({"ratio_is_clean": False}, Decision.HOLD, "planned shares"),
        ({"guardrails": [GuardrailReading("returns", GuardrailState.BROKEN)]}, Decision.STOP, "returns"),
        ({"guardrails": [GuardrailReading("returns", GuardrailState.OPEN)]}, Decision.HOLD, "returns"),
        ({"primary": MetricReading("CTR", Direction.HIGHER_IS_BETTER, Interval(-0.02, -0.01))}, Decision.STOP, "worse"),
        (
            {"primary": MetricReading("CTR", Direction.HIGHER_IS_BETTER, Interval(-0.02, 0.01))},
            Decision.HOLD,
            "contains 0",
        ),
        ({"running_for": timedelta(days=6, hours=23)}, Decision.HOLD, "6 of at least 7 days"),
    ],
)
def test_each_missing_piece_is_named(changes, decision, word):
    verdict = decide(evidence(**changes))

    assert verdict.decision is decision
    assert word in verdict.reasons[0]


def test_shoppers_seen_in_two_arms_are_a_warning():
    assert "1.5%" in decide(evidence(mixed_share=0.015)).reasons[-1]


def test_guardrail_reading_needs_proof_for_both_sides():
    guardrail = Guardrail("conversion", margin=0.02)

    def state(successes: int, n: int) -> GuardrailState:
        return read_guardrail(
            guardrail, of_proportion(n // 10, n), of_proportion(successes, n), planned_units=2 * n
        ).state

    assert state(100, 1000) is GuardrailState.OPEN
    assert state(100_000, 1_000_000) is GuardrailState.HOLDS
    assert state(90_000, 1_000_000) is GuardrailState.BROKEN


def test_lower_is_better_reverses_the_reading():
    reading = read_metric(
        "latency", Direction.LOWER_IS_BETTER, Moments(1000, 100, 100), Moments(1000, 90, 100), planned_units=2000
    )

    assert reading.is_better
    assert not reading.is_worse
