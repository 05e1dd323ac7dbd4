"""``watcher doctor`` beside a real queue: what Redis keeps, and the program as a whole."""

from __future__ import annotations

import redis

from tests.company import Company
from tests.integration.test_cli_runner import run, sqlite_only
from watcher.doctor.case import opened
from watcher.doctor.examine import examine
from watcher.doctor.say import Finding, Verdict
from watcher.doctor.table import CHECKS
from watcher.handlers.app import create_app
from watcher.jobs import timetable
from watcher.ledger import overview
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


def test_a_queue_that_answers_and_takes_no_job(company: Company) -> None:
    """Its memory is full, or it is a replica: ``ping`` is answered all the same."""
    services, web = company.services, create_app(company.services).test_client()
    with redis.Redis.from_url(company.environ["WATCHER_REDIS_URL"]) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        try:
            client.config_set("maxmemory", 1)
            full = look(company, "queue.answers")
            ready = web.get("/readyz")
            timetable.sweep(services)
            (problem,) = overview.look(services).problems
        finally:
            client.config_set("maxmemory", before)
        try:
            client.replicaof("127.0.0.1", "1")
            replica = look(company, "queue.answers")
        finally:
            client.replicaof("NO", "ONE")
        assert client.get("watcher:tried") is None
    assert (full.verdict, "its memory is full" in full.message) == (Verdict.FAIL, True)
    assert "read-only replica" in replica.message
    assert (ready.status_code, "memory is full" in ready.get_json()["queue"]) == (200, True)
    assert (problem.state, problem.cause) == ("queue_down", "redis_refuses_jobs")
    assert (problem.since is not None, "memory is full" in (problem.message or "")) == (True, True)
    timetable.sweep(services)
    assert not overview.look(services).problems


def test_the_program_says_the_same(company: Company) -> None:
    """As a process of its own, to its end within the time that it promises."""
    company.set("erpnext_api_secret", "wrong")
    done = run(company, "doctor", code=7, says=("fail erpnext.user", "refused the API key"))
    assert company.key not in done.says
