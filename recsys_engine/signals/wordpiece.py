"""WordPiece tokenizer for uncased BERT models.

Source: Devlin et al. 2018 (BERT), reference code `tokenization.py` (Apache-2.0): clean, lower-case, strip accents,
split on punctuation
and CJK, then greedy longest-match-first pieces. The vocabulary file is the 30,522-piece `bert-base-uncased` list
(see vocab/NOTICE).
"""

import unicodedata
from functools import cache
from importlib import resources

CLS, SEP, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
LONGEST_WORD = 100  # characters; longer words become one unknown piece, as in the reference code
CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def token_ids(text: str, *, longest: int) -> list[int]:
    """Ids of `[CLS] pieces… [SEP]`, cut to at most `longest` ids (the closing piece stays)."""
    vocabulary = _vocabulary()
    pieces = [piece for word in _words(text) for piece in _pieces(word, vocabulary)]
    return [vocabulary[piece] for piece in (CLS, *pieces[: longest - 2], SEP)]


@cache
def _vocabulary() -> dict[str, int]:
    lines = resources.files(__package__).joinpath("vocab/bert-base-uncased.txt").read_text(encoding="utf-8").split("\n")
    return {piece: i for i, piece in enumerate(lines) if piece}


def _words(text: str) -> list[str]:
    spaced = "".join(_spaced(sign) for sign in text)
    folded = unicodedata.normalize("NFD", spaced.lower())
    bare = "".join(sign for sign in folded if unicodedata.category(sign) != "Mn")
    return "".join(f" {sign} " if _is_punctuation(sign) else sign for sign in bare).split()


def _spaced(sign: str) -> str:
    code = ord(sign)
    if sign in "\t\n\r":
        return " "
    if code in (0, 0xFFFD) or unicodedata.category(sign).startswith("C"):
        return ""
    return f" {sign} " if any(low <= code <= high for low, high in CJK_RANGES) else sign


def _is_punctuation(sign: str) -> bool:
    code = ord(sign)
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_sign or unicodedata.category(sign).startswith("P")


def _pieces(word: str, vocabulary: dict[str, int]) -> list[str]:
    if len(word) > LONGEST_WORD:
        return [UNKNOWN]
    pieces: list[str] = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in vocabulary), start)
        if end == start:
            return [UNKNOWN]
        pieces.append(prefix + word[start:end])
        start = end
    return pieces
