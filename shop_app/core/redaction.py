"""Taking personal data and secrets out of free text (RS-016). Used for event meta, traits and every log line.

First the allow-lists decide which keys may speak at all; this is for what those keys say.
"""

import re
from collections.abc import Callable

IBAN_LENGTHS = range(15, 35)
CARD_LENGTHS = range(14, 20)
PHONE_DIGITS = range(9, 16)
"""ITU E.164 allows 15; below 9 a number is more likely a price, a size or a reference."""

_SUSPICIOUS = re.compile(
    r"[@＠]|%40|[(\[]at[)\]]|eyj|token|secret|passw|key|bearer|basic|auth|sess|signature|[spr]k_|gh[pousr]_|akia|xox|github_"
    r"|[\w+/=-]{32}|\d(?:[^\d\n]{0,3}\d){7}",
    re.IGNORECASE,
)
"""Nothing is found in text without one of these; most text ends here."""

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}\s?(?:@|%40|＠|\s?[(\[]at[)\]]\s?)\s?(?:[\w-]{1,63}\.)+[^\W\d_][\w-]{1,62}",
    re.IGNORECASE,
)
_SECRET_PAIR = re.compile(
    r"""(?P<name>\b[\w-]{0,20}(?:token|secret|passw(?:or)?d|passwd|api[_-]?key|apikey|access[_-]?key|auth|session|sessid|signature)[\w-]{0,12}["']?\s*[=:]\s*["']?)(?P<value>[^\s"'&;,}]{4,})""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(?:bearer|basic)\s+[A-Za-z0-9+/=_.~-]{8,}", re.IGNORECASE)
_TOKEN = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"  # a JWT
    r"|\b(?:sk|pk|rk)_(?:live|test)_\w{10,}|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bAKIA[0-9A-Z]{12,}|\bxox[abpsr]-[\w-]{10,}"
    r"|\b[0-9a-f]{32,}\b|\b[0-9A-F]{32,}\b"
    r"|(?<![\w/+=-])(?=[\w+/-]*\d)(?=[\w+/-]*[a-z])(?=[\w+/-]*[A-Z])[A-Za-z0-9+/_-]{40,}={0,2}"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b", re.IGNORECASE)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){13,18}(?![\w-])")
_CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[47]|30[0-5]|3[68]|35|6(?:011|4[4-9]|5)")
_PHONE = re.compile(
    r"(?<![\w.,/:£$€-])(?:"
    r"(?:\+|00|＋)\s?\d(?:[\s\u00a0().·/-]{0,3}\d){7,14}"  # with a country code
    r"|\(0?\d{2,5}\)\s?\d(?:[\s\u00a0./-]?\d){4,9}"  # an area code in brackets
    r"|0\d(?:[\s\u00a0./-]{0,2}\d){7,10}"  # national, with its leading nought
    r"|[2-9]\d{2}[-.\s][2-9]\d{2}[-.\s]\d{4}"  # North America
    r"|[6-9]\d{2}[ .]\d{3}[ .]\d{3}|[6-9]\d{2}(?:[ .]\d{2}){3}"  # Spain
    r")(?![\w-]|[.,]\d)"
)


def scrub(text: str) -> str:
    """`text` with each e-mail address, phone, card or account number and secret replaced by what it was: `[email]`."""
    if not _SUSPICIOUS.search(text):
        return text
    text = _EMAIL.sub("[email]", text)
    text = _BEARER.sub("[token]", text)
    text = _SECRET_PAIR.sub(lambda match: match["name"] + "[secret]", text)
    text = _TOKEN.sub("[token]", text)
    text = _IBAN.sub(_without_iban, text)
    text = _CARD.sub(_when(is_card, "[card]"), text)
    return _PHONE.sub(_when(_is_phone, "[phone]"), text)


def is_iban(text: str) -> bool:
    """ISO 13616: the rearranged number leaves 1 when divided by 97."""
    plain = re.sub(r"[ -]", "", text).upper()
    if len(plain) not in IBAN_LENGTHS:
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def is_card(text: str) -> bool:
    """A known issuer's prefix and the Luhn check (ISO/IEC 7812-1)."""
    digits = re.sub(r"\D", "", text)
    if len(digits) not in CARD_LENGTHS or not _CARD_PREFIX.match(digits):
        return False
    doubled = [sum(divmod(int(d) * 2, 10)) for d in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _without_iban(match: "re.Match[str]") -> str:
    """The longest start of the match that is an account number goes; words that followed it stay."""
    text = match[0]
    for end in range(len(text), min(IBAN_LENGTHS) - 1, -1):
        if text[end - 1].isalnum() and is_iban(text[:end]):
            return "[iban]" + text[end:]
    return text


def _is_phone(text: str) -> bool:
    return sum(c.isdigit() for c in text) in PHONE_DIGITS


def _when(holds: Callable[[str], bool], word: str) -> "Callable[[re.Match[str]], str]":
    return lambda match: word if holds(match[0]) else match[0]
