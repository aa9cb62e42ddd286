"""The shop's commands: `flask --app shop_app.wsgi …`."""

import click
from flask import Flask

from shop_app.config import example_env


def register(app: Flask) -> None:
    """Hang every command on `app`."""
    app.cli.add_command(env_example)


@click.command("env-example")
def env_example() -> None:
    """Print .env.example: every setting with its meaning, type, unit and default."""
    click.echo(example_env())
