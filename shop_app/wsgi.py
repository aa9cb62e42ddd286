"""The object a WSGI server serves: `gunicorn shop_app.wsgi:app`."""

import os

from shop_app.app import create_app
from shop_app.config import load_settings

app = create_app(load_settings(os.environ))
