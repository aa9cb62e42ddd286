"""The shape of the project: what may not creep in."""

import re
import subprocess
from pathlib import Path

import pytest

from shop_app.core.events import EventKind
from shop_app.jobs.schedule import TASKS

ROOT = Path(__file__).parents[2]
SOURCES = [p for top in ("shop_app", "recsys_engine") for p in (ROOT / top).rglob("*.py") if "versions" not in p.parts]
LONGEST_MODULE = 400


def test_every_job_path_can_be_imported() -> None:
    for task in TASKS:
        module, _, name = task.path.rpartition(".")
        assert callable(getattr(__import__(module, fromlist=[name]), name)), task.path


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_stays_readable_and_leaves_nothing_for_later(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.count("\n") <= LONGEST_MODULE
    assert not re.search(r"\b(TODO|FIXME|NotImplementedError)\b", text)
    assert path.name not in {"utils.py", "helpers.py", "manager.py"}


def test_the_worker_stays_small() -> None:
    assert (ROOT / "worker.py").read_text(encoding="utf-8").count("\n") <= 60


@pytest.mark.ticket("RS-003")
def test_the_event_dictionary_is_the_wire_s() -> None:
    assert {kind.name.lower(): int(kind) for kind in EventKind} == {
        "view": 0,
        "click": 1,
        "add": 2,
        "purchase": 3,
        "custom": 4,
    }


def test_no_template_marks_text_as_safe_outside_components() -> None:
    templates = (ROOT / "shop_app/templates").rglob("*.html")
    offenders = [t for t in templates if "|safe" in t.read_text(encoding="utf-8").replace(" ", "")]

    assert [t for t in offenders if "components" not in t.parts] == []


def test_every_form_has_an_action() -> None:
    templates = {t: t.read_text(encoding="utf-8") for t in (ROOT / "shop_app/templates").rglob("*.html")}
    forms = [(t.name, form) for t, text in templates.items() for form in re.findall(r"<form\b[^>]*>", text)]

    assert forms
    assert [name for name, form in forms if "action=" not in form] == []


def test_nothing_in_the_tree_names_this_workplace() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    words = ("/" + "work/", "/root/" + ".pyenv", "pypi." + "org/simple", "registry." + "npmjs")
    texts = [(f, (ROOT / f).read_bytes()) for f in files if (ROOT / f).is_file()]

    assert [(f, w) for f, text in texts for w in words if w.encode() in text] == []


def test_migrations_stand_in_one_line() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "shop_app/migrations/versions").glob("*.py")]
    revisions = [re.search(r"^revision = ['\"](.+)['\"]", text, re.MULTILINE) for text in texts]
    followed = re.findall(r"^down_revision = ['\"](.+)['\"]", "\n".join(texts), re.MULTILINE)

    assert len({found[1] for found in revisions if found}) == len(texts)
    assert len(set(followed)) == len(followed) == len(texts) - 1
