"""The shop's commands: `flask --app shop_app.wsgi …`."""

import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import Context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask_migrate import upgrade
from flask_migrate.cli import db as migrations
from tqdm import tqdm

from shop_app.analytics.services import credit_order_lines, roll_days
from shop_app.catalog.importing.history import read_history
from shop_app.catalog.importing.products import Defaults
from shop_app.catalog.importing.rows import RowError
from shop_app.catalog.links.checks import note_answer, take_check
from shop_app.catalog.links.fetching import allowed_hosts, look
from shop_app.config import Settings, example_env
from shop_app.core.clock import Clock
from shop_app.core.errors import InvalidInput, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments import studies
from shop_app.experiments.queries import running
from shop_app.experiments.services import collect_exposures, stop_harmful
from shop_app.extensions import db, limiter
from shop_app.privacy.services import erase, person_of_order
from shop_app.recsys.commands import embeddings, feature_audit, refit
from shop_app.recsys.gateway import RecsysError, RecsysRejected
from shop_app.recsys.operations import EvaluationCancelledError
from shop_app.simulator.running import InProcess, OverHttp
from shop_app.simulator.town import Plan, Town
from shop_app.simulator.truth import TruthFile
from shop_app.sync import loading, replay
from shop_app.sync.filling import end_filling, start_filling
from shop_app.sync.services import Carrier, drain

ERRORS_SHOWN = 20
DEMO = "demo"
HAND_OVER_LIMIT = timedelta(minutes=30)
"""Long enough for a hundred thousand products on a slow machine; what is left then is the worker's."""
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def register(group: click.Group) -> None:
    """Hang every command on `group`."""
    for command in (
        env_example,
        prepare,
        import_catalog,
        import_history,
        seed,
        refit,
        evaluate,
        embeddings,
        feature_audit,
        replay_events,
        simulate,
        migrations,
        run_studies,
        check_links,
        forget_order,
    ):
        group.add_command(command)


@click.command("env-example")
def env_example() -> None:
    """Print .env.example: every setting with its meaning, type, unit and default."""
    click.echo(example_env(), nl=False)


@click.command("prepare")
@click.option("--data", default="", help="A folder with a real shop's data to import instead of the demo.")
def prepare(data: str) -> None:
    """Bring the tables up to date, and fill an empty shop; a filling that was interrupted goes on."""
    upgrade()
    with _told_plainly():
        wanted = start_filling(str(Path(data).resolve()) if data else "", DEMO, _now())
    if wanted is None:
        return
    source, started_at = wanted
    if source == DEMO:
        _seed(DEMO, started_at)
    else:
        with _progress(f"Importing {source}") as progress, _told_plainly():
            products, history = loading.load_folder(Path(source), _currency(), _gateway(), started_at, progress)
        _report(products, history)
    end_filling(_now())
    _hand_over()


@click.command("import-catalog")
@click.argument("file", type=FILE)
def import_catalog(file: Path) -> None:
    """Bring in products: CSV, TSV, JSON lines, Parquet, a Shopify export or a Google Merchant feed.

    A bad row is reported and left out. Running it twice changes nothing.
    """
    with _progress("Products") as progress, _told_plainly():
        tally = loading.load_catalogue_file(file, Defaults(_currency(), {}), _now(), progress)
    _report(tally)


@click.command("import-history")
@click.argument("file", type=FILE)
@click.option("--shift-to-now", is_flag=True, help="Move everything by whole weeks, so that the last event is recent.")
def import_history(file: Path, *, shift_to_now: bool) -> None:
    """Bring in past orders and events (CSV, Parquet) with their times, and tell Recsys. Twice changes nothing."""
    with _progress("Events") as progress, _told_plainly():
        history = read_history(file)
        tally = loading.load_history(history, _gateway(), _now(), is_shifted=shift_to_now, progress=progress)
    _report(tally)


@click.command("seed")
@click.argument("scenario", type=click.Choice(loading.SCENARIOS))
def seed(scenario: str) -> None:
    """Fill the shop with a named scenario: small, demo or edge."""
    _seed(scenario)
    _hand_over()


@click.command("evaluate")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the result here as JSON.")
@click.option("--baseline", help="An earlier result (its id, 'last' or a file of --out); falling behind it fails.")
@click.option("--max-drop", default=0.01, show_default=True, help="Largest fall of NDCG@10 that passes.")
def evaluate(out: Path | None, baseline: str | None, max_drop: float) -> None:
    """How good the lists are: the last 28 days held back, our ranking beside three baselines. The result is stored."""
    settings: Settings = current_app.extensions["settings"]
    command = [sys.executable, "-m", "recsys_engine.evaluation", "--max-drop", str(max_drop)]
    command += ["--database", settings.recsys_database_url, "--org", settings.recsys_org_id]
    command += ["--namespace", settings.recsys_namespace]
    command += [part for name, path in (("--out", out), ("--baseline", baseline)) if path for part in (name, str(path))]
    sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own module, arguments not from outside


@click.command("replay-events")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--per-second", default=2000, show_default=True, help="Events a second at most.")
def replay_events(*, dry_run: bool, per_second: int) -> None:
    """Send the whole event log to Recsys again, with its own times and ids. Killed, it goes on where it was."""
    carrier = Carrier(_gateway(), _clock(), random.Random(), "")
    found = replay.plan(carrier)
    click.echo(f"  {found.logged} events here, {found.arrived} at Recsys, {found.missing} missing there")
    if dry_run:
        return
    with _progress("Replaying") as progress:
        done = replay.replay(carrier, per_s=per_second, progress=progress)
    click.echo(f"  {done.sent} sent, {done.refused} refused")


@click.command("simulate")
@click.option("--url", default="", help="A running shop; without it this process is the shop, which is much faster.")
@click.option("--days", default=14.0, show_default=True, help="Simulated days.")
@click.option("--shoppers", default=150, show_default=True, help="People in town.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same people do the same.")
@click.option("--speed", default=0.0, show_default=True, help="Simulated seconds a second; 0 = as fast as it goes.")
@click.option("--start", type=click.DateTime(), help="When it begins (UTC); without it, so that it ends now.")
@click.option("--truth", type=click.Path(path_type=Path), help="Write the ground truth here as JSON lines.")
def simulate(
    *, url: str, days: float, shoppers: int, seed: int, speed: float, start: datetime | None, truth: Path | None
) -> None:
    """Let shoppers with known tastes visit the real pages, in simulated time."""
    began = start.replace(tzinfo=UTC) if start else _now() - timedelta(days=days)
    _name_experiments_begun_after(began)
    run = f"{seed}-{int(began.timestamp())}"
    plan = Plan(seed=seed, shoppers=shoppers, start=began, days=days, speed=speed, run=run)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - outlives this context
    limiter.enabled = bool(url) and limiter.enabled  # the whole town shares this process
    way = OverHttp(url) if url else InProcess(app, app.extensions["clock"], lambda at: _keep_shop(app, at))
    Context().run(_live, way, plan, truth)  # a context of its own: requests must not share this command's


def _name_experiments_begun_after(began: datetime) -> None:
    """An experiment counts nobody from before its start: say so, instead of leaving a report empty."""
    late = [one.key for one in running() if one.started_at and one.started_at > began]
    if late:
        click.echo(
            f"  These days begin before the start of {', '.join(late)}, which counts nobody seen earlier. "
            f"Days that begin now: --start {_now():%Y-%m-%dT%H:%M:%S}"
        )


def _live(way: InProcess | OverHttp, plan: Plan, path: Path | None) -> None:
    if not way.has_clock:
        click.echo("  This shop keeps its own time (QA_MODE is off): everything is dated now.")
    opened = path.open("w", encoding="utf-8") if path else nullcontext(None)
    hours = round(plan.days * 24)
    with opened as file, tqdm(total=hours, unit="h", mininterval=0.5, desc="Simulated") as bar:
        town = Town(plan, way.host, way.door, way.set_clock, TruthFile(file), way.keep_shop)
        for at, tally in town.live():
            bar.update(int((at - plan.start) / timedelta(hours=1)) - bar.n)
            bar.set_postfix(visits=tally.visits, orders=tally.orders)
        bar.update(hours - bar.n)
    way.close()
    click.echo(f"  {town.tally.visits:,} visits, {town.tally.events:,} events seen, {town.tally.orders:,} orders")


def _keep_shop(app: Flask, at: datetime) -> None:
    """What worker and cron would do meanwhile, in simulated time."""
    with app.app_context():
        drain(Carrier(_gateway(), _clock(), random.Random(), app.extensions["settings"].public_url))
        with unit_of_work(db.session):
            collect_exposures(limit=10_000)
        with unit_of_work(db.session):
            stop_harmful(now=at)
        with unit_of_work(db.session):
            credit_order_lines(at)
        if at.hour == 0:
            with unit_of_work(db.session):
                roll_days(at)
        db.session.remove()


@click.command("run-studies")
def run_studies() -> None:
    """Answer what the console asked that takes minutes (evaluations, drafts in the lab), one after the other."""
    while True:
        with unit_of_work(db.session):
            study = studies.take_study(_now())
            study_id = study.id if study else None
        if study_id is None:
            return
        _run_study(study_id)


@click.command("check-links")
def check_links() -> None:
    """Look at the addresses of products that somebody wanted looked at, one after the other, on allowed hosts only."""
    hosts = allowed_hosts(current_app.extensions["settings"].link_check_hosts)
    while True:
        with unit_of_work(db.session):
            wanted = take_check(_now())
        if wanted is None:
            return
        answer = look(wanted.url, hosts=hosts, wants_picture=wanted.is_picture)
        with unit_of_work(db.session):
            note_answer(wanted, answer, _now())


def _run_study(study_id: int) -> None:
    """One study to its end: every progress is its own short transaction, so that the console sees it."""

    def tell(done: int, total: int, step: str) -> None:
        with unit_of_work(db.session):
            studies.tell_progress(study_id, done, total, step, now=_now())

    def is_cancelled() -> bool:
        db.session.rollback()  # a fresh read
        return studies.one_study(study_id).wants_cancel

    status, result, problem = "failed", None, ""
    try:
        operations = getattr(_gateway(), "operations", None)
        if operations is None:
            problem = "The recommender runs elsewhere: ask it there, with python -m recsys_engine.evaluation."
        else:
            result = studies.answer(studies.one_study(study_id), operations, tell, is_cancelled)
            status = "done"
    except EvaluationCancelledError:
        status = "cancelled"
    except RecsysError as error:
        problem = error.message if isinstance(error, RecsysRejected) else str(error)
    except Exception as error:  # noqa: BLE001 - whatever it was, the page must not wait for ever
        problem = f"{type(error).__name__}: {error}"
    db.session.rollback()
    with unit_of_work(db.session):
        studies.end_study(study_id, status, now=_now(), result=result, problem=problem)


def _seed(scenario: str, started_at: datetime | None = None) -> None:
    """Fill with a scenario, as of now or as of when a filling that may have been interrupted began."""
    with _progress("Seeding the demo") as progress:
        now = started_at or _now()
        products, history = loading.seed(scenario, _gateway(), now, progress, is_resumed=started_at is not None)
    _report(products, history)


def _hand_over() -> None:
    """Give Recsys the products and people at once and have it count: then the first page finds its widgets filled."""
    settings: Settings = current_app.extensions["settings"]
    carrier = Carrier(_gateway(), _clock(), random.Random(), settings.public_url)
    with _progress("Telling Recsys"):
        done = drain(carrier, limit=HAND_OVER_LIMIT)
    told = ", ".join(f"{pushed.delivered:,} {name}" for name, pushed in done.items() if pushed.delivered)
    click.echo(f"  Recsys was told of {told or 'nothing new'}; past events went to it with the history")
    for last in ("keep_state", "close"):  # of the embedded engine; a Recsys elsewhere has neither
        getattr(_gateway(), last, lambda: None)()


def _report(*tallies: Any) -> None:
    for tally in tallies:
        click.echo(f"  {tally}")
        _report_errors(tally.errors)


def _report_errors(errors: Sequence[RowError]) -> None:
    for error in errors[:ERRORS_SHOWN]:
        click.echo(f"    {error}", err=True)
    if len(errors) > ERRORS_SHOWN:
        click.echo(f"    … and {len(errors) - ERRORS_SHOWN} more", err=True)


@contextmanager
def _progress(title: str) -> Iterator[loading.Progress]:
    with tqdm(desc=title, unit=" rows", mininterval=0.5) as bar:
        yield bar.update


@contextmanager
def _told_plainly() -> Iterator[None]:
    """A file nobody can read is a message and exit code 1, not a traceback."""
    try:
        yield
    except InvalidInput as error:
        db.session.rollback()
        raise click.ClickException(str(error)) from error


def _gateway() -> Any:
    return current_app.extensions["recsys"]


def _clock() -> Clock:
    clock: Clock = current_app.extensions["clock"]
    return clock


def _now() -> datetime:
    return _clock().now()


def _currency() -> str:
    settings: Settings = current_app.extensions["settings"]
    return settings.currency


@click.command("forget-order")
@click.argument("number")
@with_appcontext
def forget_order(number: str) -> None:
    """Erase the person behind an order, such as a guest, who has no account to do it from; the order stays."""
    with unit_of_work(db.session):
        try:
            counts = erase(person_of_order(number), _clock().now())
        except NotFound as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"Erased: {sum(counts.values())} rows. Recsys follows within minutes.")
