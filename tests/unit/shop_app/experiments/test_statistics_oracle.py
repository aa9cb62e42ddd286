"""The same data through tea-tasting, an independent implementation."""

import numpy as np
import pytest
import tea_tasting as tt

from shop_app.experiments.statistics import comparisons, moments, power, srm, variance


@pytest.fixture(scope="module")
def users():
    return tt.make_users_data(rng=42, covariates=True)


def arms(users, column: str) -> tuple[np.ndarray, np.ndarray]:
    variant, values = users["variant"].to_numpy(), users[column].to_numpy().astype(float)
    return values[variant == 0], values[variant == 1]


def test_means_agree(users):
    oracle = tt.Experiment(orders=tt.Mean("orders"), revenue=tt.Mean("revenue", use_t=True)).analyze(users)

    for metric in ("orders", "revenue"):
        ours = comparisons.welch_test(*(moments.of_values(arm) for arm in arms(users, metric)))
        assert ours.p_value == pytest.approx(oracle[metric].pvalue, rel=1e-6)
        assert (ours.low, ours.high) == pytest.approx(
            (oracle[metric].effect_size_ci_lower, oracle[metric].effect_size_ci_upper), rel=1e-6
        )
    assert comparisons.welch_test(*(moments.of_values(arm) for arm in arms(users, "orders"))).p_value == pytest.approx(
        0.1177318, abs=1e-6
    )


def test_cuped_agrees(users):
    oracle = tt.Experiment(orders=tt.Mean("orders", "orders_covariate")).analyze(users)["orders"]
    before = arms(users, "orders_covariate")

    pair = variance.cuped(*arms(users, "orders"), control_before=before[0], treatment_before=before[1])
    ours = comparisons.welch_test(pair.control, pair.treatment)

    assert ours.p_value == pytest.approx(oracle.pvalue, rel=1e-6)
    assert ours.p_value == pytest.approx(0.0073304, abs=1e-6)
    assert (pair.control.mean, pair.treatment.mean) == pytest.approx((oracle.control, oracle.treatment))


def test_ratios_agree(users):
    oracle = tt.Experiment(ratio=tt.RatioOfMeans("orders", "sessions")).analyze(users)["ratio"]

    ours = comparisons.welch_test(
        *(moments.of_ratio(*pair) for pair in zip(arms(users, "orders"), arms(users, "sessions"), strict=True))
    )

    assert ours.difference == pytest.approx(oracle.effect_size)
    assert ours.p_value == pytest.approx(oracle.pvalue, rel=1e-6)


def test_sample_ratio_agrees(users):
    oracle = tt.Experiment(ratio=tt.SampleRatio()).analyze(users)["ratio"]

    ours = srm.check_ratio((oracle.control, oracle.treatment), (1, 1), corrected=True)

    assert ours.p_value == pytest.approx(oracle.pvalue, rel=1e-6)
    assert ours.p_value == pytest.approx(0.477, abs=5e-4)


def test_power_agrees(users):
    oracle = tt.Experiment(orders=tt.Mean("orders", rel_effect_size=0.1, n_obs=20_000, equal_var=True)).solve_power(
        users, "power"
    )["orders"][0]
    values = users["orders"].to_numpy().astype(float)

    effect = 0.1 * values.mean() / values.std(ddof=1)

    assert power.mean_power(effect, 10_000) == pytest.approx(oracle.power, abs=1e-3)
