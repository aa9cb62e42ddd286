"""Choosing a variant by links alone: every value of every option leads to the variant it would give."""

from collections.abc import Sequence
from dataclasses import dataclass

from shop_app.catalog.models import Variant


@dataclass(frozen=True, slots=True)
class ChoiceValue:
    """One value of an option: the variant it leads to, and whether that can be bought."""

    text: str
    sku: str
    is_chosen: bool
    is_available: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """An option such as colour, with its values in the shop's order."""

    name: str
    chosen: str
    values: tuple[ChoiceValue, ...]


def chosen_variant(variants: Sequence[Variant], sku: str) -> Variant:
    """The variant `sku`, or else the first that can be bought, or else the first. `variants` is not empty."""
    by_sku = {variant.sku: variant for variant in variants}
    return by_sku.get(sku) or next((v for v in variants if v.stock > 0), variants[0])


def choices(variants: Sequence[Variant], chosen: Variant) -> list[Choice]:
    """One choice for each option name; empty when there is nothing to choose."""
    names = dict.fromkeys(name for variant in variants for name in variant.options)
    return [Choice(name, chosen.options.get(name, ""), _values(name, variants, chosen)) for name in names]


def _values(name: str, variants: Sequence[Variant], chosen: Variant) -> tuple[ChoiceValue, ...]:
    texts = dict.fromkeys(variant.options[name] for variant in variants if name in variant.options)
    targets = [(text, _target(variants, {**chosen.options, name: text}, name)) for text in texts]
    return tuple(ChoiceValue(text, to.sku, chosen.options.get(name) == text, to.stock > 0) for text, to in targets)


def _target(variants: Sequence[Variant], options: dict[str, str], name: str) -> Variant:
    """The variant with exactly these options, or else the best one that has the value asked for."""
    exact = next((variant for variant in variants if variant.options == options), None)
    if exact:
        return exact
    having = [variant for variant in variants if variant.options.get(name) == options[name]]
    return chosen_variant(having, "")
