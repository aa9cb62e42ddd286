"""The page of API examples runs from top to bottom against a started server, and leaves no verb out."""

import re
from pathlib import Path

import pytest
import requests

from tests.contract.documented import Witness, operations

PAGE = (Path(__file__).parents[2] / "docs" / "api-examples.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.ticket("RS-082")
def test_every_example_works_as_written_and_every_success_is_documented(server: str, witness: Witness) -> None:
    names = {"BASE": server}
    done = 0
    for block in BLOCKS:
        exec(compile(block, "api-examples.md", "exec"), names)
        done += 1

    assert done == len(BLOCKS) >= 10
    names["session"].close()
    requests.get(f"{server}/metrics", timeout=10)  # the page reads JSON alone
    answered = {operation for operation, status, _ in witness.seen if status < 300}
    assert [one for one in operations(witness.document) if one not in answered] == []


@pytest.mark.ticket("RS-082")
def test_every_verb_of_the_server_has_an_example(server: str) -> None:
    org = {"X-Org-ID": "6f1c2a52-5a0e-4a43-9d0b-1f6d3d1f3c11"}
    paths = requests.get(f"{server}/openapi.json", headers=org, timeout=10).json()["paths"]
    shown = re.sub(r"\{(?:rule|override|decision)\['\w+'\]\}", "{id}", PAGE).replace("MUG-1/similar", "{id}/similar")
    verbs = [re.sub(r"\{[^}]+\}", "{id}", path) for path in paths if path.startswith("/v1/")]

    assert len(verbs) >= 30
    assert [path for path in verbs if path not in shown] == []
