"""What passes did and how long changes took is counted in the ledger, for good."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.company import ANN, Company, free_port
from tests.integration.test_ledger_locks import counted
from watcher.errors import LedgerAway
from watcher.handlers.app import create_app
from watcher.jobs.pulse import Pulse, myself
from watcher.ledger import counters, owing, runs
from watcher.ledger.db import Database
from watcher.ledger.models import Run
from watcher.sync.work import work_off
from watcher.telemetry.counts import Counts


def metrics(company: Company) -> dict[str, float]:
    text = create_app(company.services).test_client().get("/metrics").get_data(as_text=True)
    return {name: float(value) for name, value in re.findall(r"^(watcher_\S+) (\S+)$", text, re.M)}


def test_counters_outlive_the_diary(company: Company) -> None:
    company.connect()
    before = metrics(company)
    company.google.insert_event(ANN, company.timed())
    number = company.calendar().id
    with company.services.db.session() as session:
        owing.owe_looks(session, [number], "push", company.services.clock())
    assert work_off(company.services, number, "push") == "done"
    after = metrics(company)
    for name in (
        'watcher_passes_total{kind="delta"}',
        'watcher_writes_total{kind="created"}',
        "watcher_change_seconds_count",
        'watcher_change_seconds_bucket{le="60.0"}',
        'watcher_change_seconds_bucket{le="+Inf"}',
    ):
        assert after[name] == before.get(name, 0) + 1, name
    assert 0 <= after["watcher_change_seconds_sum"] < 60

    assert runs.prune(company.services.db, company.services.clock() + timedelta(days=15)) > 0
    kept = metrics(company)
    assert {k: v for k, v in kept.items() if "_total" in k or "change_seconds" in k} == {
        k: v for k, v in after.items() if "_total" in k or "change_seconds" in k
    }


def calls(company: Company) -> dict[str, float]:
    """By ``side/result``, as far as they are in the ledger."""
    found = re.compile(r'watcher_calls_total\{result="(\w+)",side="(\w+)"\}')
    named = ((found.fullmatch(name), value) for name, value in metrics(company).items())
    return {f"{match[2]}/{match[1]}": value for match, value in named if match}


def test_calls_are_counted_by_what_came_of_them(company: Company) -> None:
    company.connect()
    before = calls(company)
    assert before["google/2xx"] > 0
    assert before["erpnext/2xx"] > 0
    company.google.add_fault(match="/events", status=503, count=None)
    assert company.sync() == "failed"
    company.google.clear_faults()
    company.google.add_fault(match="/events", status=429, count=1)
    company.later(minutes=5)
    company.google.insert_event(ANN, company.timed())
    company.site.add_fault(
        match="insert", status=417, exc_type="ValidationError", message="no", count=1
    )
    with counted(company.services.db) as statements:
        assert company.sync() == "done"
    # They go with the pass's own counters, in one statement of its own transaction.
    assert len([each for each in statements if "INTO counters" in each]) == 1
    after = calls(company)
    assert after["google/5xx"] >= 1
    assert after["google/429"] == 1
    assert after["erpnext/4xx"] >= 1
    assert after["erpnext/2xx"] > before["erpnext/2xx"]


def test_a_side_that_cannot_be_reached_is_counted(company: Company) -> None:
    company.connect()
    before = calls(company)
    port = free_port()
    company.set("erpnext_url", f"http://127.0.0.1:{port}")
    company.rebuild()
    company.google.insert_event(ANN, company.timed())
    assert company.sync() == "failed"
    assert calls(company)["erpnext/error"] > before.get("erpnext/error", 0)


def test_a_tick_writes_what_no_pass_has_written(company: Company) -> None:
    company.services.erpnext.ping()
    assert "erpnext/2xx" not in calls(company)
    Pulse(company.services, myself("web")).beat()
    assert calls(company) == {"erpnext/2xx": 1}
    Pulse(company.services, myself("web")).beat()
    assert calls(company) == {"erpnext/2xx": 1}


def test_counts_that_were_not_written_are_kept() -> None:
    counts = Counts()
    counts.add("a")

    def fail() -> None:
        with counts.taken() as taken:
            assert taken == {"a": 1}
            counts.add("a")
            raise LedgerAway("no")

    with pytest.raises(LedgerAway):
        fail()
    with counts.taken() as taken:
        assert taken == {"a": 2}


def test_each_lag_is_in_one_bucket(db: Database) -> None:
    lags = [-1.0, 0.0, 0.5, 0.51, 59.0, 60.0, 61.0, 86_400.0]
    with db.session() as session:
        for lag in lags:
            counters.add(session, counters.of_run(Run(kind="delta", reason="push", lag_google=lag)))
        # A poll finds what was changed long before: that says nothing of pushes.
        counters.add(session, counters.of_run(Run(kind="delta", reason="poll", lag_google=9.0)))
        counters.add(session, {})
    with db.reading() as session:
        found = counters.read(session)
    assert {name: n for name, n in found.items() if name.startswith(counters.FRESHNESS)} == {
        "freshness/0.5": 3,
        "freshness/1.0": 1,
        "freshness/60.0": 2,
        "freshness/300.0": 1,
        "freshness/+Inf": 1,
    }
    assert found["passes/delta"] == len(lags) + 1
    assert found[counters.FRESHNESS_MS] == round(1000 * sum(lag for lag in lags if lag > 0))
