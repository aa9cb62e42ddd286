"""The recommender over HTTP: ``gunicorn 'recsys_engine.http:create_app_from_env()'``."""

import gc
import os

from flask import Flask

from recsys_engine.http.app import create_engine_app
from recsys_engine.http.settings import ApiKey, ServerSettings, settings_from_env

__all__ = ["ApiKey", "ServerSettings", "create_app_from_env", "create_engine_app"]


def create_app_from_env() -> Flask:
    """The server as the environment describes it, in a process of its own."""
    app = create_engine_app(settings_from_env(os.environ))
    gc.freeze()  # code and tables are here to stay: walking through them held up whatever was asked meanwhile by 45 ms
    return app
