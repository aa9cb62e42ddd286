"""The shop as a fault run serves it: the same app on a clock that can be stepped."""

import os

from scripts.faults.clock import stepped_clock
from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.logs import set_up_logging

settings = load_settings(os.environ)
set_up_logging(settings.log_level)
app = create_app(settings, clock=stepped_clock())
