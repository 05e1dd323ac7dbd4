"""Redis or Valkey: whether it answers, and keeps what it is given."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import redis

from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.errors import WatcherError


def answers(case: Case) -> say.Finding:
    """The queue that is set, or that of ``watcher up``."""
    own = not case.settings.redis_url
    try:
        refusal = case.made.doorbell.tried()
    except redis.AuthenticationError:
        return say.denied(
            say.sentence("Redis refuses the password"), say.sentence("correct WATCHER_REDIS_URL")
        )
    except redis.RedisError as error:
        if own and not _runs(case):
            return say.skip(
                say.sentence("`watcher up` brings its own queue along, and does not run")
            )
        if own:
            return say.away(
                say.sentence(
                    "the queue of `watcher up` does not answer (%(reason)s)",
                    reason=say.why_unreached(error),
                ),
                say.sentence("start `watcher up` again; its log says why the queue ended"),
            )
        return say.away(
            say.sentence("Redis does not answer (%(reason)s)", reason=say.why_unreached(error)),
            say.sentence("start Redis or Valkey, or correct WATCHER_REDIS_URL"),
        )
    if refusal:
        return say.fail(
            say.sentence("Redis answers, and takes no job: %(refusal)s", refusal=refusal),
            say.sentence(
                "give it memory (redis-cli config set maxmemory 0) and disk, or correct "
                "WATCHER_REDIS_URL"
            ),
        )
    if own:
        return say.ok(say.sentence("the queue of `watcher up` answers"))
    return say.ok(say.sentence("Redis answers"))


def _runs(case: Case) -> bool:
    """Whether a process of Watcher runs, as far as the ledger knows."""
    try:
        return any(asdict(case.status.processes).values())
    except WatcherError:  # the ledger's own checks say so
        return False


def keeps(case: Case) -> say.Finding:
    """Jobs outlive a restart of Redis. They are only late without that: cron rings again."""
    aof = _asked(case, "appendonly")
    if aof is None:
        return say.skip(say.sentence("Redis does not let its settings be read"))
    if aof == "yes":
        return say.ok(say.sentence("Redis writes what it is given to an append-only file"))
    if _asked(case, "save"):
        return say.ok(say.sentence("Redis writes what it is given to a file now and then"))
    return say.warn(
        say.sentence(
            "Redis forgets waiting jobs when it is restarted: changes are late then, not lost"
        ),
        "redis-cli config set appendonly yes",
    )


def evicts(case: Case) -> say.Finding:
    """No job is thrown away for want of memory."""
    policy = _asked(case, "maxmemory-policy")
    if policy is None:
        return say.skip(say.sentence("Redis does not let its settings be read"))
    if policy == "noeviction" or _asked(case, "maxmemory") in ("0", None):
        return say.ok(say.sentence("Redis throws no job away"))
    return say.warn(
        say.sentence(
            "Redis throws jobs away when its memory is full (maxmemory-policy %(policy)s)",
            policy=policy,
        ),
        "redis-cli config set maxmemory-policy noeviction",
    )


def _asked(case: Case, name: str) -> str | None:
    """A setting of Redis; None where it is not told, as by hosted ones."""
    try:
        found: Any = case.made.doorbell.client.config_get(name)
    except redis.ResponseError:
        return None
    value = found.get(name)
    return None if value is None else str(value)
