"""What the pages for people promise exists: commands, make targets, routes, files."""

import re
from pathlib import Path

import pytest
from click import Context
from flask import Flask

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "contracts").glob("*.md"))]
VALUE = r"<[\w:]+>"


def _text(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))

    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
def test_every_command_of_ours_exists(document: Path, app: Flask) -> None:
    text = document.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    flask = set(re.findall(r"`?flask --app shop_app\.wsgi ([a-z-]+)", text))

    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE)) <= targets
    assert flask <= set(app.cli.list_commands(Context(app.cli)))


@pytest.mark.ticket("RS-069")
def test_the_runbook_names_only_pages_that_exist_and_covers_the_failures(app: Flask) -> None:
    text = _text("runbook.md")
    named = set(re.findall(r"`(?:GET )?(/(?:admin|healthz|readyz)[^`]*)`", text))
    rules = {re.sub(VALUE, "<>", rule.rule) for rule in app.url_map.iter_rules()}

    assert {re.sub(r"<\w+>", "<>", path).rstrip("/") for path in named} <= {rule.rstrip("/") for rule in rules}
    for failure in ("recommender", "Redis", "backlog", "Dead letters", "release", "setting", "Telling people"):
        assert re.search(rf"^## .*{failure}", text, flags=re.MULTILINE), failure


@pytest.mark.ticket("RS-083")
def test_the_onboarding_page_walks_through_files_that_exist() -> None:
    text = _text("onboarding.md")
    files = re.findall(
        r"`((?:templates|static|tracking|sync|jobs|widgets|recsys|recsys_engine)/[\w/.]*|worker\.py)`", text
    )

    assert len(files) >= 12
    assert [f for f in files if not any((base / f).exists() for base in (ROOT, ROOT / "shop_app"))] == []


@pytest.mark.ticket("RS-087")
def test_the_release_checklist_has_gates_with_owners_and_names_real_settings() -> None:
    text = _text("release-checklist.md")
    settings = set(re.findall(r"`([A-Z_]{6,})(?:=\w+)?`", text))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")

    assert len(re.findall(r"^- \[ \] ", text, flags=re.MULTILINE)) >= 15
    assert "| gate | owner | date |" in text
    assert [name for name in settings if f"\n{name}=" not in example] == []
