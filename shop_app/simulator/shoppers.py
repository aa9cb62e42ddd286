"""Who shops: tastes, price limits, patience, habits, and the chances that follow from them. All of it is known exactly.

A shopper clicks a card that came into view at rank r with probability

    look(r) · appeal,   look(r) = r^(−bias),   appeal = σ(base + department + house + fame − dearness)

The position-based model of Craswell et al. 2008 ("An Experimental Comparison of Click Position-Bias Models"): looking
depends on the place alone, appeal on the product and the person alone. Every number is a function of the seed, the
shopper and the product, so the same seed gives the same people whatever the shop shows them.
"""

import math
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from random import Random

BASE = -3.4
"""Log odds of a click on a product nobody has an opinion about, in the first place: 3 %."""
DEPARTMENT_LIKED, HOUSE_LIKED = 1.3, 0.7
FAME_SPREAD = 0.5
DEARNESS = 2.5
"""How fast appeal falls with the logarithm of a price above the shopper's level."""
WANTED = 1.6
"""Log odds added for putting a product into the basket once its page is open."""
DEVICES = (
    ("Mozilla/5.0 (X11; Linux x86_64) ShopSimulator/1.0", 5),
    ("Mozilla/5.0 (Linux; Android 15; Mobile) ShopSimulator/1.0", 3),
    ("Mozilla/5.0 (Android 15; Tablet) ShopSimulator/1.0", 2),
)
"""What the browsers say, and how many cards fit into their window. The name tells this traffic from people's."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as its card shows it. Price in minor units; the department is empty until a listing told it."""

    sku: str
    path: str
    price_minor: int
    house: str = ""
    department: str = ""


@dataclass(frozen=True, slots=True)
class Shopper:
    """One simulated person.

    `likes` are department paths, `houses` a share of all houses by hash; `price_limit_minor` is never exceeded,
    `price_level_minor` is where things begin to feel dear. `bias` is the exponent of looking. `scroll` is the chance to
    go on by another windowful. `gap` is the mean time between visits, `runs_out` how long what was bought lasts (None:
    this person does not buy again). `consent` is all, analytics or none. `keenness` is added to every log odds.
    """

    number: int
    likes: tuple[str, ...]
    price_level_minor: int
    price_limit_minor: int
    bias: float
    scroll: float
    gap: timedelta
    runs_out: timedelta | None
    resolve: float
    consent: str
    device: int
    keenness: float = 0.0
    seed: int = field(default=0, repr=False)

    @property
    def user_agent(self) -> str:
        return DEVICES[self.device][0]

    @property
    def window(self) -> int:
        """Cards in view without scrolling."""
        return DEVICES[self.device][1]

    def look(self, rank: int) -> float:
        """Chance that a card in view at 1-based `rank` is looked at."""
        return float(rank**-self.bias)

    def appeal(self, offer: Offer) -> float:
        """Chance that a card that is looked at is clicked."""
        return _sigmoid(self._pull(offer))

    def click_chance(self, offer: Offer, rank: int) -> float:
        """Chance of a click on a card that came into view."""
        return self.look(rank) * self.appeal(offer)

    def add_chance(self, offer: Offer) -> float:
        """Chance that the product goes into the basket once its page is open; 0 above the price limit."""
        return 0.0 if offer.price_minor > self.price_limit_minor else _sigmoid(self._pull(offer) + WANTED)

    def _pull(self, offer: Offer) -> float:
        pull = BASE + self.keenness + FAME_SPREAD * normal(f"{self.seed}:fame:{offer.sku}")
        pull += DEPARTMENT_LIKED if offer.department and offer.department in self.likes else 0.0
        pull += HOUSE_LIKED if offer.house and uniform(f"{self.seed}:{self.number}:{offer.house}") < 0.2 else 0.0
        return pull - DEARNESS * max(0.0, math.log(max(offer.price_minor, 1) / self.price_level_minor))


def population(seed: int, count: int, departments: tuple[str, ...], keenness: float = 0.0) -> list[Shopper]:
    """`count` shoppers; the same seed and departments give the same people."""
    return [_shopper(seed, number, departments, keenness) for number in range(count)]


def _shopper(seed: int, number: int, departments: tuple[str, ...], keenness: float) -> Shopper:
    rng = Random(f"{seed}:shopper:{number}")
    level = round(math.exp(rng.gauss(math.log(4500), 0.5)))
    return Shopper(
        number=number,
        likes=tuple(sorted(rng.sample(departments, min(len(departments), rng.choice((1, 2, 2, 3)))))),
        price_level_minor=level,
        price_limit_minor=round(level * rng.uniform(2, 4)),
        bias=rng.uniform(0.3, 0.9),
        scroll=rng.uniform(0.3, 0.8),
        gap=timedelta(days=min(60.0, math.exp(rng.gauss(math.log(6), 0.7)))),
        runs_out=timedelta(days=rng.uniform(7, 28)) if rng.random() < 0.5 else None,
        resolve=rng.uniform(0.4, 0.9),
        consent=rng.choices(("all", "analytics", "none"), (84, 6, 10))[0],
        device=rng.choices((0, 1, 2), (45, 45, 10))[0],
        keenness=keenness,
        seed=seed,
    )


@lru_cache(200_000)
def uniform(name: str) -> float:
    """A number in [0, 1) that belongs to `name`."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest()) / 2**56


@lru_cache(200_000)
def normal(name: str) -> float:
    """A standard normal number that belongs to `name` (Box, Muller 1958)."""
    radius = math.sqrt(-2 * math.log(1 - uniform(name + ":r")))
    return radius * math.cos(2 * math.pi * uniform(name + ":a"))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))
