"""Does the arithmetic do what it promises? Every seed is fixed; the bound of each claim includes its Monte-Carlo
error.
"""

import math

import numpy as np
import pytest

from shop_app.experiments.statistics import comparisons, moments, power, sequences, srm, variance
from shop_app.experiments.statistics.peeking import false_stops
from shop_app.experiments.statistics.power import proportion_power


@pytest.mark.ticket("RS-051")
def test_two_thousand_a_a_tests_peeked_daily_for_thirty_days():
    result = false_stops(runs=2000, looks=30, units_per_look=500, rate=0.05, rng=np.random.default_rng(2024))

    error = 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert result.sequence <= 0.05
    assert result.group_sequential <= 0.05 + error
    assert result.single_look == pytest.approx(0.05, abs=error)
    assert result.naive >= 0.20


def test_peeking_two_hundred_times_costs_what_the_reference_table_says():
    rng = np.random.default_rng(200)
    sums = 10 * rng.standard_normal((4000, 200)).cumsum(axis=1)  # sums of 100
    n = 100 * np.arange(1, 201)
    scale = sequences.mixture_scale(5000)
    widths = np.array([sequences.half_width(1.0, count, scale=scale) * count for count in n])
    naive = (np.abs(sums) > 1.959964 * np.sqrt(n)).any(axis=1).mean()

    assert naive == pytest.approx(0.442, abs=0.025)
    assert (np.abs(sums) > widths).any(axis=1).mean() == pytest.approx(0.034, abs=0.012)
    assert (np.abs(sums[:, -1]) > 1.959964 * np.sqrt(n[-1])).mean() == pytest.approx(0.049, abs=0.011)


def test_power_page_agrees_with_simulation_in_fifty_settings():
    rng = np.random.default_rng(77)
    runs, worst = 40_000, 0.0
    for base in (0.02, 0.05, 0.1, 0.25, 0.5):
        for relative in (0.05, 0.1, 0.15, 0.2, 0.3):
            for n in (1500, 6000):
                control = rng.binomial(n, base, runs) / n
                treatment = rng.binomial(n, base * (1 + relative), runs) / n
                pooled = (control + treatment) / 2
                error = np.sqrt(np.maximum(2 * pooled * (1 - pooled) / n, 1e-12))
                simulated = (np.abs(treatment - control) > 1.959964 * error).mean()
                worst = max(worst, abs(simulated - proportion_power(base, base * (1 + relative), n)))

    assert worst <= 0.02


def test_planned_size_and_power_are_inverse():
    n = power.proportion_sample_size(0.1, 0.11, power=0.9)

    assert proportion_power(0.1, 0.11, n) == pytest.approx(0.9, abs=1e-6)
    assert power.smallest_visible_lift(0.1, n, power=0.9) == pytest.approx(0.1, abs=1e-6)
    assert power.smallest_visible_lift(0.5, 4) == math.inf
    assert power.mean_power(0.5, 63.7656) == pytest.approx(0.8, abs=1e-5)
    assert proportion_power(0.1, 0.1, 1000) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("metric", ["mean", "rate", "ratio", "lift"])
def test_intervals_cover_the_truth(metric):
    rng = np.random.default_rng({"mean": 1, "rate": 2, "ratio": 3, "lift": 4}[metric])
    runs, units = 2500, 400
    covered = 0
    for _ in range(runs):
        if metric == "rate":
            result = comparisons.z_test(
                *(moments.of_proportion(int(rng.binomial(units, rate)), units) for rate in (0.1, 0.13))
            )
            covered += result.low <= 0.03 <= result.high
        elif metric == "ratio":
            views = rng.integers(1, 12, (2, units))
            clicks = rng.binomial(views, rng.beta(2, 8, (2, units)) * np.array([[1.0], [1.1]]))
            result = comparisons.welch_test(*(moments.of_ratio(clicks[arm], views[arm]) for arm in (0, 1)))
            covered += result.low <= 0.02 <= result.high
        else:
            arms = [moments.of_values(rng.normal(mean, 4, units)) for mean in (10, 10.5)]
            if metric == "mean":
                result = comparisons.welch_test(*arms)
                covered += result.low <= 0.5 <= result.high
            else:
                change = comparisons.lift(*arms)
                covered += change.low <= 0.05 <= change.high

    assert 0.94 <= covered / runs <= 0.96


def test_cuped_cuts_variance_by_a_third_at_r_of_sixty_per_cent_and_stays_unbiased():
    rng = np.random.default_rng(11)
    runs, units, plain, adjusted = 1500, 300, [], []
    for _ in range(runs):
        before = rng.standard_normal((2, units))
        after = 0.6 * before + 0.8 * rng.standard_normal((2, units))
        after[1] += 0.2
        pair = variance.cuped(after[0], after[1], control_before=before[0], treatment_before=before[1])
        plain.append(after[1].mean() - after[0].mean())
        adjusted.append(pair.treatment.mean - pair.control.mean)

    assert np.var(adjusted) / np.var(plain) <= 0.66
    assert np.mean(adjusted) == pytest.approx(0.2, abs=4 * np.std(adjusted) / math.sqrt(runs))


def test_two_per_cent_exposure_loss_is_caught_and_a_clean_split_is_not():
    rng = np.random.default_rng(40)
    control = rng.binomial(400_000, 0.5, 3000)
    treatment = 400_000 - control
    seen = rng.binomial(treatment, 0.98)

    caught = [srm.check_ratio((int(c), int(t)), (1, 1)).mismatch for c, t in zip(control, seen, strict=True)]
    false_alarms = [srm.check_ratio((int(c), int(t)), (1, 1)).mismatch for c, t in zip(control, treatment, strict=True)]

    assert np.mean(caught) >= 0.99
    assert np.mean(false_alarms) <= 0.001 + 3 * math.sqrt(0.001 / 3000)


def test_sequential_ratio_check_read_daily_raises_no_more_alarms_than_promised():
    rng = np.random.default_rng(9)
    daily = rng.binomial(1000, 0.5, (1000, 30)).cumsum(axis=1)
    smallest = [
        min(
            srm.check_ratio_sequentially((int(c), 1000 * (day + 1) - int(c)), (1, 1)).p_value
            for day, c in enumerate(run)
        )
        for run in daily
    ]

    assert np.mean(np.array(smallest) < 0.05) <= 0.05


def test_the_segment_that_loses_exposures_is_named():
    rng = np.random.default_rng(12)
    shares = {("browser", "Chrome"): 0.55, ("browser", "Safari"): 0.25, ("browser", "Firefox"): 0.2}
    named, runs = 0, 300
    for _ in range(runs):
        counts = {key: rng.binomial(200_000, share, 2) for key, share in shares.items()}
        counts[("browser", "Safari")][1] = rng.binomial(counts[("browser", "Safari")][1], 1 - 0.02 / 0.25)
        counts[("device", "phone")] = rng.binomial(counts[("browser", "Safari")], 0.5) + rng.binomial(100_000, 0.3, 2)
        found = srm.mismatched_segments({key: tuple(int(n) for n in pair) for key, pair in counts.items()}, (1, 1))
        named += bool(found) and (found[0].dimension, found[0].value) == ("browser", "Safari")

    assert named / runs >= 0.9


def test_few_units_never_raise_a_ratio_alarm():
    assert not srm.check_ratio((0, 14), (1, 1)).mismatch
    assert srm.check_ratio((0, 40), (1, 1)).mismatch


def test_winsorising_uses_the_registered_cap():
    cap = variance.planned_cap([0, 0, *range(1, 101)], quantile=0.9)

    assert cap == pytest.approx(90.1)
    assert variance.winsorise([5, 1000], cap).tolist() == [5, pytest.approx(90.1)]
    assert variance.planned_cap([0, 0]) == 0.0


def test_constant_arms_show_nothing_and_break_nothing():
    same = moments.of_values([1, 1, 1])

    assert comparisons.welch_test(same, same).p_value == 1.0
    assert variance.cuped([1, 2], [1, 3], control_before=[4, 4], treatment_before=[4, 4]).theta == 0.0
    assert moments.of_sums(3, 3.0, 3.0) == same
