"""How a shop starts: nothing heavy in a web process, and no preparing when there is nothing to prepare."""

import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
from flask_migrate import upgrade

import run
from shop_app.app import create_app
from shop_app.config import Settings, _parse_bool
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.sync.filling import end_filling, start_filling
from tests.conftest import NOW

HEAVY = ("scipy.stats", "pyarrow", "alembic", "requests", "pandas", "lightgbm", "onnxruntime", "valkey", "pytest")


def test_importing_the_web_app_leaves_heavy_libraries_alone(tmp_path: Path) -> None:
    code = f"import sys, shop_app.wsgi; print([name for name in {HEAVY!r} if name in sys.modules])"
    env = {"SECRET_KEY": "x" * 40, "DATABASE_URL": f"sqlite:///{tmp_path}/shop.sqlite3", "VAR_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=run.ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_a_filled_shop_with_today_s_tables_is_not_prepared_again(settings: Settings, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/first.sqlite3"
    env = {"DATABASE_URL": url}
    settings = Settings(secret_key=settings.secret_key, database_url=url, redis_url=settings.redis_url)
    looks = [run._is_prepared(env)]
    app = create_app(settings, gateway=object())
    with app.app_context():
        upgrade()
        looks.append(run._is_prepared(env))
        assert start_filling("", "demo", NOW)
        looks.append(run._is_prepared(env))
        end_filling(NOW)
        looks.append(run._is_prepared(env))
        with unit_of_work(db.session):
            db.session.execute(db.text("UPDATE alembic_version SET version_num = '0001'"))
        looks.append(run._is_prepared(env))
        db.session.remove()
        db.engine.dispose()

    assert looks == [False, False, False, True, False]


@pytest.mark.parametrize("url", ["postgresql+psycopg://somebody@127.0.0.1/shop", "sqlite:///nowhere/shop.sqlite3"])
def test_any_doubt_is_left_to_the_command(url: str) -> None:
    assert not run._is_prepared({"DATABASE_URL": url})


def test_a_file_that_is_no_database_is_left_to_the_command(tmp_path: Path) -> None:
    (tmp_path / "shop.sqlite3").write_text("this is not a database, only its name says so " * 40, encoding="utf-8")

    assert not run._is_prepared({"DATABASE_URL": f"sqlite:///{tmp_path}/shop.sqlite3"})


def test_everything_a_shop_keeps_lies_in_its_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "RECSYS_DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRET_KEY_FILE", "VAR_DIR"):
        monkeypatch.delenv(name, raising=False)

    env = run._environment(tmp_path, Namespace(host="127.0.0.1", port=8000))

    kept = ("DATABASE_URL", "RECSYS_DATABASE_URL", "SECRET_KEY_FILE", "REDIS_URL")
    assert all(str(tmp_path) in env[name] for name in kept)


@pytest.mark.parametrize(("qa_mode", "processes"), [("on", "1"), ("1", "1"), ("off", "2"), ("", "2")])
def test_what_qa_switches_holds_for_every_page_since_one_process_answers(
    tmp_path: Path, qa_mode: str, processes: str
) -> None:
    env = {"QA_MODE": qa_mode, "REDIS_URL": "redis://127.0.0.1:1/0"}

    children = run._children(env, tmp_path, Namespace(host="127.0.0.1", port=8000, web_workers=2))

    web = next(child for child in children if child.name == "web").command
    assert web[web.index("--workers") + 1] == processes


def test_the_starter_and_the_shop_agree_on_what_a_yes_is() -> None:
    assert all(_parse_bool(word) for word in run.ON)


def test_a_second_shop_on_the_same_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    first = run._lock(tmp_path)
    with pytest.raises(SystemExit, match="already runs on"):
        run._lock(tmp_path)

    first.close()

    run._lock(tmp_path).close()


def test_a_shop_that_was_filled_leaves_what_recsys_counted_to_the_processes_that_start_next(
    settings: Settings, empty_database_url: str
) -> None:
    app = create_app(replace(settings, database_url=empty_database_url))
    with app.app_context():
        upgrade()
        seeded = app.test_cli_runner().invoke(args=["seed", "small"])
        db.session.remove()
        db.engine.dispose()
    assert seeded.exit_code == 0, seeded.output
    assert len(list(Path(settings.var_dir, "models").glob("state-*.npz"))) == 1
