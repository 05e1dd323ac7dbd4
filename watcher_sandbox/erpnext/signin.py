"""Who sends a request: a ``sid`` cookie first, then an API key, else a guest."""

from __future__ import annotations

import base64
import binascii

from watcher_sandbox.erpnext.errors import FrappeError
from watcher_sandbox.erpnext.site import GUEST, Site


def user_of(site: Site, authorization: str, sid: str) -> str:
    """The user's e-mail address, or ``Guest``. Raises 401 for a wrong key or secret.

    A ``sid`` cookie beats the header; nobody signs in with a password here, so that it can only
    be a guest's, or one that ended.
    """
    if sid or not authorization:
        return GUEST
    user = site.user_of(*_pair(authorization))
    if user is None:
        raise FrappeError(401, "AuthenticationError", early=True)
    return user


def _pair(header: str) -> tuple[str, str]:
    """Key and secret of ``token KEY:SECRET`` or HTTP Basic; empty for anything else."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
    elif scheme.lower() != "token":
        return "", ""
    key, _, secret = value.strip().partition(":")
    return key, secret
