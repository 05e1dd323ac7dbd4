"""``watcher doctor`` beside a real queue: what Redis keeps, and the program as a whole."""

from __future__ import annotations

import redis

from tests.company import Company
from tests.integration.test_cli_runner import run, sqlite_only
from watcher.doctor.case import opened
from watcher.doctor.examine import examine
from watcher.doctor.say import Finding, Verdict
from watcher.doctor.table import CHECKS
from watcher.settings import Loaded

pytestmark = sqlite_only


def look(company: Company, name: str) -> Finding:
    with opened(Loaded(company.settings, {}, {})) as case:
        found = examine(case, [check for check in CHECKS if check.name == name])
    return found.findings[name]


def test_what_redis_keeps_and_throws_away(company: Company) -> None:
    """The Valkey of the tests keeps nothing, so that it shows both."""
    with redis.Redis.from_url(company.environ["WATCHER_REDIS_URL"]) as client:
        assert look(company, "queue.answers").verdict == Verdict.OK
        forgets = look(company, "queue.keeps")
        assert (forgets.verdict, "config set appendonly yes" in forgets.do) == (Verdict.WARN, True)
        assert look(company, "queue.evicts").verdict == Verdict.OK
        before = client.config_get("maxmemory")["maxmemory"]
        try:
            client.config_set("maxmemory", "100mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
            evicts = look(company, "queue.evicts")
            client.config_set("save", "3600 1")
            assert look(company, "queue.keeps").verdict == Verdict.OK
        finally:
            client.config_set("save", "")
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", before)
    assert (evicts.verdict, "allkeys-lru" in evicts.message) == (Verdict.WARN, True)
    assert "maxmemory-policy noeviction" in evicts.do


def test_the_program_says_the_same(company: Company) -> None:
    """As a process of its own, to its end within the time that it promises."""
    company.set("erpnext_api_secret", "wrong")
    done = run(company, "doctor", code=7, says=("fail erpnext.user", "refused the API key"))
    assert company.key not in done.says
