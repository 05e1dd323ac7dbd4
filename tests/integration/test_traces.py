"""One change is followed from its notification to ERPNext by the ids in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient

from tests.company import ANN, Company
from tests.integration.test_ledger_locks import counted
from watcher import __version__
from watcher.handlers.app import create_app
from watcher.handlers.pace import MANY
from watcher.ledger import calendars, channels, debts, leases
from watcher.ledger.models import Run
from watcher.telemetry import traces

pytestmark = pytest.mark.one_shape("sqlite")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """What is logged meanwhile, with its fields and with what is in the log's context."""
    said: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            context = structlog.contextvars.get_contextvars()
            said.append({**context, **vars(record), "event": record.getMessage()})

    keep = Keep()
    caplog.set_level(logging.INFO)
    logging.getLogger("watcher").addHandler(keep)
    yield said
    logging.getLogger("watcher").removeHandler(keep)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def web(company: Company) -> FlaskClient:
    company.connect_at_rest()
    return create_app(company.services).test_client()


def push(company: Company, web: FlaskClient, **headers: str) -> str:
    """Google tells of a change; returns the id of the request."""
    with company.services.db.reading() as session:
        row = channels.live(session, company.calendar().id, company.services.clock())
        assert row is not None
    answer = web.post(
        "/webhooks/google",
        headers={
            "X-Goog-Channel-ID": row.id,
            "X-Goog-Channel-Token": company.google.channels.all[row.id].token or "",
            "X-Goog-Resource-ID": row.resource_id or "",
            "X-Goog-Resource-State": "exists",
            **headers,
        },
    )
    assert answer.status_code == 204
    return answer.headers["X-Request-ID"]


def test_a_change_is_followed_from_its_notification_to_erpnext(
    company: Company, web: FlaskClient, lines: list[dict[str, Any]]
) -> None:
    sent: list[Any] = []
    hooks = company.services.erpnext.session.hooks["response"]
    hooks.append(lambda answer, **_: sent.append(answer.request.headers))
    company.google.insert_event(ANN, company.timed())
    first = push(company, web)
    second = push(company, web)  # served by the same job
    assert company.sync() == "done"
    recorded, served = (line for line in lines if line["name"].endswith("notifications"))
    assert (recorded["event"], recorded["request"]) == ("notification recorded", first)
    assert (served["request"], served["with"]) == (second, first)
    synced = next(line for line in lines if line["event"] == "synced")
    assert synced["requests"] == [first]
    run = last_run(company)
    assert (run.trace, run.told_by) == (synced["pass"], first)
    assert company.calendar().told_by == ""
    assert sent
    assert {headers["X-Frappe-Request-Id"] for headers in sent} == {run.trace}
    assert {headers["User-Agent"] for headers in sent} == {f"Watcher/{__version__} ({run.trace})"}


def last_run(company: Company) -> Run:
    with company.services.db.reading() as session:
        run = calendars.last_run(session, company.calendar().id)
    assert run is not None
    return run


def test_a_pass_that_failed_leaves_its_requests_to_the_next_one(
    company: Company, web: FlaskClient, lines: list[dict[str, Any]]
) -> None:
    first = push(company, web)
    company.google.add_fault(match="/events", status=503, count=None)
    assert company.sync() == "failed"
    company.google.clear_faults()
    failed, second = last_run(company), push(company, web)
    assert failed.told_by == first
    company.later(minutes=2)
    assert company.sync() == "done"
    again = last_run(company)
    assert again.told_by == f"{first} {second}"
    assert again.trace != failed.trace


def test_what_is_told_during_a_pass_is_of_the_next_one(company: Company, web: FlaskClient) -> None:
    first = push(company, web)
    with company.services.db.session() as session:
        lease = leases.take_calendar(session, company.calendar().id, "me")
        assert lease is not None
        work = debts.begin(session, lease)
    second = push(company, web)
    settled = partial(
        debts.Settled,
        at=company.services.clock(),
        next_poll_at=company.services.clock(),
        sync_token="t",
        query_fingerprint="",
        policy_fingerprint="",
        time_zone="UTC",
    )
    with company.services.db.session() as session:
        found = debts.as_found(session, lease.calendar_id, company.services.clock())
        assert not debts.settle(session, lease, work, settled(found=found))
    assert (work.told_by, company.calendar().told_by) == (first, second)


@pytest.mark.both_shapes
def test_of_very_many_the_first_are_named(company: Company, web: FlaskClient) -> None:
    asked = [push(company, web, **{"X-Request-ID": f"{n:040}"}) for n in range(1)]
    for n in range(1, 9):
        with company.services.db.session() as session:
            calendars.not_rung(session, company.calendar().id)
        asked.append(push(company, web, **{"X-Request-ID": f"{n:040}"}))
    told = company.calendar().told_by.split()
    assert told == asked[: len(told)]
    assert 4 <= len(told) < 9


def test_an_id_is_kept_from_our_own_proxy_alone(company: Company, web: FlaskClient) -> None:
    def given(name: str, address: str = "127.0.0.1") -> str:
        answer = web.get(
            "/healthz",
            headers={"X-Request-ID": name},
            environ_base={"REMOTE_ADDR": address},
        )
        return answer.headers["X-Request-ID"]

    assert given("proxy-1234.5") == "proxy-1234.5"
    for name in ("short", "x" * 65, "has blanks in it", "*/ DROP TABLE"):
        assert given(name) != name
    assert given("proxy-1234.5", "203.0.113.9") != "proxy-1234.5"
    assert given("") != given("")


def test_a_flood_is_not_told_line_by_line(
    company: Company, web: FlaskClient, lines: list[dict[str, Any]]
) -> None:
    for _ in range(MANY + 5):
        push(company, web)
    served = [line for line in lines if line["event"] == "a waiting job serves it"]
    assert len(served) == MANY


def test_an_id_costs_no_write(company: Company, web: FlaskClient) -> None:
    with counted(company.services.db) as statements:
        push(company, web)
    writes = [each for each in statements if each.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert len([each for each in writes if each.startswith("UPDATE calendars")]) == 1
    with counted(company.services.db) as statements:
        push(company, web)
    assert not [each for each in statements if each.startswith(("INSERT", "UPDATE", "DELETE"))]


def test_outside_of_a_pass_a_call_is_the_programs(company: Company) -> None:
    structlog.contextvars.clear_contextvars()
    assert traces.current() == ""
    sent: list[Any] = []
    hooks = company.services.erpnext.session.hooks["response"]
    hooks.append(lambda answer, **_: sent.append(answer.request.headers))
    company.services.erpnext.ping()
    assert sent[0]["User-Agent"] == f"Watcher/{__version__}"
    assert "X-Frappe-Request-Id" not in sent[0]
