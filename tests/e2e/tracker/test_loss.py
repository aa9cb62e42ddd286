"""The short form of `make browser-loss`: everything that goes wrong in a browser, with a real shop behind it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from scripts.browser_loss import Loss, a_trial, measure
from scripts.local_shop import local_shop

EVENTS = 300


@pytest.mark.ticket("RS-026")
@pytest.mark.timeout(300)
def test_no_event_is_lost_or_stored_twice_once_the_profile_is_back() -> None:
    with ThreadPoolExecutor(1) as elsewhere:  # Playwright runs once a thread, and this one may belong to other tests
        loss = elsewhere.submit(_trial).result()

    assert loss.made == EVENTS
    assert loss.lost == ()
    assert loss.extra == 0
    assert loss.clicks > 0
    assert loss.restored > 0


def _trial() -> Loss:
    """A shop of its own: other tests switch lists off and change what they show."""
    with local_shop(seed="small") as shop, a_trial(shop) as trial:
        return measure(trial, EVENTS, outage_s=3)
