"""Reads the copy decks under `deck/`: one text file a department, one block a kind of product.

    # Department name | CODE
    @ kind | Category/Path | picture shape | lowest-highest price in pounds | colours or - | sizes or - | flags
    = Model title [material, price factor, picture shape] What is true of this model only.
    =! The same, when the details below do not fit this model.
    . A detail that is true of every model of the kind.
    > Who it is for, or when it is used.

A size may carry a price factor: `1kg*3.5`. Flags: `plain` (titles stand alone, without a collection name) and
`every 21` (a consumable: days until people buy again).
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
_MODEL = re.compile(
    r"=(?P<odd>!?) (?P<title>.+?) "
    r"\[(?P<material>[^,\]]+)(?:, (?P<factor>[\d.]+))?(?:, (?P<shape>[a-z]+))?\] (?P<text>.+)"
)


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a kind: `factor` multiplies the kind's middle price; `is_odd` when the kind's details do not fit."""

    title: str
    material: str
    factor: float
    shape: str
    text: str
    is_odd: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """What a product is. Prices in pounds; `sizes` pairs labels with price factors; `every_days` 0 = not consumed."""

    key: str
    department: str
    code: str
    category: tuple[str, ...]
    shape: str
    price_range: tuple[int, int]
    colours: tuple[str, ...]
    sizes: tuple[tuple[str, float], ...]
    is_plain: bool
    every_days: int
    models: tuple[Model, ...]
    details: tuple[str, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class House:
    """An invented brand: `factor` is its price level, `names` the list its collections are named from."""

    name: str
    factor: float
    departments: tuple[str, ...]
    names: str
    pattern: str
    colour: str
    voice: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """Products of several kinds sold as one, `saving_percent` below their sum."""

    title: str
    code: str
    category: str
    saving_percent: int
    kinds: tuple[str, ...]
    text: str


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind of every deck, in file order."""
    return tuple(kind for path in sorted((HERE / "deck").glob("*.txt")) for kind in _read_deck(path))


@cache
def kind_named(key: str) -> Kind:
    """The kind with this key. Raises KeyError."""
    return {kind.key: kind for kind in kinds()}[key]


@cache
def houses() -> tuple[House, ...]:
    """The invented brands, in file order."""
    return tuple(_house(_cells(line)) for line in _lines(HERE / "brands.txt"))


@cache
def house_named(name: str) -> House | None:
    """The brand of this name, if it is one of ours."""
    return next((house for house in houses() if house.name == name), None)


@cache
def collection_names() -> dict[str, tuple[str, ...]]:
    """Lists of names that houses call their collections by."""
    rows = (line.partition(":") for line in _lines(HERE / "names.txt"))
    return {key: tuple(names.split()) for key, _, names in rows}


@cache
def complements() -> dict[str, dict[str, float]]:
    """How strongly a kind pulls another into the basket, 0–1: 1/position, read in both directions."""
    pulls: dict[str, dict[str, float]] = {}
    for line in _lines(HERE / "complements.txt"):
        kind, _, companions = line.partition(":")
        for place, other in enumerate(companions.split(), start=1):
            pulls.setdefault(kind, {})[other] = 1 / place
            pulls.setdefault(other, {}).setdefault(kind, 0.5 / place)
    return pulls


@cache
def bundles() -> tuple[Bundle, ...]:
    """The sets, in file order."""
    rows = (_cells(line) for line in _lines(HERE / "bundles.txt"))
    return tuple(
        Bundle(t, code, group, int(saving), tuple(ks.split()), text) for t, code, group, saving, ks, text in rows
    )


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


def _house(cells: list[str]) -> House:
    name, factor, departments, names, pattern, colour, voice = cells
    return House(name, float(factor), tuple(departments.split()), names, pattern, colour, voice)


def _read_deck(path: Path) -> list[Kind]:
    department, code = _cells(path.read_text(encoding="utf-8").splitlines()[0].removeprefix("#"))
    blocks: list[list[str]] = []
    for line in _lines(path):
        if line.startswith("@"):
            blocks.append([])
        blocks[-1].append(line)
    return [_kind(block, department, code) for block in blocks]


def _kind(block: list[str], department: str, code: str) -> Kind:
    key, path, shape, prices, colours, sizes, flags = (*_cells(block[0].removeprefix("@")), "")[:7]
    low, _, high = prices.partition("-")
    return Kind(
        key=key,
        department=department,
        code=code,
        category=tuple(path.split("/")),
        shape=shape,
        price_range=(int(low), int(high)),
        colours=() if colours == "-" else tuple(colours.split()),
        sizes=() if sizes == "-" else tuple(_size(word) for word in sizes.split()),
        is_plain="plain" in flags,
        every_days=int(flags.partition("every")[2] or 0),
        models=tuple(_model(line, shape) for line in block if line.startswith("=")),
        details=tuple(line[2:] for line in block if line.startswith(".")),
        uses=tuple(line[2:] for line in block if line.startswith(">")),
    )


def _size(word: str) -> tuple[str, float]:
    label, _, factor = word.partition("*")
    return label, float(factor or 1)


def _model(line: str, shape: str) -> Model:
    match = _MODEL.fullmatch(line)
    if match is None:
        raise ValueError(f"not a model line: {line}")
    factor = float(match["factor"] or 1)
    return Model(match["title"], match["material"], factor, match["shape"] or shape, match["text"], bool(match["odd"]))
