"""Finds out from words what a thing is and what colour it has, for catalogues that come without pictures."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from shop_app.catalog.pictures.colours import NAMED, number_of

KEYWORDS = Path(__file__).parent / "keywords.txt"
STILL_LIFES = ("stillife", "stillarch", "stillcube")
"""What stands for a thing whose words tell nothing."""
_CONTAINERS = re.compile(r"\b(?:set|pack|pair|box|bag|packet|bundle|s)\s*(?:of|/)\s*\d*\s*")
_ASIDE = re.compile(r"\s(?:with|w|in|for|from|by)\b|[,(]")


def shape_for(title: str, category: Sequence[str], seed: str) -> str:
    """The shape whose word is the head of the title, else of its rest, else of the category from the leaf up.

    An English title names the thing last and then adds asides: "pack of 72 retrospot cake cases", "hot water bottle
    with cover". Without any known word one of the still lifes stands in, always the same for a `seed`.
    """
    plain = _CONTAINERS.sub(" ", title.lower())
    head, *_ = _ASIDE.split(plain, maxsplit=1)
    for text in (head, plain, *(name.lower() for name in reversed(category))):
        shape = _last_known(_words(text))
        if shape:
            return shape
    return STILL_LIFES[number_of(seed) % len(STILL_LIFES)]


def colour_in(title: str) -> str:
    """The first colour word of a title, or nothing."""
    return next((word for word in re.findall(r"[a-z]+(?:-green)?", title.lower()) if word in NAMED), "")


def _last_known(words: Sequence[str]) -> str:
    """Longer phrases first ("hot water" before "bottle"), then the one nearest to the end."""
    known = _shape_by_words()
    for length in (3, 2, 1):
        for start in range(len(words) - length, -1, -1):
            shape = known.get("-".join(words[start : start + length]))
            if shape:
                return shape
    return ""


def _words(text: str) -> list[str]:
    return [_singular(word) for word in re.findall(r"[a-z]+(?:-[a-z]+)?", text)]


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


@cache
def _shape_by_words() -> dict[str, str]:
    found = {}
    for line in KEYWORDS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            shape, _, words = line.partition(":")
            for word in words.split():
                found["-".join(_singular(part) for part in word.split("-"))] = shape
                found.setdefault(word, shape)
    return found
