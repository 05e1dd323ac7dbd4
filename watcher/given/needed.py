"""Settings that the running processes cannot do without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watcher.errors import sentence

NEEDED = ("secret_keys", "public_url", "erpnext_url", "erpnext_api_key", "erpnext_api_secret")
"""Settings without which ``up``, ``web``, ``worker`` and ``cron`` refuse to start; a way to Google
is needed besides."""


def missing(found: Mapping[str, Any], folder: Path) -> list[str]:
    """What is wrong with these settings, by field: what is not set, and what does not fit to what
    is."""
    problems = [_unset(f"WATCHER_{name.upper()}") for name in NEEDED if name not in found]
    key_file = found.get("google_service_account_file")
    if key_file is not None and not (folder / key_file).is_file():
        problems.append(
            sentence(
                "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE: %(file)s is not a file", file=str(key_file)
            )
        )
    client = [name in found for name in ("google_client_id", "google_client_secret")]
    if any(client) and not all(client):
        lacks = "WATCHER_GOOGLE_CLIENT_SECRET" if client[0] else "WATCHER_GOOGLE_CLIENT_ID"
        problems.append(_unset(lacks))
    if "smtp_url" in found and "admin_emails" not in found:
        problems.append(
            sentence("WATCHER_SMTP_URL is set, but WATCHER_ADMIN_EMAILS names nobody to write to")
        )
    if not any(client) and key_file is None:
        problems.append(
            sentence(
                "no way to Google is set: WATCHER_GOOGLE_CLIENT_ID and "
                "WATCHER_GOOGLE_CLIENT_SECRET, or WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE"
            )
        )
    return problems


def _unset(name: str) -> str:
    return sentence("%(setting)s is not set", setting=name)
