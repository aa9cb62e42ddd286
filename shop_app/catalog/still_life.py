"""The picture of a product that brings none of its own."""

import hashlib

GROUNDS = ("#e9e4d8", "#dfe7dc", "#e8ddd3", "#dde3e8", "#eae2cf", "#e3dce6")
SHAPES = ("#1d5b3f", "#b4532a", "#31506b", "#8a6d1d", "#6b4a5e", "#4a5d3a")


def still_life(sku: str, view: int = 1) -> str:
    """A quiet still life as SVG text, the same for the same SKU and view."""
    draw = hashlib.sha256(f"{sku}:{view}".encode()).digest()
    ground, shape, other = (
        GROUNDS[draw[0] % len(GROUNDS)],
        SHAPES[draw[1] % len(SHAPES)],
        SHAPES[draw[2] % len(SHAPES)],
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 600">'
        f'<rect width="600" height="600" fill="{ground}"/>'
        f'<circle cx="{200 + draw[3] // 2}" cy="{240 + draw[4] // 4}" r="{90 + draw[5] // 4}" fill="{shape}"/>'
        f'<rect x="{180 + draw[6] // 2}" y="{300 + draw[7] // 4}" width="200" height="160" rx="24" fill="{other}"/>'
        "</svg>"
    )
