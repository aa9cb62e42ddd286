"""`python -m recsys_engine.evaluation`: evaluate a recorded log, store the result, compare with an earlier one."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from recsys_engine.evaluation.runner import Report, drops, evaluate
from recsys_engine.service import Database, Engine


def main(arguments: list[str] | None = None) -> int:
    """0 = done, 1 = a task fell by more than --max-drop against --baseline, 2 = too little to evaluate."""
    asked = _parser().parse_args(arguments)
    engine = Engine(Database(asked.database), asked.org, asked.namespace, lambda: datetime.now(UTC))
    lessons = engine.lessons()
    engine.close()
    if not len(lessons.orders.item):
        sys.stderr.write("No purchase is recorded yet.\n")
        return 2
    try:
        report = evaluate(lessons.orders, lessons.facts)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(as_table(report))
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(report.as_json(), indent=1))
    fallen = (
        drops(report.engines, json.loads(asked.baseline.read_text())["engines"], asked.max_drop)
        if asked.baseline
        else []
    )
    for line in fallen:
        sys.stderr.write(f"{line}\n")
    return 1 if fallen else 0


def as_table(report: Report) -> str:
    """The report as aligned text, one row per engine and task."""
    lines = [
        f"{report.shoppers} shoppers, {report.items} items, cut {datetime.fromtimestamp(report.cut, UTC):%Y-%m-%d}"
    ]
    lines.append(
        f"{'engine':<20}{'task':<13}{'cases':>6}{'NDCG':>8}{'95 %':>16}{'recall':>8}{'hit':>7}{'MRR':>7}{'cover':>7}"
    )
    for name, tasks in report.engines.items():
        for task, s in tasks.items():
            interval = f"{s.low:.4f}–{s.high:.4f}"
            lines.append(
                f"{name:<20}{task:<13}{s.cases:>6}{s.ndcg:>8.4f}{interval:>16}{s.recall:>8.4f}{s.hit:>7.3f}{s.mrr:>7.3f}"
                f"{s.coverage:>7.3f}"
            )
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recsys_engine.evaluation", description=__doc__)
    parser.add_argument("--database", required=True, help="URL of the engine's database")
    parser.add_argument("--org", required=True)
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--out", type=Path, help="where to store the result as JSON")
    parser.add_argument("--baseline", type=Path, help="an earlier result to compare with")
    parser.add_argument("--max-drop", type=float, default=0.01, help="largest fall of NDCG@10 that passes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
