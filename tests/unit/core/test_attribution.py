"""Where an item was met survives a link, and nothing forged or mangled does."""

import pytest

from shop_app.core.attribution import Attribution, parse_attribution


@pytest.mark.ticket("RS-004")
@pytest.mark.parametrize(
    "place",
    [Attribution("home", "top_picks", 3, "01JD-x_9"), Attribution("listing", "grid", 12)],
)
def test_a_place_survives_its_text(place: Attribution) -> None:
    assert parse_attribution(place.text()) == place


def test_only_an_answer_of_the_recommender_counts_as_recommended() -> None:
    assert Attribution("home", "top_picks", 1, "r1").is_recommended
    assert not Attribution("home", "top_picks", 1).is_recommended


@pytest.mark.parametrize(
    "text",
    [None, "", "home:3:r", "home.top_picks", "home.top_picks:x:r", "Home.top:1:r", "a.b:1:r<script>", "a.b:99999:r"],
)
def test_a_mangled_text_is_no_attribution(text: str | None) -> None:
    assert parse_attribution(text) is None
