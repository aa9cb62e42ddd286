"""Turns the shape notes under `shapes/` into SVG.

A note is one drawing in a 600 × 600 square, one stroke of the pen a line:

    = name                      begins a shape
    p C d…                      a filled path
    s C width d…                a stroked path
    r C x y width height [r]    a rectangle, rounded by r
    e C cx cy rx ry             an ellipse
    o C cx cy r                 a circle
    q angle cx cy … Q           what lies between is turned around a point
    u name dx dy scale          another shape, moved and scaled

C is a colour letter (see `Paint`), then `.5` for half transparent, `~` for lit from the left, `!` for lit from above.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shop_app.catalog.pictures.colours import mix

SHAPES = Path(__file__).parent / "shapes"
INK, PAPER = "#2f2d38", "#fbf7ef"
FIXED = {
    "k": INK, "w": PAPER, "v": "#e7dfcf", "m": "#cdd3d8", "M": "#89929b", "n": "#cfa26e", "N": "#8d623e",
    "g": "#ffffff", "G": "#6c9a63", "H": "#45714f", "y": "#e0b04c", "Y": "#b3832f", "f": "#e98b45", "s": "#a9cfe0",
    "r": "#c74e45", "h": "#e2bf93",
}  # fmt: skip
"""Letters that mean the same in every picture: ink, paper, metal, wood, leaf, brass, flame, sky, red, pale wood."""
GLASS_OPACITY = 0.45
_COLOUR = re.compile(r"([A-Za-z])(\.\d+)?([~!]?)")


@dataclass(frozen=True, slots=True)
class Paint:
    """The two colours of a picture: what the thing is sold in (c, d, D, l, L) and the house's accent (a, b)."""

    base: str
    accent: str

    def hex(self, letter: str) -> str:
        """The sRGB colour of a letter. Raises KeyError for one that means nothing."""
        shades = {
            "c": self.base,
            "d": mix(self.base, INK, 0.22),
            "D": mix(self.base, INK, 0.42),
            "l": mix(self.base, PAPER, 0.3),
            "L": mix(self.base, PAPER, 0.55),
            "a": self.accent,
            "b": mix(self.accent, INK, 0.25),
        }
        return shades.get(letter) or FIXED[letter]


class Pen:
    """Draws shapes in one paint and collects the gradients they need."""

    def __init__(self, paint: Paint) -> None:
        self._paint = paint
        self._gradients: dict[str, str] = {}

    def draw(self, name: str) -> str:
        """The elements of a shape. Raises KeyError for an unknown name."""
        return "".join(self._element(line) for line in shapes()[name])

    def gradients(self) -> str:
        """What belongs into `<defs>` for everything drawn so far."""
        return "".join(self._gradients.values())

    def _element(self, line: str) -> str:
        command, *words = line.split(" ")
        if command == "Q":
            return "</g>"
        if command == "q":
            return f'<g transform="rotate({" ".join(words)})">'
        if command == "u":
            name, x, y, scale = words
            return f'<g transform="translate({x} {y}) scale({scale})">{self.draw(name)}</g>'
        return self._mark(command, words[0], words[1:])

    def _mark(self, command: str, colour: str, words: list[str]) -> str:
        fill, opacity = self._fill(colour)
        if command == "p":
            return f'<path d="{" ".join(words)}" fill="{fill}"{opacity}/>'
        if command == "s":
            width, *path = words
            ends = 'stroke-linecap="round" stroke-linejoin="round"'
            opacity = opacity.replace("fill-", "stroke-")
            return f'<path d="{" ".join(path)}" fill="none" stroke="{fill}" stroke-width="{width}" {ends}{opacity}/>'
        if command == "r":
            x, y, width, height, *radius = words
            rounded = f' rx="{radius[0]}"' if radius else ""
            return f'<rect x="{x}" y="{y}" width="{width}" height="{height}"{rounded} fill="{fill}"{opacity}/>'
        cx, cy, *radii = words
        if command == "o":
            return f'<circle cx="{cx}" cy="{cy}" r="{radii[0]}" fill="{fill}"{opacity}/>'
        if command == "e":
            return f'<ellipse cx="{cx}" cy="{cy}" rx="{radii[0]}" ry="{radii[1]}" fill="{fill}"{opacity}/>'
        raise ValueError(f"no such stroke: {command}")

    def _fill(self, text: str) -> tuple[str, str]:
        match = _COLOUR.fullmatch(text)
        if match is None:
            raise ValueError(f"not a colour: {text}")
        letter, alpha, light = match.groups()
        colour = self._paint.hex(letter)
        share = float(alpha) if alpha else GLASS_OPACITY if letter == "g" else 1.0
        opacity = f' fill-opacity="{share:g}"' if share < 1 else ""
        return (self._gradient(letter, colour, light) if light else colour), opacity

    def _gradient(self, letter: str, colour: str, light: str) -> str:
        name = f"{letter}{'h' if light == '~' else 'v'}"
        stops = ((0, mix(colour, PAPER, 0.2)), (0.4, colour), (1, mix(colour, INK, 0.2)))
        inner = "".join(f'<stop offset="{at}" stop-color="{tone}"/>' for at, tone in stops)
        turn = "" if light == "~" else ' x2="0" y2="1"'
        self._gradients[name] = f'<linearGradient id="{name}"{turn}>{inner}</linearGradient>'
        return f"url(#{name})"


@cache
def shapes() -> dict[str, tuple[str, ...]]:
    """Every shape by name, as its lines."""
    found: dict[str, list[str]] = {}
    for path in sorted(SHAPES.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("= "):
                found[line[2:]] = []
            elif line and not line.startswith("#"):
                found[next(reversed(found))].append(line)
    return {name: tuple(lines) for name, lines in found.items()}
