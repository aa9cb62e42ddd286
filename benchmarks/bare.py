"""The peer of the page benchmark: a Flask app that does nothing but render a page of the asked size."""

from flask import Flask, Response, render_template, render_template_string, request
from jinja2 import DictLoader

TEMPLATE = "<!doctype html><title>{{ title }}</title><p>{{ text }}</p>"
FRAME_BYTES = len(TEMPLATE.replace("{{ title }}", "bare").replace("{{ text }}", ""))


def create_bare_app() -> Flask:
    """`GET /bytes/<n>` renders n bytes and compiles its template each time, `GET /page/<n>` once, as templates in
    files do; `POST /sink` reads the body and answers as shortly as an event intake.
    """
    app = Flask(__name__)
    app.jinja_loader = DictLoader({"page.html": TEMPLATE})

    @app.get("/bytes/<int:size>")
    def page(size: int) -> str:
        return render_template_string(TEMPLATE, title="bare", text="x" * max(size - FRAME_BYTES, 0))

    @app.get("/page/<int:size>")
    def compiled_page(size: int) -> str:
        return render_template("page.html", title="bare", text="x" * max(size - FRAME_BYTES, 0))

    @app.post("/sink")
    def sink() -> Response:
        return app.json.response(received=len(request.get_data()))

    return app


app = create_bare_app()
