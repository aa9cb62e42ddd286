"""`make screenshots`: photograph every page and state of the shop at two widths into build/screenshots, with a gallery.

The shop is a throw-away one. Arguments pick tours by name; without any, all of them.
"""

import argparse
import html
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from scripts.local_shop import ROOT, LocalShop, local_shop
from scripts.tour import TOURS, Examples, Tour, find_examples

FOLDER = ROOT / "build" / "screenshots"
WIDTHS = {375: 812, 1280: 900}
DARK_TOO = ("home", "listing", "product-choices", "basket", "checkout-errors", "console-overview", "account")
PATIENCE_MS = 30_000


def main() -> None:
    """Photograph, then write the gallery."""
    asked = _arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with local_shop(seed=asked.seed) as shop:
        photograph(shop, asked.tours, asked.widths)
    print(f"file://{FOLDER / 'index.html'}")


def photograph(shop: LocalShop, tours: list[str], widths: list[int]) -> None:
    """Walk the tours at each width and keep a picture of every state."""
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        for width in widths:
            for name in tours:
                _walk(browser, shop, name, width)
        browser.close()
    (FOLDER / "index.html").write_text(gallery(sorted(FOLDER.glob("*.png"))))


def gallery(pictures: list[Path]) -> str:
    """One page with all pictures, each a link to itself in full."""
    figures = "".join(
        f'<figure><a href="{html.escape(p.name)}"><img src="{html.escape(p.name)}" loading="lazy" alt=""></a>'
        f"<figcaption>{html.escape(p.stem)}</figcaption></figure>"
        for p in pictures
    )
    style = (
        "body{font:14px system-ui;margin:2rem;display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));"
        "gap:2rem}figure{margin:0}img{width:100%;height:24rem;object-fit:cover;"
        "object-position:top;border:1px solid #ccc}"
    )
    return f'<!doctype html><meta charset="utf-8"><title>Screenshots</title><style>{style}</style>{figures}'


def _walk(browser: Browser, shop: LocalShop, name: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": WIDTHS[width]}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    for state in _states(page, shop, name):
        _shoot(page, f"{state}-{width}")
        if state in DARK_TOO:
            page.emulate_media(color_scheme="dark")
            _shoot(page, f"{state}-{width}-dark")
            page.emulate_media(color_scheme="light")
    context.close()


def _states(page: Page, shop: LocalShop, name: str) -> Iterator[str]:
    examples: Examples = find_examples(shop)
    return TOURS[name](Tour(page, shop, examples))


def _shoot(page: Page, name: str) -> None:
    page.screenshot(path=FOLDER / f"{name}.png", full_page=True)
    overflow = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    print(f"{name}{f'  SIDEWAYS by {overflow} px' if overflow > 0 else ''}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "tours", nargs="*", type=_tour, metavar="tour", help=f"{', '.join(TOURS)}; all when none is named"
    )
    parser.add_argument("--seed", default="demo", help="what the shop sells: demo or small")
    parser.add_argument("--widths", nargs="*", type=int, default=[*WIDTHS], choices=[*WIDTHS])
    asked = parser.parse_args()
    asked.tours = asked.tours or [*TOURS]
    return asked


def _tour(name: str) -> str:
    # argparse's own `choices` refuses the empty list of a positional that may be left out.
    if name not in TOURS:
        raise argparse.ArgumentTypeError(f"{name!r} is not a tour; there are {', '.join(TOURS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
