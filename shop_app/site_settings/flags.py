"""Switches of the whole shop, at run time: what each does, which are on, and which one a list obeys."""

from collections.abc import Mapping
from enum import StrEnum

from shop_app.core.errors import InvalidInput
from shop_app.extensions import db
from shop_app.site_settings.defaults import SLOTS
from shop_app.site_settings.models import SiteSetting
from shop_app.site_settings.stored import stored_settings

KEY = "flags"
SURFACE_PREFIX = "surface."


class Flag(StrEnum):
    """What can be switched off everywhere at once. All are on until somebody says otherwise."""

    RECOMMENDER = "recommender"
    PERSONALISATION = "personalisation"
    EXPLORATION = "exploration"
    EXPERIMENTS = "experiments"


SENTENCES: Mapping[str, str] = {
    Flag.RECOMMENDER: "Lists come from the recommender. Off: best sellers everywhere; events go on being collected.",
    Flag.PERSONALISATION: "Lists know who is looking. Off: everybody is a stranger, whatever they agreed to.",
    Flag.EXPLORATION: "A share of places goes to lesser known products. Off: nothing is tried out, bandits rest.",
    Flag.EXPERIMENTS: "Running experiments show their variants. Off: everybody gets the control and nobody new counts.",
}
SURFACES = tuple(dict.fromkeys(slot.partition(".")[0] for slot in SLOTS))
SURFACE_SENTENCES = {
    "home": "The front page",
    "listing": "Departments and lists of products",
    "pdp": "Product pages",
    "cart": "The basket",
    "order": "A placed order's page",
    "orders": "A member's orders",
    "search": "The search page",
}
NAMES = (*(flag.value for flag in Flag), *(SURFACE_PREFIX + surface for surface in SURFACES))
DEFAULTS = dict.fromkeys(NAMES, True)


def is_on(flag: Flag) -> bool:
    """Is it on now? At most a second behind another process's edit."""
    return _is_on(flag)


def surface_is_on(surface: str) -> bool:
    """Do the lists of this page show?"""
    return _is_on(SURFACE_PREFIX + surface)


def _is_on(name: str) -> bool:
    stored = stored_settings().get(KEY)
    return stored is None or bool(stored.values.get(name, True))


def flags_now() -> tuple[dict[str, bool], int]:
    """Every switch as stored, with the version (0: nobody changed any)."""
    row = db.session.get(SiteSetting, KEY)
    stored = row.values if row else {}
    return {name: bool(stored.get(name, True)) for name in NAMES}, row.version if row else 0


def parse_flags(form: Mapping[str, str]) -> dict[str, bool]:
    """Every switch as the form sent it; one that is not sent is off.

    Raises:
        InvalidInput: the form was not this one (a switch nobody knows).

    """
    unknown = sorted(name for name in form if name.startswith("flag_") and name.removeprefix("flag_") not in NAMES)
    if unknown:
        raise InvalidInput({name: ["There is no such switch."] for name in unknown})
    return {name: form.get(f"flag_{name}") == "on" for name in NAMES}
