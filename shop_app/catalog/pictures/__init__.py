"""Pictures of products, drawn on demand: pure functions from what is known about a product to SVG text."""

from collections.abc import Sequence
from dataclasses import dataclass

from shop_app.catalog.pictures.colours import WORDS, number_of
from shop_app.catalog.pictures.drawing import shapes
from shop_app.catalog.pictures.scene import MOTIFS, VIEWS, Subject, draw_scene
from shop_app.catalog.pictures.titles import colour_in, shape_for

__all__ = ["VIEWS", "HouseStyle", "picture_for"]


@dataclass(frozen=True, slots=True)
class HouseStyle:
    """How a brand looks: a colour word and the name of its pattern."""

    colour: str
    pattern: str


def picture_for(
    title: str,
    category: Sequence[str],
    sku: str,
    *,
    kind: str = "",
    colour: str = "",
    house: HouseStyle | None = None,
    view: str = "main",
) -> str:
    """An SVG of 600 × 600 for a product, the same for the same arguments.

    `category` are the names from the department down. `kind` is a shape, or several joined by `+`;
    unknown or empty, it is found from the words. `colour` is a colour word, by default the first in the title.
    `view` is one of `VIEWS`.

    Raises:
        KeyError: no such view.

    """
    known = tuple(name for name in kind.split("+") if name in shapes())
    style = house or _style_for(category)
    subject = Subject(
        shapes=known or (shape_for(title, category, sku),),
        colour=colour,
        accent=style.colour,
        said=colour_in(title),
        pattern=style.pattern,
        department=category[0] if category else "",
        seed=sku,
    )
    return draw_scene(subject, view)


def _style_for(category: Sequence[str]) -> HouseStyle:
    number = number_of("/".join(category))
    return HouseStyle(WORDS[number % len(WORDS)], sorted(MOTIFS)[number % len(MOTIFS)])
