"""Search: an inverted index in a table of the shop, read with BM25, prefixes and forgiveness for typing slips.

Weights follow BM25F (Robertson, Zaragoza 2009): the fields' term counts are weighted, summed, saturated with k1 and
normalised by length, and stored; the inverse document frequency is applied when reading, so that adding a product
never touches the rows of another. Terms are folded (case, accents, plural s).
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein
from sqlalchemy import func, select

from shop_app.catalog.models import Product, SearchPosting
from shop_app.extensions import db

FIELD_WEIGHTS = {"title": 5.0, "brand": 4.0, "category": 3.0, "facets": 1.5, "description": 1.0}
K1, B = 1.2, 0.6
USUAL_LENGTH = 60.0
"""Weighted terms of a usual product; a fixed number keeps stored weights independent of one another."""
PREFIX_DISCOUNT = 0.6
MOST_PREFIX_TERMS = 40
MOST_TERMS = 8
SHORT_WORD, LONG_WORD = 4, 8
"""Up to 3 letters no slip is forgiven, from 4 on one, from 8 on two."""
MAX_TERM_CHARS = 60
STOP_WORDS = frozenset({"a", "an", "and", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "the", "to"})


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: product id → relevance. `corrected` is the text that was searched instead, if any."""

    relevance: Mapping[int, float]
    corrected: str = ""


def terms(text: str) -> list[str]:
    """The folded words of `text`, in order, without the ones that say nothing."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain.replace("'", ""))
    return [_stem(word)[:MAX_TERM_CHARS] for word in words if word not in STOP_WORDS]


def posting_weights(fields: Mapping[str, str]) -> dict[str, float]:
    """Term → stored weight of one product. `fields` maps names of `FIELD_WEIGHTS` to text."""
    counts: dict[str, float] = defaultdict(float)
    for name, text in fields.items():
        for term, count in Counter(terms(text)).items():
            counts[term] += FIELD_WEIGHTS[name] * count
    length = sum(counts.values())
    norm = K1 * (1 - B + B * length / USUAL_LENGTH)
    return {term: count * (K1 + 1) / (count + norm) for term, count in counts.items()}


def search(text: str) -> Found:
    """Products for `text`: those matching every word, or, when none does, those matching the most.

    A word matches as itself or as a beginning. A word that matches nothing is replaced by the nearest known word.
    """
    asked = terms(text)[:MOST_TERMS]
    if not asked:
        return Found({})
    total = db.session.scalar(select(func.count(Product.id))) or 0
    matches = {term: _matches(term, total) for term in asked}
    corrected = _corrections([term for term, match in matches.items() if not match])
    matches |= {near: _matches(near, total) for near in corrected.values()}
    used = [corrected.get(term, term) for term in asked]
    return Found(_together([matches[term] for term in used]), " ".join(used) if corrected else "")


def _stem(word: str) -> str:
    """Plural to singular, roughly: mugs → mug, dishes → dish, berries → berry. Glass stays."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("shes", "ches", "xes", "sses")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _matches(term: str, total: int) -> dict[int, float]:
    """Product id → score for one word, the best of the exact term and the terms it begins."""
    known = db.session.execute(
        select(SearchPosting.term, func.count())
        .where(SearchPosting.term >= term, SearchPosting.term < _after(term))
        .group_by(SearchPosting.term)
        .order_by((SearchPosting.term != term), func.count().desc(), SearchPosting.term)
        .limit(MOST_PREFIX_TERMS)
    )
    idf = {name: math.log1p((total - n + 0.5) / (n + 0.5)) for name, n in known}
    rows = db.session.execute(
        select(SearchPosting.term, SearchPosting.product_id, SearchPosting.weight).where(SearchPosting.term.in_(idf))
    )
    found: dict[int, float] = {}
    for name, product_id, weight in rows:
        score = idf[name] * weight * (1.0 if name == term else PREFIX_DISCOUNT)
        found[product_id] = max(score, found.get(product_id, 0.0))
    return found


def _after(prefix: str) -> str:
    """The first text that no word beginning with `prefix` reaches: the last letter, one further."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _together(matches: list[dict[int, float]]) -> dict[int, float]:
    """All words, or else the products with the most words, their scores summed."""
    found = Counter(product_id for match in matches for product_id in match)
    most = max(found.values(), default=0)
    return {i: sum(match.get(i, 0.0) for match in matches) for i, words in found.items() if words == most}


def _corrections(unknown: Iterable[str]) -> dict[str, str]:
    """The nearest known word of each unknown one, by edits and swaps of neighbours; commoner words break ties."""
    wanted = [word for word in unknown if len(word) >= SHORT_WORD]
    if not wanted:
        return {}
    counted = db.session.execute(select(SearchPosting.term, func.count()).group_by(SearchPosting.term))
    vocabulary = {term: count for term, count in counted if len(term) >= SHORT_WORD - 1}
    found = {word: _nearest(word, vocabulary) for word in wanted}
    return {word: near for word, near in found.items() if near}


def _nearest(word: str, vocabulary: Mapping[str, int]) -> str:
    slips = 2 if len(word) >= LONG_WORD else 1
    near = process.extract(word, vocabulary.keys(), scorer=DamerauLevenshtein.distance, score_cutoff=slips, limit=20)
    return min(near, key=lambda hit: (hit[1], hit[0][0] != word[0], -vocabulary[hit[0]], hit[0]))[0] if near else ""
