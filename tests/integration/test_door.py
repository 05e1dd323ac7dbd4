"""The way in for notifications, which does not lead through Flask: it answers as all pages do."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.company import Company
from tests.integration.test_ledger_locks import counted
from watcher.handlers.app import create_app
from watcher.handlers.notifications import Reception
from watcher.ledger import channels, inbox
from watcher.telemetry import traces

pytestmark = pytest.mark.one_shape("sqlite")

TOLD_OF_ANSWER = {"Date", "Content-Type", "Content-Length", "Cache-Control", traces.HEADER}


@pytest.fixture
def web(company: Company) -> FlaskClient:
    company.connect_at_rest()
    return create_app(company.services).test_client()


@pytest.fixture
def genuine(company: Company, web: FlaskClient) -> dict[str, str]:
    """Google's headers for Ann's calendar."""
    with company.services.db.reading() as session:
        row = channels.live(session, company.calendar().id, company.services.clock())
    assert row is not None
    return {
        "X-Goog-Channel-ID": row.id,
        "X-Goog-Channel-Token": company.google.channels.all[row.id].token or "",
        "X-Goog-Resource-ID": row.resource_id or "",
        "X-Goog-Resource-State": "exists",
    }


def test_its_answers_have_the_headers_of_all_others(
    web: FlaskClient, genuine: dict[str, str]
) -> None:
    def kept(headers: Any) -> dict[str, str]:
        return {name: value for name, value in headers if name not in TOLD_OF_ANSWER}

    expected = kept(web.get("/healthz").headers)
    assert "Content-Security-Policy" in expected
    for sent, status in ((genuine, 204), ({}, 400), (genuine | {"X-Goog-Channel-ID": "x"}, 404)):
        answer = web.post("/webhooks/google", headers=sent)
        assert (answer.status_code, kept(answer.headers)) == (status, expected)
        assert traces.is_well_formed(answer.headers[traces.HEADER])


@pytest.mark.parametrize("path", ["/webhooks/google", "/webhooks/google/"])
def test_the_address_may_end_with_a_slash(
    company: Company, web: FlaskClient, genuine: dict[str, str], path: str
) -> None:
    before = company.calendar().dirty_seq
    assert web.post(path, headers=genuine).status_code == 204
    assert company.calendar().dirty_seq == before + 1
    assert web.get(path).status_code == 405


def test_a_defect_is_told_to_google_and_to_the_log_without_the_token(
    web: FlaskClient,
    genuine: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(_self: Reception, _environ: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Reception, "receive", fails)
    answer = web.post("/webhooks/google", headers=genuine)
    assert (answer.status_code, answer.text) == (500, "defect\n")
    [said] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert said.exc_info is not None
    assert genuine["X-Goog-Channel-Token"] not in caplog.text


def test_who_writes_alone_looks_once(
    company: Company,
    web: FlaskClient,
    genuine: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, look = list[str](), inbox.look

    def noted(*given: Any) -> Any:
        looks.append("look")
        return look(*given)

    monkeypatch.setattr(inbox, "look", noted)
    with counted(company.services.db) as statements:
        assert web.post("/webhooks/google", headers=genuine).status_code == 204
    assert looks == ["look"]
    assert len([each for each in statements if each.startswith("UPDATE calendars")]) == 1


def test_flask_has_nothing_to_do_with_it(web: FlaskClient, genuine: dict[str, str]) -> None:
    app: Flask = web.application
    seen: list[str] = []
    app.before_request_funcs.setdefault(None, []).append(lambda: seen.append("flask"))
    assert web.post("/webhooks/google", headers=genuine).status_code == 204
    assert seen == []
