"""Members: who they are to the shop. Recsys knows them by `key` and non-personal traits only."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop_app.catalog.models import Product
from shop_app.extensions import Base, UtcDateTime

STAFF_ROLES = ("viewer", "merchandiser", "analyst", "support", "owner")
"""Who may see the console, least first. `shopper` may not."""


class User(Base):
    """A member or a member of staff."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(40), unique=True)  # u_…, the id at Recsys
    email: Mapped[str] = mapped_column(String(254), unique=True)  # lower case
    name: Mapped[str] = mapped_column(String(120), default="")
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(15), default="shopper")
    locale: Mapped[str] = mapped_column(String(10), default="en-GB")
    country: Mapped[str] = mapped_column(String(2), default="GB")
    device: Mapped[str] = mapped_column(String(10), default="desktop")  # phone | tablet | desktop, as last seen
    newsletter: Mapped[bool] = mapped_column(default=False)
    loyalty_tier: Mapped[str] = mapped_column(String(10), default="none")  # none | bronze | silver | gold
    preferred_categories: Mapped[list[str]] = mapped_column(JSON, default=list)  # paths of departments
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    session_epoch: Mapped[int] = mapped_column(default=1)  # raised to sign out everywhere
    totp_secret: Mapped[str | None] = mapped_column(String(64))  # set once the first code was right
    totp_last_step: Mapped[int] = mapped_column(default=0)  # a code is good for one use

    addresses: Mapped[list["Address"]] = relationship(order_by="Address.id", cascade="all, delete-orphan")

    is_authenticated = True  # what flask-login asks of a signed-in user
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """What the login cookie holds: raising `session_epoch` makes every older cookie worthless."""
        return f"{self.id}.{self.session_epoch}"

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF_ROLES


class Address(Base):
    """Where a member has things sent."""

    __tablename__ = "address"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    full_name: Mapped[str] = mapped_column(String(120))
    line1: Mapped[str] = mapped_column(String(200))
    line2: Mapped[str] = mapped_column(String(200), default="")
    city: Mapped[str] = mapped_column(String(120))
    postcode: Mapped[str] = mapped_column(String(20))
    country: Mapped[str] = mapped_column(String(2))
    is_default: Mapped[bool] = mapped_column(default=False)


class MemberSession(Base):
    """One browser a member is signed in on. The cookie holds the token, this row only its hash."""

    __tablename__ = "member_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    device: Mapped[str] = mapped_column(String(60))  # "Firefox on Linux", to recognise it by
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Letter(Base):
    """Something to tell a member by e-mail. The shop sends none itself: an owner, or a program that sends, reads here.

    One to nobody says that an address without an account asked.
    """

    __tablename__ = "letter"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))  # password_reset
    link: Mapped[str] = mapped_column(String(600))  # emptied when it was used
    written_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User | None] = relationship()


class IdentityMerge(Base):
    """This anonymous person turned out to be that member. The first merge of an anonymous key stands."""

    __tablename__ = "identity_merge"

    id: Mapped[int] = mapped_column(primary_key=True)
    anonymous_key: Mapped[str] = mapped_column(String(40), unique=True)
    member_key: Mapped[str] = mapped_column(String(40), index=True)
    merged_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WishlistItem(Base):
    """A product somebody wants to remember; works before sign-in too."""

    __tablename__ = "wishlist_item"
    __table_args__ = (UniqueConstraint("shopper_key", "product_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    shopper_key: Mapped[str] = mapped_column(String(40))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)

    product: Mapped[Product] = relationship()
