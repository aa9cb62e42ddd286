"""Where a drawn thing stands: a wall, a table, a soft shadow, the house's pattern; and three ways of looking at it."""

from dataclasses import dataclass

from shop_app.catalog.pictures.colours import WORDS, contrast_with, distance, hex_of, mix, number_of, tint_of
from shop_app.catalog.pictures.drawing import INK, PAPER, Paint, Pen

SIZE = 600
TABLE_Y = 440
TOO_CLOSE = 60
"""Sum of channel differences (0–765) under which two colours look alike side by side."""
VIEWS = ("main", "detail", "room")
COMPANY = ("houseplant", "bookends", "vase", "lantern", "candle")
"""What stands on the shelf beside a product."""
MOTIFS = {
    "stripe": '<path d="M0 0V36M18 0V36" {s}/>',
    "dots": '<circle cx="10" cy="10" r="4.5" {f}/><circle cx="28" cy="28" r="4.5" {f}/>',
    "grid": '<path d="M0 18H36M18 0V36" {s}/>',
    "wave": '<path d="M0 18Q9 4 18 18T36 18" {s}/>',
    "band": '<path d="M0 9H36M0 17H36" {s}/>',
    "arc": '<path d="M2 36A16 16 0 0 1 34 36M10 36A8 8 0 0 1 26 36" {s}/>',
    "leaf": '<path d="M8 28Q8 10 28 8Q28 28 8 28Z" {f}/>',
    "peaks": '<path d="M0 28L9 12L18 28L27 12L36 28" {s}/>',
    "zigzag": '<path d="M0 12L9 24L18 12L27 24L36 12" {s}/>',
}  # fmt: skip
"""One tile of 36 × 36 for each house pattern."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What to draw. `shapes`: one, or several that are sold together; `pattern` one of `MOTIFS`.

    `colour` is what it is sold in, `accent` the house's. Without a colour, what the title says (`said`) or one of ours
    by `seed` colours both the thing and its label, so that seven soaps differ.
    """

    shapes: tuple[str, ...]
    colour: str
    accent: str
    said: str
    pattern: str
    department: str
    seed: str


def draw_scene(subject: Subject, view: str = "main") -> str:
    """The picture as SVG text. `view`: main (the thing), detail (close up), room (on a shelf with company)."""
    wall = tint_of(subject.department)
    pen = Pen(_paint(subject, wall))
    stages = {"main": _main, "detail": _detail, "room": _room}
    body = stages[view](subject, pen, wall)
    return _svg(pen, wall, hex_of(subject.accent), subject.pattern, body)


def _paint(subject: Subject, wall: str) -> Paint:
    if subject.colour:
        base = _off_the_wall(hex_of(subject.colour), wall)
        return Paint(base, contrast_with(base, hex_of(subject.accent)))
    chosen = hex_of(subject.said or WORDS[number_of(subject.seed) % len(WORDS)])
    return Paint(_off_the_wall(chosen, wall), _off_the_wall(chosen, PAPER))


def _off_the_wall(base: str, wall: str) -> str:
    """A cream mug on a cream wall has to be lighter than the wall, or it vanishes."""
    return mix(base, PAPER, 0.55) if distance(base, wall) < TOO_CLOSE else base


def _main(subject: Subject, pen: Pen, wall: str) -> str:
    turn = number_of(subject.seed)
    x, y, radius = 235 + turn % 130, 250 + turn // 131 % 50, 205 + turn // 7 % 36
    disc = mix(wall, PAPER, 0.62)
    circle = f'<circle cx="{x}" cy="{y}" r="{radius}" fill='
    back = f'{circle}"{disc}"/>{circle}"url(#motif)"/>'
    return back + _table(wall) + _things(subject.shapes, pen)


def _detail(subject: Subject, pen: Pen, wall: str) -> str:
    """Close up and turned, over the house's pattern."""
    disc = mix(wall, PAPER, 0.5)
    back = f'<rect width="600" height="600" fill="{disc}"/><rect width="600" height="600" fill="url(#motif)"/>'
    thing = pen.draw(subject.shapes[0])
    return f'{back}<g transform="rotate(-9 300 300) translate(-235 -245) scale(1.75)">{thing}</g>'


def _room(subject: Subject, pen: Pen, wall: str) -> str:
    """Smaller, on a shelf in daylight, with something else of a household for scale."""
    light = mix(wall, PAPER, 0.75)
    panes = f'<path d="M155 40V290M60 165H250" stroke="{wall}" stroke-width="10"/>'
    window = f'<path d="M60 40H250V290H60Z" fill="{light}"/>{panes}'
    company = COMPANY[number_of(subject.seed) % len(COMPANY)]
    other = _draw_other("frame" if company in subject.shapes else company, pen)
    wood = mix(wall, "#8d623e", 0.45)
    edge = f'<rect y="484" width="600" height="9" fill="{INK}" opacity=".1"/>'
    shelf = f'<rect y="456" width="600" height="28" fill="{wood}"/>{edge}'
    below = f'<rect y="484" width="600" height="116" fill="{mix(wall, INK, 0.07)}"/>'
    thing = f'<g transform="translate(20 110) scale(.73)">{pen.draw(subject.shapes[0])}</g>'
    return f"{window}{below}{other}{shelf}{_shadow(240, 458, 140)}{thing}"


def _draw_other(name: str, pen: Pen) -> str:
    return f'<g transform="translate(352 217) scale(.5)" opacity=".85">{pen.draw(name)}</g>'


def _table(wall: str) -> str:
    tone = mix(wall, INK, 0.1)
    return f'<rect y="{TABLE_Y}" width="600" height="{SIZE - TABLE_Y}" fill="{tone}"/>'


def _things(names: tuple[str, ...], pen: Pen) -> str:
    if len(names) == 1:
        return f"{_shadow(300, 474, 190)}<g>{pen.draw(names[0])}</g>"
    scale = 0.62 if len(names) < 4 else 0.54
    places = _places(len(names))
    drawn = [
        f"{_shadow(x + 300 * scale, y + 472 * scale, 150 * scale)}"
        f'<g transform="translate({x:g} {y:g}) scale({scale})">{pen.draw(name)}</g>'
        for name, (x, y) in zip(names, places, strict=True)
    ]
    return "".join(drawn)


def _places(count: int) -> tuple[tuple[float, float], ...]:
    """Corners of the squares in which the parts of a set stand, back row first."""
    return {
        2: ((10.0, 140.0), (215.0, 170.0)),
        3: ((114.0, 45.0), (-10.0, 200.0), (238.0, 200.0)),
    }.get(count, ((20.0, 70.0), (260.0, 70.0), (5.0, 235.0), (275.0, 235.0)))


def _shadow(x: float, y: float, radius: float) -> str:
    return f'<ellipse cx="{x:g}" cy="{y:g}" rx="{radius:g}" ry="{radius / 9:.1f}" fill="url(#shade)"/>'


def _svg(pen: Pen, wall: str, accent: str, pattern: str, body: str) -> str:
    tile = MOTIFS[pattern].format(s=f'stroke="{accent}" stroke-width="3" fill="none"', f=f'fill="{accent}"')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 600" width="600" height="600"><defs>'
        '<pattern id="motif" width="36" height="36" patternUnits="userSpaceOnUse">'
        f'<g opacity=".16">{tile}</g></pattern>'
        '<radialGradient id="shade"><stop offset=".4" stop-color="#2f2d38" stop-opacity=".26"/>'
        '<stop offset="1" stop-color="#2f2d38" stop-opacity="0"/></radialGradient>'
        f"{pen.gradients()}</defs>"
        f'<rect width="600" height="600" fill="{wall}"/>{body}</svg>\n'
    )
