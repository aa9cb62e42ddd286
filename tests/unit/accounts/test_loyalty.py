"""Tiers by what was spent."""

import pytest

from shop_app.accounts.services import loyalty_tier


@pytest.mark.ticket("RS-015")
@pytest.mark.parametrize(
    ("spent_minor", "tier"),
    [(0, "none"), (99_99, "none"), (100_00, "bronze"), (399_99, "bronze"), (400_00, "silver"), (1_000_00, "gold"), (9_999_00, "gold")],
)  # fmt: skip
def test_a_tier_begins_exactly_at_its_threshold(spent_minor: int, tier: str) -> None:
    assert loyalty_tier(spent_minor) == tier
