"""Settings of the stand-alone server, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys_engine.service.retention import DECISION_DAYS

ROLES = frozenset({"ingest", "serve", "admin"})


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key by its SHA-256: what it may do and for which organisations (``*`` = all)."""

    digest: str
    roles: frozenset[str]
    org_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server runs with. No keys means no authentication (development)."""

    database_url: str
    api_keys: tuple[ApiKey, ...] = ()
    rate_per_minute: int = 600
    rate_burst: int = 60
    decision_sample_rate: float = 1.0
    decision_days: float = DECISION_DAYS
    max_tenants: int = 64
    model_folder: Path | None = None
    cors_origins: tuple[str, ...] = ()
    git_commit: str = ""
    build_time: str = ""


def settings_from_env(env: Mapping[str, str]) -> ServerSettings:
    """Read ``RECSYS_*`` variables.

    ``RECSYS_DATABASE_URL`` (required), ``RECSYS_API_KEYS`` (``sha256hex:role+role:org|org`` or ``:*``, comma-separated;
    list two for a rotation), ``RECSYS_RATE_LIMIT_RPM`` (0 = off), ``RECSYS_RATE_BURST``,
    ``RECSYS_DECISION_SAMPLE_RATE`` (0-1), ``RECSYS_DECISION_DAYS`` (how long a stored list is kept, 90; 0 = for ever),
    ``RECSYS_MODEL_DIR`` (a folder of this machine for learned models and
    snapshots; without it a start reads the whole log and lists come from the live signals alone),
    ``RECSYS_CORS_ORIGINS`` (comma-separated, ``*`` patterns), ``GIT_COMMIT`` and
    ``BUILD_TIME`` (shown by ``/version``). ``RECSYS_DATABASE_URL_FILE`` and
    ``RECSYS_API_KEYS_FILE`` name a file that holds the value.

    Raises:
        ValueError: naming the variable that is missing or wrong.
    """
    env = _with_files(env)
    url = env.get("RECSYS_DATABASE_URL", "")
    if not url:
        raise ValueError("RECSYS_DATABASE_URL is required")
    return ServerSettings(
        url,
        api_keys_from(env.get("RECSYS_API_KEYS", "")),
        int(_number(env, "RECSYS_RATE_LIMIT_RPM", 600)),
        int(_number(env, "RECSYS_RATE_BURST", 60)),
        _number(env, "RECSYS_DECISION_SAMPLE_RATE", 1.0),
        _number(env, "RECSYS_DECISION_DAYS", DECISION_DAYS),
        model_folder=Path(env["RECSYS_MODEL_DIR"]).absolute() if env.get("RECSYS_MODEL_DIR") else None,
        cors_origins=tuple(filter(None, (part.strip() for part in env.get("RECSYS_CORS_ORIGINS", "").split(",")))),
        git_commit=env.get("GIT_COMMIT", ""),
        build_time=env.get("BUILD_TIME", ""),
    )


def _with_files(env: Mapping[str, str]) -> dict[str, str]:
    found = dict(env)
    for name in ("RECSYS_DATABASE_URL", "RECSYS_API_KEYS"):
        if env.get(f"{name}_FILE"):
            try:
                found[name] = Path(env[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"{name}_FILE cannot be read: {error.strerror}") from error
    return found


def api_keys_from(text: str) -> tuple[ApiKey, ...]:
    """Parse the key list; raises ``ValueError`` for an entry that is not ``digest:roles:orgs``."""
    keys = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        digest, _, rest = entry.partition(":")
        roles_text, _, orgs = rest.partition(":")
        roles = frozenset(roles_text.split("+"))
        if len(digest) != 64 or not roles <= ROLES or not orgs:
            raise ValueError("RECSYS_API_KEYS: an entry is not sha256hex:role+role:org|org")
        keys.append(ApiKey(digest.lower(), roles, frozenset(orgs.split("|"))))
    return tuple(keys)


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(env.get(name, default))
    except ValueError as error:
        raise ValueError(f"{name} is not a number") from error
    if value < 0:
        raise ValueError(f"{name} must not be negative")
    return value
