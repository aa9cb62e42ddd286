"""The shop's commands: `flask --app shop_app.wsgi …`."""

import click
from flask import Flask
from flask_migrate import upgrade

from shop_app.config import example_env


def register(app: Flask) -> None:
    """Hang every command on `app`."""
    for command in (env_example, prepare):
        app.cli.add_command(command)


@click.command("env-example")
def env_example() -> None:
    """Print .env.example: every setting with its meaning, type, unit and default."""
    click.echo(example_env(), nl=False)


@click.command("prepare")
@click.option("--data", default="", help="A folder with a real shop's data to import instead of the demo.")
def prepare(data: str) -> None:
    """Bring the tables up to date, and fill an empty shop."""
    upgrade()
    if data:
        click.echo(f"Importing {data} …")
