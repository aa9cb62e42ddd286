"""The object a WSGI server serves: `gunicorn shop_app.wsgi:app`."""

import gc
import os

from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.jobs.metering import keep_counts
from shop_app.logs import set_up_logging

settings = load_settings(os.environ)
set_up_logging(settings.log_level)
app = create_app(settings)
keep_counts(app.extensions["meter"], app.app_context)
gc.freeze()  # code and tables are here to stay: walking through them held up whatever was asked meanwhile by 45 ms
