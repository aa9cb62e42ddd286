"""Who is shopping: the one value that views hand to services."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Consent:
    """What the person agreed to. Nothing but the essential is on until they say so."""

    analytics: bool = False
    personalisation: bool = False
    is_decided: bool = False

    @property
    def is_given(self) -> bool:
        """Whether anything at all was agreed to; without it no key is kept and nobody is counted."""
        return self.analytics or self.personalisation


@dataclass(frozen=True, slots=True)
class Shopper:
    """The person behind one request.

    `key` is `u_…` for a member and `a_…` otherwise; it owns the cart. `session_id` lives for 30 idle minutes.
    `device` is phone, tablet or desktop.
    """

    key: str
    session_id: str
    user_id: int | None = None
    consent: Consent = Consent()
    is_bot: bool = False
    is_qa: bool = False
    device: str = "desktop"

    @property
    def is_member(self) -> bool:
        return self.user_id is not None

    def as_stranger(self) -> "Shopper":
        """The same visitor for a list that must not know them."""
        return replace(self, consent=replace(self.consent, personalisation=False))

    @property
    def recsys_user_id(self) -> str:
        """The id that may leave the shop: empty unless the person agreed to personalisation."""
        return self.key if self.consent.personalisation else ""
