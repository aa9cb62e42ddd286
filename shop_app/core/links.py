"""Links that people hand to us."""

import re

_LOCAL_PATH = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f\x7f]{0,500}")


def local_path(text: str | None, default: str = "/") -> str:
    """`text` when it is a path of this shop, else `default`: a `next` must not lead anybody away.

    Refused are schemes, hosts, `//host`, backslashes (browsers read them as slashes), spaces and control characters.
    """
    return text if text and _LOCAL_PATH.fullmatch(text) else default
