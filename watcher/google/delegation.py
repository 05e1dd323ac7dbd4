"""Domain-wide delegation: the service account's key, and for whom it may act.

The scope that a Workspace admin grants to the key does not limit whose mailbox it can open, so
our own allow-list does (``WATCHER_DELEGATION_ALLOW``).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from watcher.errors import UserError, counted, sentence

log = logging.getLogger(__name__)

_CONSOLE = "https://admin.google.com/ac/owl/domainwidedelegation"
_SETTING = "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE"
_NEEDED = ("client_email", "private_key", "client_id")
_MAX_KEY_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceAccount:
    """A validated key file. ``client_id`` is what the admin enters in the Admin console, the age
    is the file's.

    ``info`` is the whole file, for google-auth; it holds the private key, hence not in the repr.
    ``warnings`` are sentences for ``doctor`` and the log.
    """

    client_email: str
    client_id: str
    info: dict[str, Any] = field(repr=False)
    age_days: int = 0
    warnings: tuple[str, ...] = ()


def console_line(client_id: str, scopes: Iterable[str]) -> str:
    """What the Workspace admin has to do so that the service account has these scopes."""
    named = list(scopes)
    return counted(
        "add at %(console)s the client ID %(client)s with the scope %(scopes)s",
        "add at %(console)s the client ID %(client)s with the scopes %(scopes)s",
        len(named),
        console=_CONSOLE,
        client=client_id,
        scopes=",".join(named),
    )


def load_service_account(path: str | Path) -> ServiceAccount:
    """Read and check a service account's JSON key; raises ``UserError`` with what to do."""
    file = Path(path)
    info = _read(file)
    if info.get("type") != "service_account":
        raise UserError(
            sentence(
                "%(file)s is not a service account key (its type is %(kind)s).",
                file=str(file),
                kind=repr(info.get("type"))[:40],
            ),
            next_step=sentence(
                "Create a JSON key of the service account and name it in %(setting)s.",
                setting=_SETTING,
            ),
        )
    missing = [name for name in _NEEDED if not isinstance(info.get(name), str) or not info[name]]
    if missing:
        raise _bad(
            sentence(
                "The service account key %(file)s lacks %(fields)s.",
                file=str(file),
                fields=", ".join(missing),
            )
        )
    _check_private_key(file, info["private_key"])
    return ServiceAccount(
        client_email=info["client_email"],
        client_id=info["client_id"],
        info=info,
        age_days=int((time.time() - file.stat().st_mtime) / 86_400),
        warnings=_mode_warnings(file),
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UserError(
            sentence(
                "The service account key %(file)s cannot be read: %(reason)s.",
                file=str(file),
                reason=error.strerror or str(error),
            ),
            next_step=sentence(
                "Correct %(setting)s, or the file's owner and mode.", setting=_SETTING
            ),
        ) from None
    try:
        info = json.loads(content) if len(content) <= _MAX_KEY_BYTES else None
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict):
        raise _bad(
            sentence("The service account key %(file)s is not a JSON object.", file=str(file))
        )
    return info


def _check_private_key(file: Path, pem: str) -> None:
    try:
        load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _bad(
            sentence(
                "The service account key %(file)s has a private_key that cannot be used.",
                file=str(file),
            )
        ) from None


def _bad(what: str) -> UserError:
    return UserError(
        what,
        next_step=sentence(
            "Download a new JSON key in the Google Cloud console (IAM > Service accounts)."
        ),
    )


def _mode_warnings(file: Path) -> tuple[str, ...]:
    """A key that others can read opens every allowed mailbox: warn, but start. Its group may read
    it, as with all files of the service that belong to root."""
    if os.name != "posix" or not file.stat().st_mode & 0o007:
        return ()
    warning = f"{file} can be read by other users of this machine: chmod o-rwx {file}"
    log.warning("the service account key is readable by others: %s", warning)
    return (warning,)


@dataclass(frozen=True, kw_only=True, slots=True)
class DelegationAllow:
    """Mailboxes and ``@domain``s that the service account may act for; empty allows nobody."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> DelegationAllow:
        """From setting values; raises ``UserError`` that names every malformed entry."""
        cleaned = [entry.strip().lower() for entry in entries if entry.strip()]
        bad = [entry for entry in cleaned if not _is_entry(entry)]
        if bad:
            raise UserError(
                sentence(
                    "WATCHER_DELEGATION_ALLOW has malformed entries: %(entries)s",
                    entries=", ".join(bad),
                ),
                next_step=sentence("Give addresses (ann@example.com) or domains (@example.com)."),
            )
        return cls(
            addresses=frozenset(entry for entry in cleaned if not entry.startswith("@")),
            domains=frozenset(entry[1:] for entry in cleaned if entry.startswith("@")),
        )

    def allows(self, email: str) -> bool:
        """Whether the key may be used for ``email``. A domain does not include its subdomains."""
        address = email.strip().lower()
        if not _is_entry(address) or address.startswith("@"):
            return False
        return address in self.addresses or address.partition("@")[2] in self.domains


@dataclass(frozen=True, slots=True)
class Delegation:
    """The key of the service account (None: there is none) and for whom it may be used."""

    key: ServiceAccount | None = None
    allow: DelegationAllow = field(default_factory=DelegationAllow)

    @classmethod
    def read(cls, key_file: str, allow: Iterable[str]) -> Delegation:
        """From setting values; an empty ``key_file`` means no key. Raises ``UserError``."""
        allowed = DelegationAllow.parse(allow)
        return cls(load_service_account(key_file) if key_file else None, allowed)


def _is_entry(entry: str) -> bool:
    name, at, domain = entry.partition("@")
    plain = not any(character.isspace() for character in entry)
    return bool(plain and at and domain and "@" not in domain and (name or entry[0] == "@"))
