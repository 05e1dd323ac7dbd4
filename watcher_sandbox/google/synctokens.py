"""Sync tokens and pages: what a caller must bring back unchanged."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from watcher_sandbox.google.errors import GoogleError, full_sync_required, invalid
from watcher_sandbox.google.model import Json

MAX_SESSIONS = 256


@dataclass(frozen=True, slots=True)
class SyncPoint:
    """What a sync token stands for: user and calendar, the query, a place in the log."""

    user: str
    calendar: str
    seq: int
    query: dict[str, Any]
    issued_ms: int
    serial: int = 0
    """How many tokens there were when this one was made."""


class SyncTokens:
    """Makes and reads tokens; nothing is stored but when older ones were expired."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._made = 0
        self._expired: list[tuple[str | None, str | None, int]] = []

    def make(self, point: SyncPoint) -> str:
        self._made += 1
        packed = json.dumps(
            [point.user, point.calendar, point.seq, point.query, point.issued_ms, self._made]
        ).encode()
        return base64.urlsafe_b64encode(self._sign(packed) + packed).decode().rstrip("=") + "="

    def read(self, token: str, bad_status: int) -> SyncPoint:
        """410 for a token that has expired; ``bad_status`` for one that this server did not
        make."""
        try:
            raw = base64.urlsafe_b64decode(token.rstrip("=") + "=" * (-len(token.rstrip("=")) % 4))
        except (binascii.Error, ValueError):
            raise bad_token(bad_status) from None
        if not hmac.compare_digest(raw[:12], self._sign(raw[12:])):
            raise bad_token(bad_status)
        return SyncPoint(*json.loads(raw[12:]))

    def expire(self, user: str | None = None, calendar: str | None = None) -> None:
        """All tokens made so far end; None: of all users, of all calendars."""
        self._expired.append((user, calendar, self._made))

    def is_expired(self, point: SyncPoint) -> bool:
        return any(
            point.serial <= made
            and user in (None, point.user)
            and calendar in (None, point.calendar)
            for user, calendar, made in self._expired
        )

    def _sign(self, packed: bytes) -> bytes:
        return hmac.new(self._key, packed, hashlib.sha256).digest()[:12]


def bad_token(status: int) -> GoogleError:
    """The token is malformed or of another query: 400 or 410 by a switch, since sources differ."""
    if status == 410:
        return full_sync_required()
    return invalid("syncToken", "Invalid sync token value.")


@dataclass(slots=True)
class Session:
    """A paged answer: all items as they were when its first page was asked for."""

    key: str
    items: list[Json]
    seq: int
    empty_first: bool


class Pages:
    """Paged answers by handle; the oldest are forgotten. A page may be asked for again."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self, session: Session) -> str:
        handle = secrets.token_hex(8)
        self._sessions[handle] = session
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return handle

    def find(self, token: str, key: str) -> tuple[str, Session, int]:
        """(handle, session, offset); 400 unless it belongs to exactly this query."""
        handle, _, offset = token.partition(".")
        session = self._sessions.get(handle)
        if session is None or session.key != key or not offset.isdigit():
            raise invalid("pageToken", "Invalid page token value.")
        return handle, session, int(offset)


def paged(
    pages: Pages, session: Session, page_token: str | None, size: int
) -> tuple[list[Json], str | None, int]:
    """(items, next page token, the log's place at the first page)."""
    if page_token is not None:
        handle, session, offset = pages.find(page_token, session.key)
    elif session.empty_first:
        return [], f"{pages.open(session)}.0", session.seq
    elif len(session.items) <= size:
        return session.items, None, session.seq
    else:
        handle, offset = pages.open(session), 0
    items = session.items[offset : offset + size]
    more = offset + size < len(session.items)
    return items, f"{handle}.{offset + size}" if more else None, session.seq
