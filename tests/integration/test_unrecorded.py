"""Notifications that the ledger could not record are made up for when it takes writes again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, event

from tests.company import ANN, BOB, Company
from tests.waiting import wait_for
from watcher.handlers import missed
from watcher.handlers.app import create_app
from watcher.ledger import channels, debts, leases, owing
from watcher.ledger.secrets import digest

TOKEN = "token-of-a-channel"


@dataclass
class Refusing:
    """The ledger refuses writes while ``on``: the database itself does, as it does when its disk is
    full or read-only."""

    company: Company
    on: bool = False

    def checkout(self, connection: Any, _record: object, _proxy: object) -> None:
        if self.company.services.db.is_sqlite:
            connection.execute("PRAGMA query_only=OFF")

    def begun(self, connection: Connection) -> None:
        if self.on:
            is_sqlite = self.company.services.db.is_sqlite
            words = "PRAGMA query_only=ON" if is_sqlite else "SET TRANSACTION READ ONLY"
            connection.exec_driver_sql(words)

    def quick(self, connection: Any, _record: object, _proxy: object) -> None:
        """Connections on which the driver itself is asked."""
        on = "ON" if self.on else "OFF"
        is_sqlite = self.company.services.db.is_sqlite
        words = "PRAGMA query_only" if is_sqlite else "SET default_transaction_read_only"
        connection.execute(f"{words} = {on}")


@pytest.fixture
def shop(company: Company) -> Company:
    company.setup_erpnext()
    for email in (ANN, BOB):
        company.add(email)
        assert company.sync(email) == "done"
        with company.services.db.session() as session:
            row = channels.live(session, company.calendar(email).id, company.services.clock())
            assert row is not None
            row.token_hash = digest(TOKEN)
    company.services.doorbell.client.flushall()
    return company


@pytest.fixture
def ledger(shop: Company) -> Iterator[Refusing]:
    refusing = Refusing(shop)
    db = shop.services.db
    event.listen(db.engine, "checkout", refusing.checkout)
    event.listen(db.engine, "begin", refusing.begun)
    event.listen(db._quick.engine, "checkout", refusing.quick)
    yield refusing
    refusing.on = False


Notify = Callable[[str], int]


@pytest.fixture
def notify(shop: Company) -> Notify:
    """Google's message of one account's calendar, to a web process; returns the status."""
    client = create_app(shop.services).test_client()
    sent = {email: _headers(shop, email) for email in (ANN, BOB)}
    return lambda email: client.post("/webhooks/google", headers=sent[email]).status_code


def _headers(shop: Company, email: str) -> dict[str, str]:
    with shop.services.db.session() as session:
        live = channels.live(session, shop.calendar(email).id, shop.services.clock())
    assert live is not None
    return {
        "X-Goog-Channel-ID": live.id,
        "X-Goog-Channel-Token": TOKEN,
        "X-Goog-Resource-ID": live.resource_id or "",
        "X-Goog-Resource-State": "exists",
    }


def owes(shop: Company, email: str = ANN) -> bool:
    row = shop.calendar(email)
    return row.dirty_seq > row.synced_seq


def test_what_was_refused_is_mirrored_though_nothing_more_is_told(
    shop: Company, ledger: Refusing, notify: Notify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missed, "RETRY_SECONDS", 0.05)
    shop.google.insert_event(ANN, shop.timed(summary="Tasting"))
    ledger.on = True
    assert notify(ANN) == 503
    ledger.on = False
    wait_for(lambda: owes(shop), what="the debt")
    assert shop.calendar().dirty_reason == "unrecorded"
    assert shop.sync() == "done"
    assert shop.subjects() == ["Tasting"]


def test_the_next_notification_tells_that_the_ledger_is_back(
    shop: Company, ledger: Refusing, notify: Notify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missed, "RETRY_SECONDS", 3_600)
    ledger.on = True
    assert notify(ANN) == 503
    ledger.on = False
    assert notify(BOB) == 204
    wait_for(lambda: owes(shop), what="the debt of the other calendar")


def test_a_pass_that_has_read_before_is_followed_by_another(
    shop: Company, ledger: Refusing, notify: Notify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calendar owes a look already and is being read: what was refused came after that."""
    monkeypatch.setattr(missed, "RETRY_SECONDS", 0.05)
    services, number = shop.services, shop.calendar().id
    with services.db.session() as session:
        owing.owe_looks(session, [number], "push", services.clock())
        lease = leases.take_calendar(session, number, services.owner)
        assert lease is not None
        work = debts.begin(session, lease)
    ledger.on = True
    assert notify(ANN) == 503
    ledger.on = False
    wait_for(lambda: shop.calendar().dirty_seq > work.seq, what="the debt")


def test_strangers_are_not_made_up_for(shop: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed.Missed, "note", lambda _: pytest.fail("nothing was refused"))
    headers = {"X-Goog-Channel-ID": "x", "X-Goog-Resource-State": "exists"}
    client = create_app(shop.services).test_client()
    assert client.post("/webhooks/google", headers=headers).status_code == 404
    assert not owes(shop)
