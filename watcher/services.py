"""Composition root: ``build(settings)`` makes everything a process needs, once, after any fork."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from watcher.errors import UserError, WatcherError
from watcher.jobs.enqueue import Doorbell
from watcher.settings import Settings, load
from watcher.state import keys
from watcher.state.db import Database
from watcher.state.secrets import Keyring
from watcher.valkey import redis_url

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """What the rooms are handed. ``clock`` gives aware UTC datetimes; ``owner`` names this
    process in leases (host, pid and a nonce, so that a reused pid is another owner)."""

    settings: Settings
    db: Database
    keyring: Keyring
    doorbell: Doorbell
    clock: Clock = utc_now
    owner: str = field(
        default_factory=lambda: f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    )


def build(
    settings: Settings, *, clock: Clock = utc_now, migrate: bool = True, check_keys: bool = True,
    make: bool = False,
) -> Services:  # fmt: skip
    """Open the ledger (migrating it, and with ``make`` making it), the key ring and the queue.

    Raises ``WatcherError`` when there is no ledger, ``UserError`` for a key that is missing or
    does not fit the ledger, and for a malformed URL. Nothing connects to Redis here: a doorbell
    that is down must not stop a process that can do without it.
    """
    given = settings.secret_keys.get_secret_value().split(",")
    keyring = Keyring(given, again=lambda: _keys_now(given))
    db = Database(ledger_url(settings))
    if migrate:
        try:
            db.migrate(make=make)
            if check_keys:
                keys.require_known(db, keyring)
        except WatcherError:
            db.dispose()
            raise
    return Services(
        settings=settings, db=db, keyring=keyring, doorbell=Doorbell(redis_url(settings)),
        clock=clock,
    )  # fmt: skip


def ledger_url(settings: Settings) -> str:
    return settings.database_url or f"sqlite:///{settings.data_dir / 'ledger.sqlite3'}"


def _keys_now(given: Sequence[str]) -> Sequence[str]:
    """The keys as they are set at this moment; a new one may have been put in front."""
    try:
        now = load().settings.secret_keys.get_secret_value()
    except UserError:
        return given
    return now.split(",") if now else given
