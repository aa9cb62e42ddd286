"""Log lines are JSON and name nobody."""

import json
import logging
import sys

import pytest
from flask import Flask

from shop_app.logs import JsonFormatter


@pytest.mark.ticket("RS-016")
def test_a_line_is_json_and_scrubbed_in_every_part(app: Flask) -> None:
    try:
        int("no account for anna@example.com")
    except ValueError:
        record = logging.LogRecord(
            "shop", logging.ERROR, __file__, 1, "sent to %s", ("+44 20 7946 0958",), sys.exc_info()
        )
    record.codes = ["4111 1111 1111 1111", {"iban": "GB82 WEST 1234 5698 7654 32"}]
    record.number = "RS-ABCD-2345"

    with app.test_request_context("/checkout"):
        line = json.loads(JsonFormatter().format(record))
        again = json.loads(JsonFormatter().format(record))

    assert line["event"] == "sent to [phone]"
    assert line["codes"] == ["[card]", {"iban": "[iban]"}]
    assert line["number"] == "RS-ABCD-2345"
    assert "no account for [email]" in line["trace"]
    assert line["request"] == again["request"]
    assert (line["level"], line["logger"]) == ("error", "shop")
