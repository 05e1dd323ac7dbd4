"""Clients of the queue's Redis or Valkey, also where Sentinels say which of several leads."""

from __future__ import annotations

from typing import Any

import redis
from redis.sentinel import Sentinel

from watcher.errors import sentence
from watcher.given import queue_url

_TRIED = "watcher:tried"
_REFUSALS = {
    redis.OutOfMemoryError: sentence("its memory is full (maxmemory)"),
    redis.ReadOnlyError: sentence("it is a read-only replica"),
    redis.exceptions.NoPermissionError: sentence("its user may not write"),
}


def refusal(client: redis.Redis) -> str:
    """Why Redis takes no job, though it answers; empty when it would take one. Nothing is written:
    Redis judges a write before it finds that there is no such key to change. Raises
    ``redis.RedisError`` when it does not answer."""
    try:
        client.set(_TRIED, "", xx=True)
    except redis.ResponseError as error:
        known = next((word for kind, word in _REFUSALS.items() if isinstance(error, kind)), "")
        if not known and str(error).startswith("MISCONF"):
            known = sentence("it cannot write to its own disk")
        return known or sentence("it answers %(word)s", word=str(error).split(maxsplit=1)[0])
    return ""


def client(url: str, **options: Any) -> redis.Redis:
    """A client that connects when it is first used. ``options`` are those of redis-py's
    connections.

    With Sentinels, each new connection asks them anew who leads, so that after a failover the next
    try reaches the new one (https://redis.readthedocs.io/en/stable/connections.html).
    """
    found = queue_url.sentinels(url)
    if found is None:
        return redis.Redis.from_url(url, **options)
    tls = {"ssl": True, **found.options} if found.tls else dict(found.options)
    patience = options.get("socket_connect_timeout", 2)
    known_to: Any = Sentinel  # redis-py has no types for it
    sentinel = known_to(
        list(found.hosts),
        sentinel_kwargs={
            **tls,
            **found.own_login,
            "socket_timeout": patience,
            "socket_connect_timeout": patience,
        },
    )
    master: redis.Redis = sentinel.master_for(
        found.master, db=found.database, **tls, **found.login, **options
    )
    return master
