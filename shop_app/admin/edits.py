"""Edits of products as the console's forms read them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VariantEdit:
    """Price in minor units and stock of one variant."""

    sku: str
    price_minor: int
    stock: int


@dataclass(frozen=True, slots=True)
class ProductEdit:
    """What one product's page can change."""

    title: str
    description: str
    compare_at_minor: int | None
    status: str
    variants: tuple[VariantEdit, ...]


@dataclass(frozen=True, slots=True)
class BulkEdit:
    """One change for many products; exactly one field is set. `price_percent` −10 takes a tenth off."""

    status: str | None = None
    stock: int | None = None
    price_percent: float | None = None
