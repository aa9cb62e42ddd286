"""Which pages of other origins may call from a browser. None, unless ``RECSYS_CORS_ORIGINS`` names them."""

from fnmatch import fnmatchcase

from werkzeug.datastructures import Headers

METHODS = "GET, POST, PUT, DELETE, OPTIONS, PATCH"
ALLOWED_HEADERS = "Accept, Authorization, Content-Type, X-Org-ID, X-Requested-With, X-Request-Id"
MAX_AGE_S = 300


def allow_origin(origins: tuple[str, ...], origin: str, headers: Headers, *, is_preflight: bool) -> None:
    """Add the CORS headers of an answer to ``origin``; an origin matches exactly or by a ``*`` pattern."""
    if not origins:
        return
    headers.add("Vary", "Origin")
    if not any(fnmatchcase(origin, pattern) for pattern in origins):
        return
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After"
    if is_preflight:
        headers["Access-Control-Allow-Methods"] = METHODS
        headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        headers["Access-Control-Max-Age"] = str(MAX_AGE_S)
