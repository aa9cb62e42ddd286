"""Evaluations are stored with what they were made with, and compared by a gate."""

import json

import pytest

from recsys_engine.evaluation.__main__ import main
from shop_app.recsys.gateway import RecsysRejected
from shop_app.recsys.operations import EvaluationCancelledError
from tests.factories.engine import ORG, fill, open_gateway


@pytest.fixture
def gateway(tmp_path):
    made = open_gateway(tmp_path, "shop")
    fill(made, orders=6)
    yield made
    made.close()


def _quiet(done, total, what):
    assert 0 <= done <= total, what


@pytest.mark.ticket("RS-049")
def test_an_evaluation_is_kept_and_falls_behind_a_better_one_by_name(gateway, tmp_path, capsys):
    first = gateway.operations.evaluate(_quiet, lambda: False)
    second = gateway.operations.evaluate(_quiet, lambda: False)

    assert {kept.evaluation_id for kept in gateway.operations.evaluations()} == {
        made.evaluation_id for made in (first, second)
    }
    assert gateway.operations.evaluation(first.evaluation_id) == first
    assert first.report == second.report
    assert first.config_digest == second.config_digest
    assert gateway.operations.evaluation_drops(second.evaluation_id, first.evaluation_id) == []

    better = json.loads(json.dumps(first.report))
    better["engines"]["ranking"]["next_basket"]["ndcg"] += 0.05
    (tmp_path / "better.json").write_text(json.dumps(better))
    command = ["--database", f"sqlite:///{tmp_path}/engine.sqlite3", "--org", ORG, "--namespace", "shop"]
    assert main([*command, "--baseline", "last"]) == 0
    assert main([*command, "--baseline", str(tmp_path / "better.json")]) == 1
    assert "next_basket: NDCG@10" in capsys.readouterr().err
    assert len(gateway.operations.evaluations()) == 4


def test_changed_settings_change_the_digest(gateway):
    before = gateway.operations.evaluate(_quiet, lambda: False)
    gateway.control.put_config({"brand_cap": 2})

    assert gateway.operations.evaluate(_quiet, lambda: False).config_digest != before.config_digest


def test_a_cancelled_evaluation_leaves_nothing(gateway):
    with pytest.raises(EvaluationCancelledError):
        gateway.operations.evaluate(_quiet, lambda: True)

    assert gateway.operations.evaluations() == []


def test_a_shop_without_a_purchase_cannot_be_evaluated(tmp_path):
    gateway = open_gateway(tmp_path, "empty")

    with pytest.raises(RecsysRejected) as refused:
        gateway.operations.evaluate(_quiet, lambda: False)

    assert refused.value.code == "too_little_history"
    gateway.close()
