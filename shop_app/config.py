"""Settings, read once from the environment. An unknown or bad value stops the start."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from shop_app.core.errors import InvalidInput

MIN_SECRET_CHARS = 32


def _setting(
    text: str, *, unit: str = "", default: Any = MISSING, choices: tuple[str, ...] = (), is_secret: bool = False
) -> Any:
    """Declare a setting: what it means, its unit, what it is when absent."""
    return field(default=default, repr=not is_secret, metadata={"text": text, "unit": unit, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the environment decides. The variable is the field's name in capitals."""

    secret_key: str = _setting(
        "Signs cookies and tokens: 32 characters or more. `NAME_FILE` reads any setting from a file", is_secret=True
    )
    secret_key_previous: str = _setting("Still accepted while the secret is being rotated", default="", is_secret=True)
    database_url: str = _setting(
        "The shop's database: SQLite or postgresql+psycopg", default="sqlite:///var/shop.sqlite3", is_secret=True
    )
    redis_url: str = _setting(
        "Queue and rate limits; `make run` starts one and sets this", default="redis://127.0.0.1:6379/0"
    )
    recsys_base_url: str = _setting("A remote Recsys; empty runs the engine in the process", default="")
    recsys_dialect: str = _setting("Whose server that is", default="ours", choices=("ours", "base"))
    recsys_api_key: str = _setting("Sent as X-API-Key to the remote Recsys", default="", is_secret=True)
    recsys_org_id: str = _setting("Tenant at Recsys, a UUID", default="6f1c2a52-5a0e-4a43-9d0b-1f6d3d1f3c11")
    recsys_namespace: str = _setting("Namespace at Recsys", default="default")
    recsys_database_url: str = _setting("The embedded engine's database", default="sqlite:///var/recsys.sqlite3")
    recsys_timeout_ms: int = _setting("How long a widget waits for its list", unit="ms", default=300)
    recsys_repeat_s: int = _setting(
        "How long the same question gets the same list; 0 asks every time", unit="s", default=10
    )
    recsys_decision_days: int = _setting(
        "How long the embedded engine keeps each list it served; 0 for ever", unit="days", default=90
    )
    var_dir: str = _setting("Where files made at run time live", default="var")
    currency: str = _setting("The shop's currency, ISO 4217", default="GBP")
    public_url: str = _setting("The shop's own address, for canonical links", default="http://127.0.0.1:8000")
    shop_name: str = _setting("What the shop calls itself", default="Fernhill & Co")
    cookie_secure: bool = _setting("Cookies over HTTPS only, with the __Host- prefix", default=False)
    qa_mode: bool = _setting("Opens /__qa__/ for test runs; never on a public machine", default=False)
    rate_limits: bool = _setting("Rate limits on login, search, events, checkout", default=True)
    staff_two_step: bool = _setting("Staff must use a second factor to sign in; on for a public machine", default=False)
    trusted_proxies: int = _setting("Reverse proxies in front whose X-Forwarded headers count", default=0)
    link_check_hosts: str = _setting(
        "Hosts a worker may ask whether pictures and pages of products answer, with commas; empty: none", default=""
    )
    log_level: str = _setting(
        "Least severe line written", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read every setting from `environ`.

    Raises:
        InvalidInput: a value is missing or of the wrong kind; names every offending variable.

    """
    values: dict[str, Any] = {}
    problems: dict[str, list[str]] = {}
    for spec in fields(Settings):
        try:
            raw = _raw(spec.name.upper(), environ)
            if raw is not None:
                values[spec.name] = _parse(spec, raw)
            elif spec.default is MISSING:
                problems[spec.name.upper()] = ["is required"]
        except ValueError as error:
            problems[spec.name.upper()] = [str(error)]
    if len(values.get("secret_key", "x" * MIN_SECRET_CHARS)) < MIN_SECRET_CHARS:
        problems["SECRET_KEY"] = [f"needs {MIN_SECRET_CHARS} characters or more"]
    if problems:
        raise InvalidInput(problems)
    return Settings(**values)


def example_env() -> str:
    """The text of `.env.example`, one documented line a setting."""
    lines = ["# Every setting of the shop. Generated: `python run.py env-example > .env.example`.", ""]
    for spec in fields(Settings):
        kind = "on/off" if spec.type is bool else getattr(spec.type, "__name__", str(spec.type))
        unit = f", {spec.metadata['unit']}" if spec.metadata["unit"] else ""
        choices = f", one of {' | '.join(spec.metadata['choices'])}" if spec.metadata["choices"] else ""
        need = ", required" if spec.default is MISSING else ""
        default = "" if spec.default is MISSING else _text(spec.default)
        lines += [f"# {spec.metadata['text']} ({kind}{unit}{choices}{need})", f"{spec.name.upper()}={default}", ""]
    return "\n".join(lines)


def _raw(name: str, environ: Mapping[str, str]) -> str | None:
    if environ.get(name):
        return environ[name]
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    if not Path(path).is_file():
        raise ValueError(f"the file {path} named by {name}_FILE is not there")
    return Path(path).read_text(encoding="utf-8").strip()


def _parse(spec: "Field[Any]", raw: str) -> Any:
    choices = spec.metadata["choices"]
    if choices and raw not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    if spec.type is bool:
        return _parse_bool(raw)
    if spec.type is int:
        if not re.fullmatch(r"\d{1,9}", raw):
            raise ValueError("must be a whole number")
        return int(raw)
    return raw


def _parse_bool(raw: str) -> bool:
    truth = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}
    if raw.lower() not in truth:
        raise ValueError("must be on or off")
    return truth[raw.lower()]


def _text(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
