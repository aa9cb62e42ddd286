"""A new password by a link that works once, for members who forgot theirs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import update

from shop_app.accounts.models import Letter, User
from shop_app.accounts.passwords import UNUSABLE, check_new_password, hash_password
from shop_app.accounts.services import find_user
from shop_app.accounts.sessions import end_all_sessions
from shop_app.core.errors import Conflict
from shop_app.extensions import db

VALID = timedelta(minutes=30)
"""How long a link works."""
RESET_LETTER = "password_reset"
NOBODY = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a link says: whose it is, until when it works, and the sign-in epoch that its use ends."""

    user_id: int
    epoch: int
    expires_at: datetime


def ask_for_link(email: str, signer: URLSafeSerializer, address: Callable[[str], str], now: datetime) -> None:
    """Write the member a letter with a link; `address` makes the link of a token.

    An address without an account costs the same work and a row to nobody, so that time does not tell who exists. The
    same for accounts that cannot sign in.
    """
    user = find_user(email)
    can_sign_in = user is not None and user.password_hash != UNUSABLE
    claim = Claim(user.id, user.session_epoch, now + VALID) if user else Claim(NOBODY, 0, now + VALID)
    link = address(_token(claim, signer))
    letter = Letter(user_id=None, kind=RESET_LETTER, link="", written_at=now, expires_at=claim.expires_at)
    if can_sign_in:
        letter.user_id, letter.link = claim.user_id, link
    db.session.add(letter)


def read_link(token: str, signer: URLSafeSerializer) -> Claim | None:
    """What the link says, or None when we did not sign it. Whether it still works shows when it is used."""
    try:
        user_id, epoch, expires = signer.loads(token)
        return Claim(int(user_id), int(epoch), datetime.fromtimestamp(expires, UTC))
    except (BadSignature, ValueError, TypeError, OverflowError):
        return None


def still_works(claim: Claim, now: datetime) -> bool:
    """Whether the link could be used now: nothing was changed, no role and no password, since it was asked for."""
    user = db.session.get(User, claim.user_id)
    return user is not None and _fits(user, claim, now)


def set_password(claim: Claim, new: str, now: datetime) -> None:
    """Replace the password, sign out every browser and end every link of the member, this one too.

    Two requests with one link take turns at the row of the member; the second finds the link used.

    Raises:
        Conflict: the link was used, is too old, or something else signed the member out everywhere.
        InvalidInput: the new password is too easy.

    """
    user = db.session.get(User, claim.user_id, with_for_update=True, populate_existing=True)
    if user is None or not _fits(user, claim, now):
        raise Conflict("this link does not work any more")
    check_new_password(new, personal=(user.email.partition("@")[0], user.name))
    user.password_hash = hash_password(new)
    end_all_sessions(user, now)
    db.session.execute(update(Letter).where(Letter.user_id == user.id).values(link="", used_at=now))


def _fits(user: User, claim: Claim, now: datetime) -> bool:
    return user.session_epoch == claim.epoch and now < claim.expires_at


def _token(claim: Claim, signer: URLSafeSerializer) -> str:
    token: str = signer.dumps([claim.user_id, claim.epoch, int(claim.expires_at.timestamp())])
    return token
