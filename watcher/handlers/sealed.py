"""What a form has asked for stands behind the address to which it leads, so that the page can be
loaded again, and left and come back to, without the form being sent once more.

Nobody can read it there: it is encrypted for who is signed in. What is short is in the address
itself; what is long or secret is in the ledger for an hour, and the address has its name.
"""

from __future__ import annotations

import base64
import json
import secrets
import zlib
from typing import Any

from flask import session

from watcher.handlers.context import services
from watcher.ledger import pages
from watcher.ledger.secrets import SecretUnreadable

SHORT = 3_500
"""Characters of an address: proxies take more than 4,000."""
_IN_LEDGER = "k."
"""So begins the name of what is in the ledger; a ciphertext has no full stop."""


def keep(purpose: str, document: Any) -> str:
    """A word for the address, by which ``opened`` has the document (of JSON) again."""
    sealed = _seal(purpose, document)
    return sealed if len(sealed) <= SHORT else _into_ledger(sealed)


def keep_for_an_hour(purpose: str, document: Any) -> str:
    """The same for secrets: the address alone is worth nothing, and nothing at all after an
    hour."""
    return _into_ledger(_seal(purpose, document))


def opened(purpose: str, word: str) -> Any:
    """None for what is none of ours, is too old, or was kept for somebody else."""
    sealed: str | None = word
    if word.startswith(_IN_LEDGER):
        with services().db.reading() as db:
            sealed = pages.find(db, word[len(_IN_LEDGER) :][:50], services().clock())
    if not sealed:
        return None
    try:
        blob = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        text = services().keyring.decrypt(blob, row=_row(purpose))
        return json.loads(zlib.decompress(base64.b64decode(text)))
    except (SecretUnreadable, ValueError):
        return None


def _seal(purpose: str, document: Any) -> str:
    packed = zlib.compress(json.dumps(document, ensure_ascii=False).encode(), 9)
    blob = services().keyring.encrypt(base64.b64encode(packed).decode(), row=_row(purpose))
    return base64.urlsafe_b64encode(blob).decode().rstrip("=")


def _into_ledger(sealed: str) -> str:
    name = secrets.token_urlsafe(24)
    with services().db.session() as db:
        pages.keep(db, name, sealed, services().clock())
    return f"{_IN_LEDGER}{name}"


def _row(purpose: str) -> str:
    """Bound to who is signed in; the names are those that ``admin`` and ``employee`` give."""
    employee = session.get("employee")
    whose = session.get("admin") or (employee or {}).get("id", "")
    return f"page:{purpose}:{whose}"
