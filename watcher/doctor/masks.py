"""Settings for people to look at: nothing secret, nor what is half of a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator

from watcher.settings import SECRETS, Settings, env_name, fields, plain

_PASSWORD = re.compile(r"([?&](?:ssl|sentinel)?_?password=)[^&]*", re.IGNORECASE)


def masked(settings: Settings, name: str) -> str:
    """The value of one setting."""
    value = getattr(settings, name)
    if name in SECRETS:
        return "********" if value.get_secret_value() else ""
    if name == "erpnext_api_key" and value:
        return f"{value[:4]}****"  # no secret by itself, but half of one
    if name in ("database_url", "redis_url"):
        value = _PASSWORD.sub(r"\1********", value)
        scheme, _, rest = value.partition("://")
        return f"{scheme}://********@{rest.rpartition('@')[2]}" if "@" in rest else value
    return plain(value)


def chosen(settings: Settings) -> Iterator[tuple[str, str]]:
    """Those that differ from their defaults: name and masked value."""
    for name, field in fields().items():
        if getattr(settings, name) != field.default:
            yield env_name(name), masked(settings, name)
