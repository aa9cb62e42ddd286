"""The project's statistics against values computed independently of it (see docs/statistics.md)."""

import math

import numpy as np
import pytest

from shop_app.experiments.statistics import (
    comparisons,
    group_sequential,
    moments,
    multiplicity,
    power,
    sequences,
    srm,
    variance,
)
from shop_app.experiments.statistics.group_sequential import Spending
from shop_app.experiments.statistics.moments import Moments
from shop_app.experiments.statistics.power import ProportionMethod


def near(value: float, digits_given: float = 1e-6):
    return pytest.approx(value, rel=digits_given, abs=digits_given)


@pytest.mark.parametrize(
    ("counts", "chi_squared", "p_value"),
    [
        ((821_588, 815_482), 22.774, 1.8218e-6),
        ((1000, 1200), None, 2.00787e-5),
        ((5000, 5150), None, 0.136520),
        ((50_000, 50_800), None, 0.0117434),
    ],
)
def test_srm_chi_squared(counts, chi_squared, p_value):
    result = srm.check_ratio(counts, (1, 1))

    if chi_squared is not None:
        assert result.chi_squared == pytest.approx(chi_squared, abs=5e-4)
    assert result.p_value == pytest.approx(p_value, rel=1e-5)
    assert result.mismatch is (p_value < 0.001)


def test_sequential_srm_bayes_factor():
    first = srm.check_ratio_sequentially((560, 440), (1, 1))

    assert first.bayes_factor == near(213.42146)
    assert first.p_value == near(0.00468556)
    assert srm.check_ratio_sequentially((5150, 4850), (1, 1)).p_value == near(0.116892)
    assert srm.check_ratio_sequentially((5300, 4700), (1, 1)).p_value == pytest.approx(1.81137e-7, rel=1e-5)


@pytest.mark.parametrize(
    ("base", "target", "method", "n"),
    [
        (0.10, 0.12, ProportionMethod.UNPOOLED, 3838.10),
        (0.10, 0.12, ProportionMethod.POOLED, 3840.85),
        (0.10, 0.12, ProportionMethod.ARCSINE, 3834.60),
        (0.05, 0.055, ProportionMethod.POOLED, 31_233.44),
        (0.02, 0.022, ProportionMethod.POOLED, 80_681.38),
    ],
)
def test_sample_size_of_two_proportions(base, target, method, n):
    assert power.proportion_sample_size(base, target, method=method) == pytest.approx(n, abs=0.006)


def test_sample_size_of_a_mean():
    assert power.mean_sample_size(0.5) == pytest.approx(63.7656, abs=5e-5)


def test_two_proportion_z_test():
    result = comparisons.z_test(moments.of_proportion(200, 4000), moments.of_proportion(250, 4000))

    assert result.statistic == near(2.426248)
    assert result.p_value == near(0.0152558)


def test_welch_test():
    result = comparisons.welch_test(Moments(900, 10.5, 4.5**2), Moments(1000, 10, 4**2))

    assert result.statistic == near(-2.548236)
    assert result.p_value == near(0.0109090)


def test_delta_method_ratio():
    ratio = moments.of_ratio([1, 0, 2, 1, 0, 3], [4, 2, 5, 3, 1, 9])

    assert ratio.mean == near(0.2916667)
    assert ratio.standard_error == near(0.0433680)


def test_cuped_keeps_one_minus_r_squared_of_the_variance():
    rng = np.random.default_rng(5)
    before = rng.standard_normal(400)
    noise = rng.standard_normal(400)
    noise -= noise.mean() + before * (noise - noise.mean()).dot(before - before.mean()) / (before - before.mean()).dot(
        before - before.mean()
    )
    noise -= noise.mean()
    scaled = (before - before.mean()) / before.std()
    after = 0.6 * scaled + 0.8 * noise / noise.std() - 0.6 * ((noise / noise.std()).dot(scaled) / 400)
    pair = variance.cuped(after, after, control_before=scaled, treatment_before=scaled)
    r = np.corrcoef(after, scaled)[0, 1]

    assert r == pytest.approx(0.6, abs=1e-3)
    assert pair.variance_kept == pytest.approx(1 - r**2, rel=1e-9)
    assert pair.control.variance / moments.of_values(after).variance == pytest.approx(0.64, abs=2e-3)


@pytest.mark.parametrize(
    ("n", "width", "times_fixed"),
    [(1000, 0.106375, 1.72), (5000, 0.042924, 1.55), (20_000, 0.022112, 1.60), (100_000, 0.010552, 1.70)],
)
def test_confidence_sequence_width(n, width, times_fixed):
    scale = sequences.mixture_scale(5000)

    half = sequences.half_width(1.0, n, scale=scale)

    assert scale == near(0.0398401)
    assert half == near(width)
    assert half / (1.959964 / math.sqrt(n)) == pytest.approx(times_fixed, abs=0.006)


def test_normal_mixture_boundary():
    assert sequences.normal_mixture_bound(100, 12.60056) == near(30.35209)


def test_mixture_sprt():
    assert sequences.mixture_sprt(0.1, 2, 1000, mixing_variance=0.01) == near(3.278722)
    assert sequences.mixture_sprt(0.05, 1, 5000, mixing_variance=0.0016) == near(86.22354)


@pytest.mark.parametrize(
    ("spending", "expected"),
    [
        (Spending.OBRIEN_FLEMING, [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        (Spending.POCOCK, [2.4380, 2.4268, 2.4102, 2.3966, 2.3860]),
        (Spending.SQUARE, [3.0902, 2.7141, 2.4728, 2.2799, 2.1140]),
        (Spending.CUBE, [3.5401, 2.9743, 2.6045, 2.3064, 2.0455]),
    ],
)
def test_group_sequential_bounds(spending, expected):
    assert group_sequential.bounds([0.2, 0.4, 0.6, 0.8, 1.0], spending=spending) == pytest.approx(expected, abs=1e-3)


def test_holm_and_benjamini_hochberg():
    p_values = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]

    assert sum(p <= 0.05 for p in multiplicity.holm(p_values)) == 1
    assert multiplicity.benjamini_hochberg(p_values)[:3] == pytest.approx([0.01, 0.04, 0.084])
    assert sum(p <= 0.05 for p in multiplicity.benjamini_hochberg(p_values)) == 2


def test_sign_test():
    assert comparisons.sign_test(60, 40) == near(0.0568879)
    assert comparisons.sign_test(550, 450) == near(0.00173054)
    assert comparisons.sign_test(0, 0) == 1.0


def test_values_printed_by_spotify_confidence():
    shares = comparisons.z_test(moments.of_proportion(200, 4000), moments.of_proportion(250, 4000))
    means = comparisons.welch_test(Moments(1000, 10, 4**2), Moments(900, 10.5, 4.5**2))

    assert (shares.p_value, shares.low, shares.high) == pytest.approx((0.015256, 0.002406, 0.022594), abs=5e-7)
    assert (means.p_value, means.low, means.high) == pytest.approx((0.010909, 0.11517, 0.88483), abs=5e-6)
