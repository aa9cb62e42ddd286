"""Identifiers that people and other systems see: short, URL-safe, unguessable."""

import secrets

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""No 0/o, 1/l/i: an order number can be read out on the telephone."""
MEMBER_PREFIX = "u_"
ANONYMOUS_PREFIX = "a_"


def new_token(length: int = 20) -> str:
    """`length` random characters, about 4.95 bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_member_key() -> str:
    """The opaque key of a member, as the recommender knows it."""
    return MEMBER_PREFIX + new_token()


def new_anonymous_key() -> str:
    """The opaque key of somebody who has not signed in."""
    return ANONYMOUS_PREFIX + new_token()


def new_order_number() -> str:
    """`RS-xxxx-xxxx`: 39 bits, unique by the column's constraint."""
    token = new_token(8).upper()
    return f"RS-{token[:4]}-{token[4:]}"
