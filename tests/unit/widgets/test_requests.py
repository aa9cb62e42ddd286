"""How a slot becomes a request to the recommender."""

from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from shop_app.core.errors import InvalidInput
from shop_app.core.shopper import Consent, Shopper
from shop_app.site_settings.defaults import SLOTS as SETTINGS
from shop_app.site_settings.defaults import SlotSettings
from shop_app.widgets.registry import SLOTS, Needs
from shop_app.widgets.schemas import MOST_ELSEWHERE, _read_by_schema, read_needs, read_shown
from shop_app.widgets.services import Visit, request_for

MEMBER = Shopper("u_1", "s_1", 1, Consent(analytics=True, personalisation=True, is_decided=True))
STRANGER = Shopper("a_1", "s_1")
VISIT = Visit(cart=("MUG", "POT"), recent=("NEW", "OLD"))


def test_every_slot_of_the_settings_has_a_recipe_and_the_other_way_round() -> None:
    assert SLOTS.keys() == SETTINGS.keys()


@pytest.mark.ticket("RS-034")
def test_a_member_who_agreed_is_named_and_their_session_travels_newest_last() -> None:
    request = request_for(SETTINGS["home.top_picks"], MEMBER, VISIT, Needs())

    assert request.user_id == "u_1"
    assert request.context.surface == "home.top_picks"
    assert request.context.session_id == "s_1"
    assert request.context.session_item_ids == ("OLD", "NEW")


@pytest.mark.ticket("RS-017")
def test_without_consent_only_the_page_is_told() -> None:
    request = request_for(SETTINGS["pdp.similar"], STRANGER, VISIT, Needs(item="LAMP"))

    assert (request.user_id, request.context.session_id, request.context.session_item_ids) == (None, None, ())
    assert request.context.item_id == "LAMP"


@pytest.mark.ticket("RS-035")
def test_the_product_in_view_is_context_and_never_offered() -> None:
    request = request_for(SETTINGS["pdp.similar"], MEMBER, Visit(), Needs(item="LAMP", include_tags=("colour:sage",)))

    assert request.context.item_id == "LAMP"
    assert request.constraints.exclude_item_ids == ("LAMP",)
    assert request.constraints.include_tags_any == ("colour:sage",)


@pytest.mark.ticket("RS-036")
def test_the_basket_travels_as_context() -> None:
    assert request_for(SETTINGS["cart.also_like"], STRANGER, VISIT, Needs()).context.cart_item_ids == ("MUG", "POT")


def test_a_list_about_recent_items_does_not_show_them_again() -> None:
    assert request_for(SETTINGS["home.recent"], MEMBER, VISIT, Needs()).constraints.exclude_item_ids == ("NEW", "OLD")


def test_what_was_turned_away_is_not_offered_again() -> None:
    visit = Visit(recent=("NEW",), turned_away=("MUG", "POT"))

    for slot, expected in (("home.recent", ("NEW", "MUG", "POT")), ("pdp.similar", ("LAMP", "MUG", "POT"))):
        needs = Needs(item="LAMP" if slot == "pdp.similar" else "")
        assert request_for(SETTINGS[slot], MEMBER, visit, needs).constraints.exclude_item_ids == expected


@pytest.mark.ticket("RS-041")
def test_the_price_range_reaches_the_request_with_either_end_open() -> None:
    both = request_for(
        SETTINGS["listing.best_sellers"], STRANGER, Visit(), read_needs(MultiDict({"min": "5", "max": "20.5"}))
    )
    low = request_for(
        SETTINGS["listing.best_sellers"], STRANGER, Visit(), read_needs(MultiDict({"min": "5", "max": ""}))
    )

    assert both.constraints.price_between == (5.0, 20.5)
    assert low.constraints.price_between == (5.0, None)


@pytest.mark.ticket("RS-042")
def test_tags_to_include_and_to_leave_out_reach_the_request() -> None:
    needs = read_needs(MultiDict([("include", "brand:skarn"), ("exclude", "colour:rust"), ("exclude", "brand:pottle")]))

    constraints = request_for(SETTINGS["listing.best_sellers"], STRANGER, Visit(), needs).constraints

    assert constraints.include_tags_any == ("brand:skarn",)
    assert constraints.exclude_tags_any == ("colour:rust", "brand:pottle")


def test_a_department_is_a_tag_and_gives_way_to_a_brand_in_a_longer_list() -> None:
    settings = SETTINGS["listing.best_sellers"]
    department = request_for(settings, STRANGER, Visit(), Needs(category="kitchen/mugs"))
    brand = request_for(settings, STRANGER, Visit(), Needs(category="kitchen/mugs", include_tags=("brand:skarn",)))

    assert department.constraints.include_tags_any == ("category:kitchen/mugs",)
    assert brand.constraints.include_tags_any == ("brand:skarn",)
    assert brand.k > department.k


@pytest.mark.ticket("RS-043")
def test_the_caps_of_the_slot_reach_the_request() -> None:
    request = request_for(SlotSettings("home.top_picks", "Picks", brand_cap=2), STRANGER, Visit(), Needs())

    assert (request.overrides.brand_cap, request.overrides.category_cap) == (2, None)


@pytest.mark.parametrize("bad", [{"min": "-1"}, {"max": "x"}, {"item": "x" * 101}, {"include": "t" * 201}])
def test_needs_outside_the_rules_are_refused_by_field(bad: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_needs(MultiDict(bad))

    assert set(caught.value.fields) == set(bad)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("item", "category", "shown", "other", "min")),
            st.one_of(st.text(max_size=8), st.sampled_from((" TEA-1 ", "x" * 100, " " + "x" * 100, "x" * 101))),
        ),
        max_size=4,
    ),
    st.sampled_from((0, MOST_ELSEWHERE, MOST_ELSEWHERE + 1)),
)
def test_a_plain_address_is_read_as_by_the_schema(pairs: list[tuple[str, str]], elsewhere: int) -> None:
    args = MultiDict([*pairs, *(("shown", f"TEA-{n}") for n in range(elsewhere))])

    assert _outcome(lambda: read_needs(args)) == _outcome(lambda: _read_by_schema(args))


def _outcome(read: Callable[[], Needs]) -> object:
    try:
        return read()
    except InvalidInput as error:
        return error.fields


_word = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
_words = st.lists(_word, max_size=3).map(tuple)
_price = st.none() | st.integers(0, 99_999_999).map(lambda cents: cents / 100)


@given(st.builds(Needs, item=_word, category=_word, low=_price, high=_price, include_tags=_words, exclude_tags=_words))
def test_an_address_made_of_needs_says_the_same_needs(needs: Needs) -> None:
    assert read_needs(MultiDict(parse_qsl(needs.query.removeprefix("?")))) == needs


def test_needs_of_nothing_leave_an_address_as_it_is() -> None:
    assert Needs(elsewhere=("MUG",)).query == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" MUG  POT\nMUG ", ["MUG", "POT"]),
        ("x" * 101, []),
        (" ".join(map(str, range(99))), [str(n) for n in range(24)]),
    ],
)
def test_what_a_form_says_was_shown_is_bounded(text: str, expected: list[str]) -> None:
    assert read_shown(text) == expected
