"""Pages of the catalogue."""

from flask import Blueprint, render_template

bp = Blueprint("catalog", __name__)


@bp.get("/")
def home() -> str:
    """The front page; its widgets load on their own."""
    return render_template("catalog/home.html")
