"""Writes of members: sign-up, sign-in, profile, addresses, wishlist, and becoming one person after sign-in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, literal, select, update

from shop_app.accounts.models import Address, IdentityMerge, User, WishlistItem
from shop_app.accounts.passwords import check_new_password, hash_password, is_correct, needs_rehash
from shop_app.accounts.sessions import end_all_sessions
from shop_app.cart.services import merge_carts
from shop_app.catalog.models import Product
from shop_app.core.errors import Conflict, InvalidInput, NotFound
from shop_app.core.ids import new_member_key
from shop_app.core.shopper import Consent, Shopper
from shop_app.experiments.services import carry_over
from shop_app.extensions import db, insert_into, rows_changed
from shop_app.outbox.services import mark_changed
from shop_app.tracking.consent import record_consent
from shop_app.tracking.models import ConsentRecord, TrackedEvent
from shop_app.tracking.services import carry_over_complaints

TRAITS = frozenset({"locale", "country", "device", "newsletter", "loyalty_tier", "preferred_categories"})
"""What may be said about a person at creation; nothing personal, all of it goes to Recsys."""
LOYALTY_TIERS = (("bronze", 100_00), ("silver", 400_00), ("gold", 1_000_00))
"""Minor units spent on standing orders from which a tier is reached, lowest first."""
MAX_ADDRESSES = 20
MAX_WISHES = 200


@dataclass(frozen=True, slots=True)
class Merge:
    """What became of an anonymous person. `is_new` is false when it was done before."""

    is_new: bool
    lines: int = 0
    wishes: int = 0
    events: int = 0


def create_user(
    email: str, password: str | None, name: str, role: str = "shopper", *, now: datetime, **traits: Any
) -> User:
    """Add a member and ask for a sync of them. The input is already checked; `password=None` cannot sign in.

    Raises:
        TypeError: an unknown trait.

    """
    if unknown := traits.keys() - TRAITS:
        raise TypeError(f"unknown traits: {', '.join(sorted(unknown))}")
    user = User(
        key=new_member_key(),
        email=normal_email(email),
        name=name.strip(),
        password_hash=hash_password(password),
        role=role,
        created_at=now,
        last_seen_at=now,
        **traits,
    )
    db.session.add(user)
    db.session.flush()  # the mark needs the id
    mark_changed("user", [user.id], now)
    return user


def sign_up(email: str, password: str, name: str, *, now: datetime, **traits: Any) -> User:
    """Make a member of somebody who filled in the form.

    Raises:
        InvalidInput: the password is too easy.
        Conflict: the address belongs to a member. The work of hashing is done all the same.

    """
    check_new_password(password, personal=(email.partition("@")[0], name))
    if find_user(email) is not None:
        hash_password(password)
        raise Conflict("this address has an account")
    return create_user(email, password, name, now=now, **traits)


def authenticate(email: str, password: str) -> User | None:
    """The member whose address and password these are. Unknown addresses cost the same time as wrong passwords."""
    user = find_user(email)
    return user if is_correct(user.password_hash if user else None, password) else None


def note_sign_in(user: User, password: str, *, device: str, now: datetime) -> None:
    """Keep when and on what the member came, renew an outdated hash, ask for a sync (RS-013).

    `password` is empty when they came in by another way.
    """
    if password and needs_rehash(user.password_hash):
        user.password_hash = hash_password(password)
    user.last_seen_at, user.device = now, device
    mark_changed("user", [user.id], now)


def merge_anonymous(anonymous_key: str, shopper: Shopper, now: datetime) -> Merge:
    """Give the member, `shopper`, what they did before signing in (RS-014): basket, wishlist, arms of
    experiments, tracked events, and which lists they turned away.

    Once per anonymous key: twice, from two devices or raced, the first transaction does it and the others change
    nothing. Events and lists turned away follow only with consent to personalisation; `identity_merge` tells delivery
    whom they belonged to.
    """
    row = {"anonymous_key": anonymous_key, "member_key": shopper.key, "merged_at": now}
    statement = insert_into(IdentityMerge).values(row).on_conflict_do_nothing().returning(IdentityMerge.id)
    merge_id = db.session.scalars(statement).one_or_none()
    if merge_id is None:
        return Merge(is_new=False)
    carry_over(anonymous_key, shopper.key)
    if shopper.consent.personalisation:
        carry_over_complaints(anonymous_key, shopper.key)
    return Merge(
        is_new=True,
        lines=merge_carts(anonymous_key, shopper.key, now),
        wishes=_merge_wishlists(anonymous_key, shopper.key),
        events=_merge_events(merge_id, anonymous_key, shopper.key) if shopper.consent.personalisation else 0,
    )


def join_consent(anonymous_key: str, member_key: str, browser: Consent, now: datetime) -> Consent:
    """The choice about tracking that holds from sign-in on: a no said in this browser, else the newest one made under
    either key.

    `browser` is what the cookie says; its yes counts for a member who never chose. A no is kept without a key, so
    nothing says when it was said: it wins. The member's key gets a record of the choice, so that later browsers and the
    sync of the member know.
    """
    keys = (anonymous_key, member_key)
    rows = select(ConsentRecord).where(ConsentRecord.shopper_key.in_(keys)).order_by(ConsentRecord.id.desc()).limit(1)
    newest = db.session.scalars(rows).first()
    if newest is None and not browser.is_decided:
        return browser
    choice = Consent(newest.analytics, newest.personalisation, is_decided=True) if newest else browser
    if browser.is_decided and not browser.is_given:
        choice = browser
    said = (member_key, choice.analytics, choice.personalisation)
    if newest is None or (newest.shopper_key, newest.analytics, newest.personalisation) != said:
        record_consent(member_key, choice, now)
    return choice


def change_profile(
    user: User, *, name: str, country: str, newsletter: bool, preferred_categories: list[str], now: datetime
) -> None:
    """Store a checked profile and ask for a sync."""
    user.name, user.country, user.newsletter = name, country, newsletter
    user.preferred_categories = preferred_categories
    mark_changed("user", [user.id], now)


def change_password(user: User, current: str, new: str, now: datetime) -> None:
    """Replace the password and sign out every browser.

    Raises:
        InvalidInput: the current one is wrong, or the new one too easy.

    """
    if not is_correct(user.password_hash, current):
        raise InvalidInput({"current": ["That is not your current password."]})
    check_new_password(new, personal=(user.email.partition("@")[0], user.name))
    user.password_hash = hash_password(new)
    end_all_sessions(user, now)


def save_address(user: User, address: Mapping[str, str], *, is_default: bool, address_id: int | None = None) -> Address:
    """Add an address to the member's book or change one of theirs; the first is the usual one.

    Raises:
        NotFound: the address to change is not theirs.
        InvalidInput: the book is full.

    """
    kept = next((a for a in user.addresses if a.id == address_id), None)
    if address_id is not None and kept is None:
        raise NotFound("That address is not in your book.")
    if kept is None and len(user.addresses) >= MAX_ADDRESSES:
        raise InvalidInput({"full_name": [f"The book holds {MAX_ADDRESSES} addresses. Remove one first."]})
    is_first = not user.addresses
    if is_default:
        for other in user.addresses:
            other.is_default = False
    if kept is None:
        kept = Address(is_default=is_default or is_first)
        user.addresses.append(kept)
    for name, value in address.items():
        setattr(kept, name, value)
    kept.is_default = kept.is_default or is_default
    return kept


def remove_address(user: User, address_id: int) -> None:
    """Take an address out of the member's book; another becomes the usual one.

    Raises:
        NotFound: it is not theirs.

    """
    kept = next((a for a in user.addresses if a.id == address_id), None)
    if kept is None:
        raise NotFound("That address is not in your book.")
    user.addresses.remove(kept)
    if kept.is_default and user.addresses:
        user.addresses[0].is_default = True


def add_wish(shopper_key: str, sku: str, now: datetime) -> bool:
    """Put a product on the wishlist; `False` when it was there.

    Raises:
        NotFound: no such product.
        InvalidInput: the list is full.

    """
    product_id = _product_id(sku)
    held = select(WishlistItem.id).where(WishlistItem.shopper_key == shopper_key).limit(MAX_WISHES)
    if len(db.session.scalars(held).all()) >= MAX_WISHES:
        raise InvalidInput({"sku": [f"A wishlist holds {MAX_WISHES} products."]})
    row = {"shopper_key": shopper_key, "product_id": product_id, "added_at": now}
    statement = insert_into(WishlistItem).values(row).on_conflict_do_nothing().returning(WishlistItem.id)
    return bool(db.session.scalars(statement).all())


def remove_wish(shopper_key: str, sku: str) -> bool:
    """Take a product off the wishlist; `False` when it was not on it.

    Raises:
        NotFound: no such product.

    """
    mine = (WishlistItem.shopper_key == shopper_key, WishlistItem.product_id == _product_id(sku))
    return rows_changed(delete(WishlistItem).where(*mine)) == 1


def note_spending(user_id: int, spent_minor: int, now: datetime) -> None:
    """Set the loyalty tier that `spent_minor`, in the shop's currency, has earned, and ask for a sync of the member."""
    user = db.session.get_one(User, user_id)
    user.loyalty_tier = loyalty_tier(spent_minor)
    mark_changed("user", [user_id], now)


def loyalty_tier(spent_minor: int) -> str:
    """The name of the highest tier reached; `none` below the first."""
    reached = [name for name, threshold in LOYALTY_TIERS if spent_minor >= threshold]
    return reached[-1] if reached else "none"


def normal_email(email: str) -> str:
    """The one spelling an account is found by."""
    return email.strip().lower()


def find_user(email: str) -> User | None:
    """The member with this address."""
    return db.session.scalars(select(User).where(User.email == normal_email(email))).one_or_none()


def _product_id(sku: str) -> int:
    found = db.session.scalars(select(Product.id).where(Product.sku == sku, Product.status == "active")).one_or_none()
    if found is None:
        raise NotFound("We don’t sell that any more.")
    return found


def _merge_wishlists(anonymous_key: str, member_key: str) -> int:
    """Copy what the member has not got, then drop the anonymous list."""
    had = select(WishlistItem.product_id).where(WishlistItem.shopper_key == member_key)
    theirs = select(literal(member_key), WishlistItem.product_id, WishlistItem.added_at).where(
        WishlistItem.shopper_key == anonymous_key, WishlistItem.product_id.not_in(had)
    )
    copy = insert_into(WishlistItem).from_select(["shopper_key", "product_id", "added_at"], theirs)
    db.session.execute(copy.on_conflict_do_nothing())
    return rows_changed(delete(WishlistItem).where(WishlistItem.shopper_key == anonymous_key))


def _merge_events(merge_id: int, anonymous_key: str, member_key: str) -> int:
    """What was tracked under the anonymous key is the member's; rows made without consent carry other keys.

    They wait as `merging` until Recsys has dropped what it knew under the old key (`sync.merges`). Dead ones stay dead.
    """
    is_dead = TrackedEvent.delivery == "dead"
    theirs = update(TrackedEvent).where(TrackedEvent.shopper_key == anonymous_key)
    return rows_changed(
        theirs.values(
            shopper_key=member_key,
            delivery=case((is_dead, "dead"), else_="merging"),
            lease_token=f"merge:{merge_id}",
        )
    )
