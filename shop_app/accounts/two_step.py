"""The second factor: six digits from an app, good for one use (RFC 6238)."""

from datetime import datetime

import pyotp
from sqlalchemy import update

from shop_app.accounts.models import User
from shop_app.core.errors import InvalidInput
from shop_app.extensions import rows_changed

STEP_S = 30
DRIFT_STEPS = 1
"""How many steps a telephone's clock may be off, either way."""


def new_secret() -> str:
    """A fresh secret for an authenticator app, base32."""
    return pyotp.random_base32()


def enrolment_uri(user: User, secret: str, issuer: str) -> str:
    """The otpauth:// address an app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=issuer)


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """The time step that `code` belongs to, if it is near now."""
    totp, digits = pyotp.TOTP(secret), "".join(code.split())
    current = int(now.timestamp()) // STEP_S
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        if pyotp.utils.strings_equal(totp.generate_otp(step), digits):
            return step
    return None


def use_code(user: User, code: str, now: datetime) -> bool:
    """Whether the code is right; a right one is used up, also when two requests bring it at once."""
    step = matching_step(user.totp_secret or "", code, now) if user.totp_secret else None
    if step is None:
        return False
    unused = update(User).where(User.id == user.id, User.totp_last_step < step)
    return rows_changed(unused.values(totp_last_step=step)) == 1


def enrol(user: User, secret: str, code: str, now: datetime) -> None:
    """Turn the second factor on, once a code shows that the app has the secret.

    Raises:
        InvalidInput: the code is wrong.

    """
    step = matching_step(secret, code, now)
    if step is None:
        raise InvalidInput({"code": ["That code is not right. Check the time on your telephone and try the next one."]})
    user.totp_secret, user.totp_last_step = secret, step


def disenrol(user: User) -> None:
    """Turn it off."""
    user.totp_secret = None
