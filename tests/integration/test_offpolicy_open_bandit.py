"""Off-policy estimates on real logged recommendations: the Open Bandit logs of a random and a Thompson policy."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from recsys_engine.evaluation.offpolicy import PolicyLog, ThinOverlapError, diagnose, evaluate_policy, point_estimates
from recsys_engine.evaluation.offpolicy import intervals as intervals_of

WHEEL = Path(__file__).parents[2] / ".venv" / "open_bandit" / "obp-0.4.1-py3-none-any.whl"
"""The logs travel in this wheel (Apache-2.0, data CC BY 4.0); `make test` fetches it and nothing is installed from it."""
SHRINKAGE = 500.0  # impressions the mean click rate counts for in the reward model


class Log:
    """Columns of one log: item, position (1–3), click, propensity of the shown item."""

    def __init__(self, policy: str, campaign: str) -> None:
        with zipfile.ZipFile(WHEEL) as wheel, wheel.open(f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv") as file:
            table_rows = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
            rows = [(row["item_id"], row["position"], row["click"], row["propensity_score"]) for row in table_rows]
        table = np.array(rows, dtype=float)
        self.item, self.position = table[:, 0].astype(int), table[:, 1].astype(int)
        self.click, self.propensity = table[:, 2], table[:, 3]

    def shown_shares(self, items: int) -> np.ndarray:
        """The policy's own average distribution over items at each position."""
        counts = np.zeros((4, items))
        np.add.at(counts, (self.position, self.item), 1)
        return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def cross_fitted_rates(self, items: int) -> tuple[np.ndarray, np.ndarray]:
        """Fold of each row and, per fold, item click rates learned on the other fold."""
        fold = np.arange(self.item.size) % 2
        rates = np.empty((2, items))
        for own in (0, 1):
            other = fold != own
            shown = np.bincount(self.item[other], minlength=items)
            clicks = np.bincount(self.item[other], weights=self.click[other], minlength=items)
            rates[own] = (clicks + SHRINKAGE * self.click[other].mean()) / (shown + SHRINKAGE)
        return fold, rates


def policy_log(log: Log, target: np.ndarray) -> PolicyLog:
    fold, rates = log.cross_fitted_rates(target.shape[1])
    return PolicyLog(
        rewards=log.click,
        logging=log.propensity,
        target=target[log.position, log.item],
        predicted_logged=rates[fold, log.item],
        predicted_target=(target[log.position] * rates[fold]).sum(axis=1),
    )


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_the_random_log_estimates_the_thompson_policy(campaign):
    random_log, thompson_log = Log("random", campaign), Log("bts", campaign)
    items = int(max(random_log.item.max(), thompson_log.item.max())) + 1

    report = evaluate_policy(policy_log(random_log, thompson_log.shown_shares(items)), np.random.default_rng(1))

    truth = thompson_log.click.mean()
    assert report.diagnostics.problem is None
    for name in ("snips", "dr"):
        assert report.estimates[name].low <= truth <= report.estimates[name].high


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_the_thompson_log_covers_the_random_policy_but_is_too_thin_to_report(campaign):
    """Its intervals do cover the truth; the console still refuses, for a few rows carry nearly all the weight."""
    random_log, thompson_log = Log("random", campaign), Log("bts", campaign)
    items = int(max(random_log.item.max(), thompson_log.item.max())) + 1
    log = policy_log(thompson_log, np.full((4, items), 1 / np.unique(random_log.item).size))

    spans = intervals_of(log, np.random.default_rng(1))

    truth = random_log.click.mean()
    assert set(point_estimates(log)) == {"ips", "snips", "ips_clipped", "dm", "dr"}
    for name in ("snips", "dr"):
        assert spans[name][0] <= truth <= spans[name][1]
    assert diagnose(log.weights).problem is not None
    with pytest.raises(ThinOverlapError, match="log "):
        evaluate_policy(log, np.random.default_rng(1))
