"""Pages of widgets."""

from flask import Blueprint

bp = Blueprint("widgets", __name__)
