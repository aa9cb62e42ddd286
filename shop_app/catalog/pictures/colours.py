"""Colours: the names products are sold in, the tint of each department, and mixing."""

from zlib import crc32

NAMED = {
    "amber": "#d08a2e", "ash": "#cdb592", "beech": "#d6ae7b", "beige": "#d9c7a3", "black": "#35343c", "blue": "#3f6fa8",
    "bronze": "#94683a", "brown": "#7a5236", "charcoal": "#44464f", "clear": "#b8d3d8", "copper": "#bd6f47",
    "cream": "#efe3c8", "crimson": "#b3343f", "gold": "#cf9f3f", "green": "#5c9160", "grey": "#8b8f98",
    "gray": "#8b8f98", "ivory": "#f0e8d6", "lavender": "#a99bd0", "lilac": "#b49fd1", "lime": "#a7c252",
    "mauve": "#a98bab", "mint": "#a5d3ba", "moss": "#6b7a45", "mustard": "#d29c2f", "natural": "#d5bd92",
    "navy": "#2f4468", "oak": "#c3965f", "oatmeal": "#d8cbb4", "olive": "#7d7c3f", "orange": "#e08745",
    "peach": "#f0b48d", "pink": "#e19aae", "plum": "#6d3f5f", "purple": "#7c5a9c", "red": "#c2423d", "rose": "#d98c94",
    "rust": "#b4552f", "sage": "#9db08c", "sand": "#d6bf93", "scarlet": "#c7392f", "sea-green": "#6fae9c",
    "silver": "#bcc3ca", "sky": "#8db8d6", "slate": "#66717f", "smoke": "#837f80", "steel": "#a3acb5",
    "tan": "#b98a57", "teal": "#2e7c7e", "terracotta": "#c56f4c", "turquoise": "#46adac", "violet": "#8265ad",
    "walnut": "#77502f", "white": "#f4f1ea", "yellow": "#e6c04a", "brass": "#c69a45",
    "oxblood": "#6e2430", "sepia": "#7a5a3c", "raspberry": "#b8345a", "lemon": "#ecd04f", "strawberry": "#d24a52",
    "fig": "#6b4a62", "geranium": "#cf4f5a", "rosemary": "#6f8767", "honey": "#dca63c", "damson": "#54355e",
}  # fmt: skip
"""Colour word → sRGB."""

TINTS = {
    "Kitchen & Dining": "#f3e6d3", "Food & Drink": "#f5dfd0", "Home & Living": "#e9e4f0", "Garden": "#dfecd8",
    "Camping & Outdoors": "#d9e8e4", "Clothing & Accessories": "#e4e6f1", "Desk & Stationery": "#f4e9c9",
    "Children & Play": "#fbe3da", "Body & Bath": "#dcecee", "Sound & Tech": "#e2e5ea",
    "Bikes & Fitness": "#e6ecd2", "Pets": "#f1e3d8",
}  # fmt: skip
"""Department → the colour of the wall behind its products."""

OTHER_TINTS = tuple(TINTS.values())
WORDS = ("terracotta", "sage", "navy", "mustard", "teal", "plum", "rust", "slate", "crimson", "sky", "moss", "copper")
"""Colours for things whose text names none."""
VANISHING = 110
"""Sum of channel differences (0–765) under which a stripe cannot be told from its ground."""


def hex_of(word: str) -> str:
    """The colour a word stands for; an unknown word gets one of ours, always the same."""
    return NAMED.get(word.lower()) or NAMED[WORDS[number_of(word) % len(WORDS)]]


def tint_of(department: str) -> str:
    """The wall colour of a department; an unknown one gets one of ours, always the same."""
    return TINTS.get(department) or OTHER_TINTS[number_of(department) % len(OTHER_TINTS)]


def number_of(text: str) -> int:
    """A number that depends on nothing but the text."""
    return crc32(text.encode())


def mix(colour: str, other: str, share: float) -> str:
    """`colour` with `share` (0–1) of `other` in it, per sRGB channel."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def contrast_with(colour: str, wanted: str) -> str:
    """`wanted`, unless it would vanish on `colour`: then a pale or a deep version of it."""
    if distance(colour, wanted) > VANISHING:
        return wanted
    return mix(wanted, "#fbf7ef", 0.7) if sum(_channels(colour)) < 420 else mix(wanted, "#2f2d38", 0.5)


def distance(colour: str, other: str) -> int:
    """Sum of the channel differences, 0–765."""
    return sum(abs(a - b) for a, b in zip(_channels(colour), _channels(other), strict=True))


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
