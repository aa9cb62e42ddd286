"""The demo's three people, so that a newcomer can sign in at once. Only the demo and data imports make them."""

LOGINS = (
    ("shopper@example.com", "picnic-blanket-42", "Robin Hale", "shopper"),
    ("qa@example.com", "probe-the-basket-7", "Sam Quill", "viewer"),
    ("admin@example.com", "keys-to-the-shop-9", "Alex Marsh", "owner"),
)
"""E-mail, password, name and role."""
