"""Commands that look after the embedded recommender."""

import click
from flask import current_app
from flask.cli import with_appcontext
from tqdm import tqdm

from shop_app.recsys.operations import EmbeddedOperations

NAMED = 20
"""Products named in one line."""


@click.command("refit")
@click.option("--status", "asks", is_flag=True, help="Only say how the ranking stands.")
def refit(*, asks: bool) -> None:
    """Learn the ranking anew from all recorded events. Serving goes on; every process picks the result up.

    A job does so by itself when enough was bought since, or somebody was erased.
    """
    here = operations()
    if asks:
        found = here.refit_status()
        step = f" ({found.done} of {found.total} steps: {found.what})" if found.state == "running" else ""
        click.echo(f"  {found.state}{step}, last finished {found.finished_at or 'never'}, is due: {found.is_due}")
        click.echo(
            f"  {found.purchases} purchases learned from, {found.new_purchases} since, {found.erasures} erasures since"
        )
        return
    with tqdm(desc="Learning", unit=" steps") as bar:

        def told(done: int, total: int, _: str) -> None:
            bar.total = total
            bar.update(done - bar.n)

        is_done = here.refit(told)
    click.echo("The ranking was learned anew." if is_done else "Nothing to learn from yet, or a refit is under way.")


@click.command("feature-audit")
@with_appcontext
def feature_audit() -> None:
    """Which inputs reach the ranking and how much they cover, on lists made for the latest shoppers and guests."""
    found = operations().feature_audit()
    click.echo(f"{found.lists} lists over {found.items} products")
    for one in found.inputs:
        click.echo(f"  {one.name:<14}{one.share:>7.1%} of products   {one.used_by}")
    click.echo(f"  {'surface':<13}{'signal':<20}{'weight':>9}{'answers':>9}{'found':>8}{'of score':>10}")
    for line in found.signals:
        shares = f"{line.answers:>9.0%}{line.candidates:>8.1f}{line.score_share:>10.1%}"
        click.echo(f"  {line.surface:<13}{line.name:<20}{line.weight:>9.4f}{shares}")
    for column in found.columns:
        click.echo(f"  {column.recipe:<13}{column.name:<33}{column.gain_share:>7.1%} of the ranker's gain")


@click.group("embeddings")
def embeddings() -> None:
    """The sentence vectors of products; a job keeps them up to date by itself."""


@embeddings.command("backfill")
@with_appcontext
def backfill_embeddings() -> None:
    """Make every vector that is missing or stale now. Killed, it goes on where it was."""
    with tqdm(desc="Vectors", unit=" products", mininterval=0.5) as bar:

        def told(done: int, total: int, _: str) -> None:
            bar.total = total
            bar.update(done - bar.n)

        settled = operations().backfill_vectors(told)
    click.echo(f"  {settled} products settled")


@embeddings.command("health")
@with_appcontext
def embedding_health() -> None:
    """Say which vectors are missing, zero or stale; exit code 1 when a rebuild is due."""
    found = operations().vector_health()
    click.echo(f"  {found.total} products, {found.own} with a vector of their own, {found.wrong} wrong ({found.model})")
    for name, items in (("missing", found.missing), ("zero", found.zero), ("stale", found.stale)):
        if items:
            click.echo(f"  {name}: {', '.join(items[:NAMED])}")
    if found.needs_rebuild:
        raise click.ClickException("a rebuild is due: flask embeddings backfill")


def operations() -> EmbeddedOperations:
    """The verbs that look after an embedded recommender."""
    found: EmbeddedOperations | None = getattr(current_app.extensions["recsys"], "operations", None)
    if found is None:
        raise click.ClickException("This shop's recommender is looked after where it runs.")
    return found
