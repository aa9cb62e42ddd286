"""Which test proves which ticket: prints the table; `--write` keeps it in docs/tickets.md, `--check` fails if stale.

A ticket is proven by tests marked `@pytest.mark.ticket("RS-0xx")`; this reads the marks from the source.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tickets.md"
TITLES = ROOT / "docs" / "ticket-titles.txt"


def main() -> int:
    """Print the table; exit 1 under `--check` when docs/tickets.md says something else."""
    page = _page(_titles(), _proofs())
    print(page)
    if "--check" in sys.argv:
        is_current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page
        if not is_current:
            print("docs/tickets.md is stale: python scripts/ticket_table.py --write", file=sys.stderr)
        return int(not is_current)
    if "--write" in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
    return 0


def _titles() -> dict[str, str]:
    lines = TITLES.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line)


def _proofs() -> dict[str, list[str]]:
    proofs: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for ticket in _tickets_of(node):
                proofs[ticket].append(f"`{path.relative_to(ROOT)}::{getattr(node, 'name', '(module)')}`")
    return proofs


def _tickets_of(node: ast.AST) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        marks: list[ast.expr] = node.decorator_list
    elif isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "pytestmark" for t in node.targets):
        marks = node.value.elts if isinstance(node.value, (ast.List, ast.Tuple)) else [node.value]
    else:
        return []
    calls = [
        m for m in marks if isinstance(m, ast.Call) and isinstance(m.func, ast.Attribute) and m.func.attr == "ticket"
    ]
    return [a.value for call in calls for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]


def _page(titles: dict[str, str], proofs: dict[str, list[str]]) -> str:
    unknown = sorted(set(proofs) - set(titles))
    if unknown:
        raise SystemExit(f"tests name unknown tickets: {', '.join(unknown)}")
    done = sum(1 for ticket in titles if proofs.get(ticket))
    lines = [
        "# Tickets and the tests that prove them",
        "",
        "Made from the test markers by `python scripts/ticket_table.py --write`. No test, not done.",
        "",
        f"{done} of {len(titles)} tickets have a test.",
        "",
        "| ticket | | proven by |",
        "| --- | --- | --- |",
    ]
    for ticket, title in titles.items():
        tests = proofs.get(ticket, [])
        shown = "<br>".join(tests[:4]) + (f"<br>and {len(tests) - 4} more" if len(tests) > 4 else "")
        lines.append(f"| {ticket} | {title} | {shown or '–'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
