"""The recommender over HTTP: ``gunicorn 'recsys_engine.http:create_app_from_env()'``."""

import os

from flask import Flask

from recsys_engine.http.app import create_engine_app
from recsys_engine.http.settings import ApiKey, ServerSettings, settings_from_env

__all__ = ["ApiKey", "ServerSettings", "create_app_from_env", "create_engine_app"]


def create_app_from_env() -> Flask:
    """The server as the environment describes it."""
    return create_engine_app(settings_from_env(os.environ))
