"""`python -m recsys_engine.evaluation`: evaluate a recorded log, store the result, compare with an earlier one."""

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.operations import EvaluationRecord
from recsys_engine.evaluation.records import drops, evaluate_and_store, evaluation, evaluations
from recsys_engine.service import Database, Engine

LAST = "last"
"""In place of an id: the newest evaluation stored before this one."""


def main(arguments: list[str] | None = None) -> int:
    """0 = done, 1 = a task fell by more than --max-drop against --baseline, 2 = too little to evaluate, or no such
    baseline.
    """
    asked = _parser().parse_args(arguments)
    database = Database(asked.database)
    database.create_tables()
    engine = Engine(database, asked.org, asked.namespace, lambda: datetime.now(UTC))
    try:
        before = _baseline(engine, asked.baseline) if asked.baseline else None
        made = evaluate_and_store(engine, progress=_told)
    except ContractError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    finally:
        engine.close()
    sys.stdout.write(as_table(made.report))
    sys.stdout.write(f"stored as {made.evaluation_id}, configuration {made.config_digest}\n")
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(made.report, indent=1))
    return _gate(made, before, asked.max_drop) if before is not None else 0


def _gate(made: EvaluationRecord, before: EvaluationRecord, most: float) -> int:
    fallen = drops(made, before, most)
    for drop in fallen:
        sys.stderr.write(f"{drop.task}: NDCG@10 {drop.before:.4f} → {drop.now:.4f}, a drop of more than {most}\n")
    return 1 if fallen else 0


def _baseline(engine: Engine, named: str) -> EvaluationRecord:
    """A stored evaluation by id, the last one, or a file written with --out."""
    if named == LAST:
        stored = evaluations(engine, 1)
        if not stored:
            raise ContractError("evaluation_not_found", "no evaluation is stored yet", {})
        return stored[0]
    if not Path(named).is_file():
        return evaluation(engine, named)
    report: dict[str, Any] = json.loads(Path(named).read_text())
    cut = datetime.fromtimestamp(report["cut"], UTC)
    return EvaluationRecord(named, cut, cut, 0.0, "", report)


def _told(done: int, total: int, what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{100 * done // total:>3} %  {what:<20}" + ("\n" if done == total else ""))


def as_table(report: Mapping[str, Any]) -> str:
    """A stored report as aligned text, one row per engine and task."""
    cut = datetime.fromtimestamp(report["cut"], UTC)
    lines = [f"{report['shoppers']} shoppers, {report['items']} items, cut {cut:%Y-%m-%d}"]
    lines.append(
        f"{'engine':<20}{'task':<13}{'cases':>6}{'NDCG':>8}{'95 %':>16}{'recall':>8}{'hit':>7}{'MRR':>7}{'cover':>7}"
    )
    for name, tasks in report["engines"].items():
        for task, s in tasks.items():
            interval = f"{s['low']:.4f}–{s['high']:.4f}"
            lines.append(
                f"{name:<20}{task:<13}{s['cases']:>6}{s['ndcg']:>8.4f}{interval:>16}{s['recall']:>8.4f}{s['hit']:>7.3f}"
                f"{s['mrr']:>7.3f}{s['coverage']:>7.3f}"
            )
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recsys_engine.evaluation", description=__doc__)
    parser.add_argument("--database", required=True, help="URL of the engine's database")
    parser.add_argument("--org", required=True)
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--out", type=Path, help="also write the result here as JSON")
    parser.add_argument("--baseline", help="what to compare with: a stored id, 'last', or a file written with --out")
    parser.add_argument("--max-drop", type=float, default=0.01, help="largest fall of NDCG@10 that passes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
