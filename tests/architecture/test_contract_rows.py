"""Every promise of the HTTP contract has a test that keeps it."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "docs" / "contracts" / "http-rows.txt"
SUITE = ROOT / "tests" / "contract" / "conformance"


def promised() -> list[str]:
    lines = ROWS.read_text(encoding="utf-8").splitlines()
    return [line.split(" ", 1)[0] for line in lines if line and not line.startswith("#")]


def held() -> set[str]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SUITE.glob("test_*.py")]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    marks = [mark for function in functions for mark in function.decorator_list if isinstance(mark, ast.Call)]
    rows = [mark for mark in marks if isinstance(mark.func, ast.Attribute) and mark.func.attr == "contract"]
    return {argument.value for mark in rows for argument in mark.args if isinstance(argument, ast.Constant)}


def test_every_row_is_named_once_and_has_a_test() -> None:
    assert len(promised()) == len(set(promised()))
    assert set(promised()) - held() == set()


def test_no_test_claims_a_row_that_is_not_written_down() -> None:
    assert held() - set(promised()) == set()
