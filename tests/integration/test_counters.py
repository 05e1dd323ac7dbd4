"""What passes did and how long changes took is counted in the ledger, for good."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.company import ANN, Company
from watcher.handlers.app import create_app
from watcher.ledger import counters, owing, runs
from watcher.ledger.db import Database
from watcher.ledger.models import Run
from watcher.sync.work import work_off


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
