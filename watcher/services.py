"""Composition root: ``build(settings)`` makes everything a process needs, once, after any fork."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from watcher.jobs.enqueue import Doorbell
from watcher.settings import Settings
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


def build(settings: Settings, *, clock: Clock = utc_now, migrate: bool = True) -> Services:
    """Open the ledger (migrating it), the key ring and the queue.

    Raises ``UserError`` for a missing key or a malformed URL. Nothing connects to Redis here:
    a doorbell that is down must not stop a process that can do without it.
    """
    keyring = Keyring(settings.secret_keys.get_secret_value().split(","))
    db = Database(settings.database_url or f"sqlite:///{settings.data_dir / 'ledger.sqlite3'}")
    if migrate:
        db.migrate()
    return Services(
        settings=settings, db=db, keyring=keyring, doorbell=Doorbell(redis_url(settings)),
        clock=clock,
    )  # fmt: skip
