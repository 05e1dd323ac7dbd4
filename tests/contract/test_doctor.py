"""``watcher doctor``: each check, with the thing broken that it looks at, and what it says then."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, Response
from werkzeug.serving import make_server

from tests import spoken
from tests.certificates import Authority
from tests.company import ANN, BOB, CLIENT_ID, CLIENT_SECRET, free_port
from tests.shop import Shop
from tests.unit.test_findings_are_sentences import PASTED
from watcher.doctor import examine as examining
from watcher.doctor import titles, work
from watcher.doctor.bundle import blanked
from watcher.doctor.case import Case
from watcher.doctor.examine import Check, Report, examine
from watcher.doctor.say import Finding, Verdict, ok
from watcher.doctor.table import AT_START, CHECKS
from watcher.errors import ExitCode
from watcher.handlers.app import create_app
from watcher.ledger import notices, presence, renewals
from watcher.ledger.models import Account, Calendar, Channel, Quarantined, Run, Tick
from watcher.ledger.states import AccountState
from watcher.processes import first_look
from watcher_sandbox.erpnext.doctypes import ROLES
from watcher_sandbox.erpnext.server import Server as WebServer

Patch = pytest.MonkeyPatch
Break = Callable[["Shop", Patch], object]


OF_OTHERS = "|".join(
    (
        r"/[\w./-]+|nowhere|Asia/Kolkata|Europe/Berlin|APIs-Google|planted-\w+",
        r"\b(?:ToDo|User|Deleted Document|Version|HR Manager|Int|Data|erpnext|frappe)\b",
        r"Hostname mismatch, certificate is not valid for|certificate has expired",
        r"unable to get local issuer certificate|file is not a database|accessNotConfigured",
        r"No such file or directory|--queue backfill|\bbackfill\b|SQLite|planted: Interview",
    )
)
"""Places and names, and words of the system, OpenSSL, SQLite and Google, told as they came."""


@pytest.fixture(autouse=True)
def _can_be_said(monkeypatch: Patch) -> Iterator[None]:
    """Whatever any test here makes a check find, a page can say in another language."""
    real: Callable[[Check, Case], Finding] = examining._looked
    told: list[tuple[str, str]] = []

    def looked(check: Check, case: Case) -> Finding:
        found = real(check, case)
        told.append((check.name, found.message))
        if not PASTED.match(found.do):
            told.append((check.name, found.do))
        return found

    monkeypatch.setattr(examining, "_looked", looked)
    monkeypatch.setattr(spoken, "DATA", re.compile(f"{spoken.DATA.pattern}|{OF_OTHERS}"))
    yield
    # Not while a check runs: the first of these looks reads all of the code, and a check has three
    # seconds.
    left = {(name, word) for name, text in told for word in spoken.unsayable(text)}
    assert left <= {("b.well", "well")}


# --- one table of what is broken ----------------------------------------------------------


def unset(name: str) -> Break:
    return lambda shop, _: shop.environ.pop(f"WATCHER_{name.upper()}")


def given(**settings: str) -> Break:
    def change(shop: Shop, _: Patch) -> None:
        for name, value in settings.items():
            shop.set(name, value)

    return change


def without(doctype: str, permission: str) -> Break:
    def take(_shop: Shop, patch: Patch) -> None:
        user, manager = ROLES[doctype]
        patch.setitem(ROLES, doctype, (user, manager - {permission}))

    return take


def little_room(bytes_left: int) -> Break:
    return lambda _shop, patch: patch.setattr(
        "shutil.disk_usage", lambda _: type("U", (), {"free": bytes_left})
    )


def clock(**off: float) -> Break:
    return lambda shop, _: shop.jump(**off)


def administrator(shop: Shop, _: Patch) -> None:
    key, secret = shop.site.add_user("Administrator", system_manager=True)
    shop.set("erpnext_api_key", key)
    shop.set("erpnext_api_secret", secret)


def disabled_user(shop: Shop, _: Patch) -> None:
    shop.services.erpnext.update(
        {"doctype": "User", "name": "integration@scoopjoy.test", "enabled": 0}
    )


def more_roles(shop: Shop, _: Patch) -> None:
    row = shop.site.row("User", "integration@scoopjoy.test")
    assert row is not None
    shop.site.put("User", row | {"roles": [{"role": "System Manager"}, {"role": "HR Manager"}]})


def sees_no_mail(shop: Shop, _: Patch) -> None:
    shop.give_role()
    row = shop.site.row("User", "integration@scoopjoy.test")
    assert row is not None
    shop.site.put("User", row | {"roles": [{"role": "Watcher"}]})


def custom_field(name: str = "custom_google_sync_key", **changes: Any) -> Break:
    """Change or delete a custom field, that of the key unless another is named."""

    def change(shop: Shop, _: Patch) -> None:
        (row,) = [row for row in shop.site.rows("Custom Field") if row["fieldname"] == name]
        if changes:
            shop.site.put("Custom Field", row | changes)
        else:
            shop.services.erpnext.delete("Custom Field", row["name"])

    return change


def mandatory(shop: Shop, _: Patch) -> None:
    shop.services.erpnext.insert(
        {
            "doctype": "Custom Field",
            "dt": "Event",
            "fieldname": "cost_centre",
            "fieldtype": "Data",
            "label": "Cost Centre",
            "reqd": 1,
        }
    )


def old_key(shop: Shop, _: Patch) -> None:
    file = shop.folder / "service-account.json"
    long_ago = time.time() - 400 * 86_400
    os.utime(file, (long_ago, long_ago))


def revision(text: str) -> Break:
    """The ledger is of another version."""

    def change(shop: Shop, _: Patch) -> None:
        with closing(sqlite3.connect(shop.folder / "data/ledger.sqlite3")) as file, file:
            file.execute("UPDATE alembic_version SET version_num = ?", (text,))

    return change


def key(text: str) -> Break:
    """Change the keys when there are secrets already."""

    def change(shop: Shop, _: Patch) -> None:
        shop.add()
        shop.set("secret_keys", text.format(old=shop.key))

    return change


def not_delegated(shop: Shop, _: Patch) -> None:
    shop.set("delegation_allow", ANN)
    shop.google.delegated_to = []


def no_lists(shop: Shop, _: Patch) -> None:
    shop.set("find_calendars", "admins")
    shop.add()


def in_testing(shop: Shop, _: Patch) -> None:
    shop.consented(ANN)
    with shop.services.db.session() as session:
        account = session.query(Account).one()
        account.state, account.cause = AccountState.NEEDS_RECONNECT, "invalid_grant"
        account.granted_at = account.since - timedelta(days=7)


def blocked(shop: Shop, _: Patch) -> None:
    shop.consented(ANN)
    with shop.services.db.session() as session:
        account = session.query(Account).one()
        account.state, account.cause = AccountState.NEEDS_RECONNECT, "admin_policy_enforced"


def narrow(shop: Shop, _: Patch) -> None:
    shop.consented(ANN)
    with shop.services.db.session() as session:
        session.query(Account).one().granted_scopes = '["email", "openid"]'


def api_off(shop: Shop, _: Patch) -> None:
    shop.add()
    shop.google.add_fault(match="/events", status=403, reason="accessNotConfigured", count=None)


def dead(shop: Shop, _: Patch) -> None:
    shop.consented(ANN)
    with shop.services.db.session() as session:
        session.query(Account).one().state = AccountState.NEEDS_RECONNECT


def no_cron(shop: Shop, _: Patch) -> None:
    shop.connect()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with shop.services.db.session() as session:
        session.add(Tick(name="sweep", last_run_at=long_ago, error=""))


def own_queue_is_away(shop: Shop, patch: Patch) -> None:
    """It hangs, or cannot be started, while the processes beside it run."""
    no_worker(shop, patch)
    del shop.environ["WATCHER_REDIS_URL"]


def cron_has_ended(shop: Shop, _: Patch) -> None:
    shop.connect()
    with shop.services.db.session() as session:
        for kind in ("web", "live", "backfill"):
            me = presence.Me(name=kind, kind=kind, host="here")
            presence.begin(session, me, shop.services.clock() - timedelta(minutes=2))
            presence.tick(session, me, shop.services.clock())


def no_worker(shop: Shop, _: Patch) -> None:
    with shop.services.db.session() as session:
        for kind in ("web", "live", "cron"):
            me = presence.Me(name=kind, kind=kind, host="here")
            presence.begin(session, me, shop.services.clock() - timedelta(minutes=2))
            presence.tick(session, me, shop.services.clock())


def another_secret_since(shop: Shop, _: Patch) -> None:
    """All run, and the file with a secret is newer than they."""
    with shop.services.db.session() as session:
        for kind in presence.KINDS:
            me = presence.Me(name=kind, kind=kind, host=socket.gethostname()[:60])
            presence.begin(session, me, shop.services.clock() - timedelta(minutes=2))
            presence.tick(session, me, shop.services.clock())
    file = shop.folder / "erpnext-secret"
    file.write_text(shop.environ.pop("WATCHER_ERPNEXT_API_SECRET"))
    shop.environ["WATCHER_ERPNEXT_API_SECRET_FILE"] = str(file)


def no_channel(shop: Shop, _: Patch) -> None:
    shop.connect()
    with shop.services.db.session() as session:
        session.query(Channel).delete()
    renewals.look_at_all(shop.services.db, shop.services.clock())


def silent(shop: Shop, _: Patch) -> None:
    shop.connect()
    with shop.services.db.session() as session:
        session.query(Channel).one().heard_at = None
    shop.later(minutes=5)


BROKEN: list[tuple[str, Break, str, str, str]] = [
    (
        "settings.complete",
        unset("erpnext_url"),
        "fail",
        "WATCHER_ERPNEXT_URL is not set",
        "watcher config show",
    ),
    (
        "settings.files",
        lambda shop, _: (shop.folder / "service-account.json").chmod(0o644),
        "warn",
        "every user of this machine can read",
        "chmod o-rwx ",
    ),
    ("data.directory", given(data_dir="nowhere"), "fail", "is not a directory", "watcher init"),
    (
        "data.directory",
        lambda shop, _: (shop.folder / "data").chmod(0o755),
        "warn",
        "can look into",
        "chmod 700",
    ),
    ("data.disk", little_room(5_000_000), "fail", "only 5 MB free", "df -h"),
    ("data.disk", little_room(500_000_000), "warn", "only 500 MB free", "df -h"),
    ("ledger.form", given(database_url="sqlite:///none"), "fail", "no ledger yet", "watcher init"),
    (
        "ledger.form",
        lambda shop, _: (shop.folder / "data/ledger.sqlite3").write_text("not a ledger" * 999),
        "fail",
        "damaged or is no ledger",
        "put a backup",
    ),
    ("ledger.form", revision("9999"), "fail", "written by a newer Watcher", "install that version"),
    ("ledger.form", revision("0001"), "warn", "of an older version", "watcher up"),
    (
        "ledger.writes",
        lambda _, patch: patch.setattr("watcher.ledger.db.LEAST_FREE_BYTES", 10**18),
        "fail",
        "disk is full",
        "df -h",
    ),
    (
        "ledger.keys",
        key("another-key-of-32-characters-....."),
        "fail",
        "cannot open",
        "put the old key back",
    ),
    (
        "ledger.keys",
        key("a-new-key-of-32-characters-at-least,{old}"),
        "warn",
        "under an older key",
        "watcher keys rotate",
    ),
    (
        "queue.answers",
        lambda *_: None,
        "fail",
        "Redis does not answer",
        "correct WATCHER_REDIS_URL",
    ),
    (
        "queue.answers",
        own_queue_is_away,
        "fail",
        "the queue of `watcher up` does not answer",
        "start `watcher up` again",
    ),
    ("processes.running", lambda *_: None, "warn", "nothing has run here yet", "watcher up"),
    ("processes.running", no_worker, "fail", "full syncs and polls are not made", "watcher up"),
    (
        "processes.running",
        another_secret_since,
        "warn",
        "erpnext-secret was changed after they were started",
        "restart Watcher",
    ),
    ("processes.cron", no_cron, "fail", "failed work is not taken up", "watcher up"),
    ("processes.cron", cron_has_ended, "skip", "no `watcher cron` runs", ""),
    (
        "address.dns",
        given(public_url="https://nowhere.invalid"),
        "fail",
        "DNS knows no address of nowhere.invalid",
        "add a DNS record",
    ),
    ("address.route", lambda *_: None, "fail", "nothing answers at", "see that the proxy or"),
    ("address.channels", no_channel, "warn", "1 calendar has no", "watcher channels renew --all"),
    ("address.pushes", silent, "fail", "Google does not reach http", "watcher channels renew"),
    ("google.clock", clock(minutes=10), "fail", "s ahead of that of Google", "timedatectl"),
    ("google.clock", clock(seconds=-60), "warn", "s behind that of Google", "timedatectl"),
    ("google.clock", given(google_token_url="http://127.0.0.1:1/token"), "fail", "reached", "see"),
    ("google.client", given(google_client_secret="wrong"), "fail", "invalid_client", "SECRET"),
    ("google.client", given(google_client_id="wrong"), "fail", "invalid_client", "CLIENT_ID"),
    (
        "google.redirect",
        lambda shop, _: shop.google.add_client(CLIENT_ID, "x", ["https://other.example/callback"]),
        "fail",
        "does not know our redirect URI",
        "/oauth/google/callback at the OAuth client",
    ),
    (
        "google.redirect",
        lambda shop, _: shop.google.behaviour.update({"consent_error": "org_internal"}),
        "fail",
        "does not allow this app",
        "Sign in with an account of the organisation",
    ),
    (
        "google.key",
        given(google_service_account_file="none.json"),
        "fail",
        "cannot be read",
        "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE",
    ),
    ("google.key", unset("delegation_allow"), "warn", "act for nobody", "DELEGATION_ALLOW"),
    ("google.key", old_key, "warn", "is 400 days old", "make a new one"),
    (
        "google.key",
        lambda shop, _: (shop.folder / "service-account.json").chmod(0o644),
        "warn",
        "others can read",
        "chmod o-rwx",
    ),
    (
        "google.delegation",
        not_delegated,
        "fail",
        "does not let the service account act for",
        "https://www.googleapis.com/auth/calendar.events.readonly",
    ),
    ("google.lists", no_lists, "fail", "the lists of people's calendars", "calendarlist.readonly"),
    ("google.grants", in_testing, "fail", "External and in Testing", "console.cloud.google.com"),
    ("google.grants", blocked, "fail", "API controls block 1", f"{CLIENT_ID} to Trusted: https"),
    ("google.grants", narrow, "fail", "did not tick", f"watcher accounts invite {ANN}"),
    ("google.accounts", dead, "warn", "1 account is not connected", f"accounts invite {ANN}"),
    ("google.calendar", api_off, "fail", "accessNotConfigured", "Enable the Google Calendar API"),
    (
        "erpnext.reached",
        given(erpnext_url="http://127.0.0.1:1"),
        "fail",
        "cannot be reached",
        "WATCHER_ERPNEXT_URL",
    ),
    (
        "erpnext.clock",
        clock(minutes=10),
        "fail",
        "s ahead of that of ERPNext",
        "timedatectl",
    ),
    (
        "erpnext.user",
        given(erpnext_api_secret="wrong"),
        "fail",
        "refused the API key",
        "WATCHER_ERPNEXT_API_SECRET",
    ),
    ("erpnext.user", administrator, "fail", "Administrator's", "make a user of its own"),
    ("erpnext.user", disabled_user, "warn", "is disabled in ERPNext", "enable"),
    (
        "erpnext.version",
        lambda shop, _: setattr(shop.site, "version", "14.80.0"),
        "fail",
        "14.80.0 is not supported",
        "bench update",
    ),
    (
        "erpnext.version",
        lambda shop, _: setattr(shop.site, "version", "15.99.1"),
        "warn",
        "calendar view is broken",
        "bench update",
    ),
    (
        "erpnext.may.delete.event",
        without("Event", "delete"),
        "fail",
        "may not delete Event",
        "give a role of integration@scoopjoy.test delete on Event",
    ),
    (
        "erpnext.may.create.todo",
        without("ToDo", "create"),
        "fail",
        "may not create ToDo",
        "create on ToDo",
    ),
    ("erpnext.rights", more_roles, "warn", "more roles than Watcher needs: HR Manager", "app/user"),
    (
        "erpnext.rights",
        lambda *_: None,
        "warn",
        "is System Manager, which is far more than Watcher needs",
        "watcher erpnext setup --role yes",
    ),
    (
        "erpnext.erasing",
        without("Version", "read"),
        "fail",
        "the API user may not read Version",
        "--role yes",
    ),
    ("erpnext.erasing", sees_no_mail, "fail", "see mails about an event", "--role yes"),
    (
        "erpnext.fields",
        custom_field(),
        "fail",
        "lacks custom_google_sync_key",
        "watcher erpnext setup",
    ),
    (
        "erpnext.fields",
        custom_field(fieldtype="Int"),
        "fail",
        "is Int, not Data",
        "watcher erpnext setup",
    ),
    (
        "erpnext.fields",
        custom_field("custom_google_user", ignore_user_permissions=0),
        "warn",
        "may not open the events of others",
        "Ignore User Permissions",
    ),
    ("erpnext.unique", custom_field(unique=0), "fail", "is not unique", "watcher erpnext setup"),
    (
        "erpnext.zone",
        given(erpnext_time_zone="Europe/Berlin"),
        "warn",
        "written in Europe/Berlin, but the site shows them in Asia/Kolkata",
        "WATCHER_ERPNEXT_TIME_ZONE=Asia/Kolkata",
    ),
    ("erpnext.mandatory", mandatory, "fail", "for want of cost_centre", "Customize Form"),
    (
        "erpnext.doubles",
        lambda shop, _: shop.site.add_google_calendar(ANN),
        "warn",
        "they are there twice",
        f"Google Calendar of {ANN}",
    ),
    (
        "people.told",
        unset("notify_webhook_url"),
        "warn",
        "nobody is told of trouble",
        "watcher notify test",
    ),
    (
        "people.told",
        unset("admin_emails"),
        "warn",
        "nobody may sign in",
        "WATCHER_ADMIN_EMAILS",
    ),
]


@pytest.mark.parametrize(
    ("name", "broken", "verdict", "says", "do"),
    BROKEN,
    ids=[f"{row[0]}-{row[3]}" for row in BROKEN],
)
def test_what_is_broken_is_found_with_a_way_out(
    shop: Shop, monkeypatch: Patch, name: str, broken: Break, verdict: str, says: str, do: str
) -> None:
    broken(shop, monkeypatch)
    found = shop.look(name)
    assert (str(found.verdict), says in found.message, do in found.do) == (verdict, True, True), (
        found
    )


ELSEWHERE = {
    "address.certificate",
    "address.robots",
    "queue.keeps",
    "queue.evicts",
}
"""Checks with tests of their own, here and in tests/integration/test_doctor_queue.py."""


def test_every_check_has_a_test_that_breaks_it() -> None:
    broken = {name for name, *_ in BROKEN}
    permissions = {c.name for c in CHECKS if c.name.startswith("erpnext.may.")}
    assert broken | permissions | ELSEWHERE == {check.name for check in CHECKS}


def test_every_check_has_a_title_for_pages() -> None:
    assert not [check.name for check in CHECKS if titles.title(check.name) == check.name]


def test_delegation_is_tried_before_there_is_a_ledger(shop: Shop) -> None:
    """With a mailbox that the settings name; that there is no ledger is told by ``ledger.form``."""
    shop.set("database_url", "sqlite:///none")
    shop.set("delegation_allow", f"@scoopjoy.test,{ANN}")
    found = shop.look("google.delegation")
    assert (str(found.verdict), found.message) == ("ok", f"Google lets it act for {ANN}")
    shop.set("delegation_allow", "@scoopjoy.test")
    assert str(shop.look("google.delegation").verdict) == "skip"


# --- all is well --------------------------------------------------------------------------


def test_nothing_is_amiss_with_what_works(shop: Shop) -> None:
    shop.connect()
    shop.give_role()
    with shop.services.db.session() as session:
        session.query(Channel).one().heard_at = shop.services.clock()
        for kind in presence.KINDS:
            me = presence.Me(name=kind, kind=kind, host="here")
            presence.begin(session, me, shop.services.clock())
        for name in ("sweep", "renew"):
            now = shop.services.clock()
            session.add(Tick(name=name, last_run_at=now, last_ok_at=now, error=""))
    shop.set("delegation_allow", f"{ANN},{BOB}")
    shop.site.version = "16.50.0"
    web = shop.web()
    try:
        report = shop.examine()
    finally:
        web.close()
    assert report.seconds < 5
    amiss = report.of(Verdict.WARN, Verdict.FAIL)
    # There is no queue here; the stand-in is on this machine.
    assert set(amiss) == {"queue.answers"}, amiss
    assert "ago" in report.findings["address.pushes"].message


# --- the public address -------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Proxy:
    """A proxy with https for ``watcher.example.test``, in front of an application."""

    HOST = "watcher.example.test"

    def __init__(self, shop: Shop, authority: Authority, app: Any, **certificate: Any) -> None:
        self.authority = authority
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.issue(**{"host": self.HOST, **certificate}))
        port = free_port()
        self._server = make_server("127.0.0.1", port, app, threaded=True, ssl_context=context)
        self._server.timeout = 5
        shop.set("public_url", f"https://{self.HOST}:{port}")
        real = socket.getaddrinfo

        def found(host: Any, *args: Any, **named: Any) -> Any:
            return real("127.0.0.1" if host == self.HOST else host, *args, **named)

        shop.patch.setattr(socket, "getaddrinfo", found)

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def says(status: int = 200, text: str = "", **headers: str) -> Flask:
    """A site that answers whatever it is asked alike."""
    app = Flask("somebody else")
    app.register_error_handler(404, lambda _: Response(text, status, headers))
    return app


def test_a_certificate_that_is_trusted(shop: Shop, authority: Authority) -> None:
    with Proxy(shop, authority, create_app(shop.services)):
        for name in ("address.certificate", "address.route", "address.robots"):
            assert shop.look(name, ca_file=authority.file).verdict == Verdict.OK, name
        private = shop.look("address.dns")
        assert private.verdict == Verdict.WARN
        assert "which Google cannot reach" in private.message
        # This machine's own authorities do not count: Google knows those of the internet alone.
        refused = shop.look("address.certificate")
    assert refused.verdict == Verdict.FAIL
    assert "is refused: unable to get local issuer certificate" in refused.message
    assert "fullchain.pem" in refused.do


@pytest.mark.parametrize(
    ("certificate", "verdict", "words"),
    [
        ({"host": "other.example.test"}, "fail", "Hostname mismatch"),
        ({"days": -1}, "fail", "expired"),
        ({"days": 3}, "warn", "ends on"),
        ({"days": 6, "since": 1}, "ok", "trusted"),
    ],
)
def test_certificates_that_are_not_good(
    shop: Shop, authority: Authority, certificate: dict[str, Any], verdict: str, words: str
) -> None:
    with Proxy(shop, authority, says(), **certificate):
        found = shop.look("address.certificate", ca_file=authority.file)
    assert (str(found.verdict), words in found.message, bool(found.do)) == (
        verdict,
        True,
        verdict != "ok",
    )


@pytest.mark.parametrize(
    ("app", "words", "do"),
    [
        (says(502), "does not reach Watcher behind it (502)", "start `watcher up`"),
        (says(404), "something else answers", "POST /webhooks/google"),
        (says(405), "(405)", "POST /webhooks/google"),
        (says(301, Location="https://elsewhere.example"), "is redirected", "WATCHER_PUBLIC_URL"),
        (says(200, "hello"), "another Watcher, or another program", "same WATCHER_SECRET_KEYS"),
    ],
)
def test_who_answers_in_our_place(
    shop: Shop, authority: Authority, app: Flask, words: str, do: str
) -> None:
    with Proxy(shop, authority, app):
        found = shop.look("address.route", ca_file=authority.file)
    assert (found.verdict, words in found.message, do in found.do) == (Verdict.FAIL, True, True)


def test_a_certificate_that_has_ended_is_what_the_way_to_us_fails_by(
    shop: Shop, authority: Authority
) -> None:
    """Cron finds it by the same words, months after `watcher doctor` was run."""
    with Proxy(shop, authority, create_app(shop.services), days=-1):
        found = shop.look("address.route", ca_file=authority.file)
    assert "is refused: certificate has expired" in found.message
    assert "certbot renew" in found.do


def test_another_watcher_is_not_taken_for_this_one(shop: Shop, authority: Authority) -> None:
    with Proxy(shop, authority, create_app(shop.services)):
        shop.set("secret_keys", "k" * 40)
        found = shop.look("address.route", ca_file=authority.file)
        assert found.verdict == Verdict.FAIL
        shop.set("secret_keys", f"{'k' * 40},{shop.key}")  # a new key, before the web knows it
        assert shop.look("address.route", ca_file=authority.file).verdict == Verdict.OK


@pytest.mark.parametrize(
    ("status", "text", "verdict"),
    [
        (200, "User-agent: *\nDisallow: /\n", "fail"),
        (200, "User-agent: APIs-Google\nDisallow: /webhooks/\n", "fail"),
        (200, "User-agent: *\nDisallow: /private\n", "ok"),
        (404, "", "ok"),
        (503, "", "warn"),
    ],
)
def test_robots(shop: Shop, authority: Authority, status: int, text: str, verdict: str) -> None:
    with Proxy(shop, authority, says(status, text)):
        found = shop.look("address.robots", ca_file=authority.file)
    assert str(found.verdict) == verdict
    assert verdict == "ok" or "robots.txt" in found.do


@pytest.mark.parametrize(
    ("error", "verdict"),
    [("redirect_uri_mismatch", "fail"), ("org_internal", "fail"), ("", "ok")],
)
def test_googles_own_way_to_refuse_a_consent_page(
    shop: Shop, authority: Authority, error: str, verdict: str
) -> None:
    """Google redirects to an error page whose address holds the code in Base64, or to its sign-in
    page; the stand-in shows an error page at once."""
    packed = base64.urlsafe_b64encode(b"\n\x15" + error.encode() + b"\x12\x9d").decode()
    where = f"https://accounts.google.com/signin/oauth/error?authError={packed.rstrip('=')}"
    if not error:
        where = "https://accounts.google.com/v3/signin/identifier?continue=x"
    server = WebServer(says(302, Location=where), "127.0.0.1", free_port()).start()
    try:
        shop.set("google_auth_url", f"{server.url}/o/oauth2/v2/auth")
        found = shop.look("google.redirect")
    finally:
        server.close()
    assert str(found.verdict) == verdict, found
    assert verdict == "ok" or "console.cloud.google.com" in found.do


# --- the runner ---------------------------------------------------------------------------


def test_a_check_that_hangs_is_given_up_and_keeps_no_other(shop: Shop, monkeypatch: Patch) -> None:
    monkeypatch.setattr("watcher.doctor.examine.ONE_SECONDS", 0.2)

    def hangs(_case: Case) -> Finding:
        time.sleep(1)
        return ok("late")

    def breaks(_case: Case) -> Finding:
        raise KeyError("a defect")

    checks = [
        Check("a.hangs", hangs),
        Check("a.after", lambda _: ok("never"), after=("a.hangs",)),
        Check("b.well", lambda _: ok("well")),
        Check("b.breaks", breaks),
    ]
    for case in shop.case():
        report = examine(case, checks)
        assert report.seconds < 1
        assert [str(each.verdict) for each in report.findings.values()] == [
            "fail",
            "skip",
            "ok",
            "fail",
        ]
        assert report.findings["a.after"].because == "a.hangs"
        assert "no answer in time" in report.findings["a.hangs"].message


# --- the command --------------------------------------------------------------------------


def test_the_command_ends_with_seven_and_says_what_to_do(shop: Shop) -> None:
    shop.set("erpnext_api_secret", "wrong-secret")
    done = shop.invoke("doctor")
    assert done.return_value == ExitCode.UNHEALTHY
    assert "fail  erpnext.user" in done.output
    assert "do: check WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET" in done.output
    assert "more, because of erpnext.user" in done.output
    document = json.loads(shop.invoke("doctor", "--json").stdout)
    assert document["healthy"] is False
    found = {each["name"]: each for each in document["checks"]}
    assert set(found) == {check.name for check in CHECKS}
    assert found["erpnext.user"]["verdict"] == "fail"
    for text in ("wrong-secret", shop.key, shop.site.api_secret):
        assert text not in json.dumps(document) + done.output


def test_settings_that_cannot_be_read_are_told(shop: Shop) -> None:
    shop.set("public_url", "http://watcher.example.com")
    done = shop.invoke("doctor")
    assert done.return_value == ExitCode.UNHEALTHY
    assert "WATCHER_PUBLIC_URL: must be https" in " ".join(done.output.split())


def test_how_long_ago_is_told_in_one_word() -> None:
    assert [work._told(n) for n in (2, 300, 9000)] == ["2 s", "5 min", "2 h"]


@pytest.mark.parametrize(
    ("broken", "code", "says"),
    [
        (given(erpnext_api_secret="wrong"), ExitCode.PERMISSION, "ERPNext refused the API key"),
        (given(google_client_secret="wrong"), ExitCode.PERMISSION, "invalid_client"),
        (given(erpnext_url="http://127.0.0.1:1"), ExitCode.UNAVAILABLE, "cannot be reached"),
        (given(), ExitCode.OK, "both sides accept them"),
    ],
)
def test_validating_the_settings_tries_both_sides(
    shop: Shop, monkeypatch: Patch, broken: Break, code: int, says: str
) -> None:
    broken(shop, monkeypatch)
    done = shop.invoke("config", "validate")
    assert (done.return_value, says in done.output) == (code, True), done.output
    assert shop.invoke("config", "validate", "--offline").return_value == ExitCode.OK


# --- the start of `watcher up` ------------------------------------------------------------


def test_a_start_says_what_is_wrong_and_when_it_is_mended(
    shop: Shop, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a process: `look` is what `up` calls, `stop` the end of its pauses."""
    caplog.set_level("INFO")
    shop.set("erpnext_api_secret", "wrong-secret")
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            if len(pauses) == 2:
                shop.set("erpnext_api_secret", shop.site.api_secret)
            return False

    def look() -> Report:
        for case in shop.case():
            return examine(case, [check for check in AT_START if check.side == "erpnext"])
        raise AssertionError

    first_look.watch(look, Stop())
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    refused = "ERPNext refused the API key; do: check WATCHER_ERPNEXT_API_KEY"
    errors = [text for level, text in told if level == "ERROR"]
    assert [refused in text for text in errors] == [True], "told once, although it lasts"
    assert ("INFO", "erpnext.user is mended") in told
    assert "both sides were tried" in told[-1][1]
    assert len(pauses) == 2
    assert pauses[0] < pauses[1]
    assert "wrong-secret" not in caplog.text


def test_the_start_says_when_it_is_ready_and_where(
    shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: Patch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(first_look, "watch", lambda *_: None)
    monkeypatch.setattr(first_look, "stop_event", threading.Event)
    monkeypatch.setattr("watcher.telemetry.log.configure", lambda *_: None)
    server = WebServer(Flask("stand-in"), "127.0.0.1", 0).start()
    try:
        first_look.serve(shop.settings, "127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    finally:
        server.close()
    assert f"ready at {server.url}; the dashboard: {shop.settings.public_url}/" in caplog.text


def test_the_start_tries_what_its_processes_do_not_find_out_themselves() -> None:
    names = {check.name for check in AT_START}
    assert names >= {"google.client", "google.delegation", "erpnext.user", "address.route"}
    assert not names & {"google.calendar", "address.pushes", "processes.cron", "queue.answers"}


# --- the file for a bug report ------------------------------------------------------------


def test_a_bundle_holds_no_secret_no_address_and_no_title(shop: Shop) -> None:
    """Whatever stands in the ledger or the settings, or is said by a check, is searched for."""
    shop.google.insert_event(ANN, shop.timed(summary="Interview with Planted Person"))
    shop.connect()
    shop.consented(BOB)
    now = shop.services.clock()
    with shop.services.db.session() as session:
        calendar = session.query(Calendar).first()
        assert calendar is not None
        calendar.message = "ERPNext: Interview with Planted Person"
        calendar.cause = "planted cause of ann@scoopjoy.test"
        calendar.failures = 9
        for run in session.query(Run):
            run.error = "Interview with Planted Person"
        session.add(Tick(name="sweep", last_run_at=now, error="planted: Interview"))
        session.add(
            Quarantined(
                calendar_id=calendar.id,
                sync_key="k" * 64,
                event_id="plantedevent",
                message="'Subject' (Interview with Planted Person) is too long",
                first_at=now,
                last_at=now,
                cause="CharacterLengthExceededError",
                kind="event",
            )
        )
        notices.add(session, key="x", account=ANN, state="failing", cause="gone", now=now)
    shop.set("public_url", "https://planted-host.example.net")
    shop.set("erpnext_url", "http://planted-erp.example.net:1")
    shop.set("smtp_url", "smtp://planted-user:planted-password@mail.example.net")
    file = shop.folder / "bundle.json"
    done = shop.invoke("doctor", "--bundle", str(file))
    assert done.return_value == ExitCode.UNHEALTHY
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text().lower()
    hidden = [
        *("planted", "interview", "scoopjoy", "example.net"),
        *(each.partition("@")[0] for each in (f'"{ANN}', f'"{BOB}')),
        shop.key,
        shop.site.api_key,
        shop.site.api_secret,
        CLIENT_ID,
        CLIENT_SECRET,
        str(shop.folder),
        "ya29",
        "127.0.0.1",
    ]
    found = [each for each in hidden if each.lower() in text]
    assert not found
    document = json.loads(file.read_text())
    assert {"versions", "settings", "doctor", "status", "ledger", "made_at"} == set(document)
    assert document["settings"]["WATCHER_PRIVATE_EVENTS"] == "busy"
    assert document["settings"]["WATCHER_ERPNEXT_API_SECRET"] == "set"
    assert document["doctor"]["address.dns"]["verdict"] == "fail"
    ledger = document["ledger"]
    assert ledger["set_aside"] == [
        {"kind": "event", "cause": "CharacterLengthExceededError", "count": 1}
    ]
    assert ledger["calendars"][0]["failures"] == 9
    assert ledger["calendars"][0]["cause"] == "(a text)"
    assert ledger["runs"][0]["failed"] is True


def test_no_bundle_is_written_with_settings_that_cannot_be_read(shop: Shop) -> None:
    shop.set("poll_minutes", "x")
    done = shop.invoke("doctor", "--bundle", str(shop.folder / "bundle.json"))
    assert "bundle.json was not written: correct the settings first" in done.output
    assert not (shop.folder / "bundle.json").exists()


def test_a_bundle_is_written_without_a_ledger_too(shop: Shop) -> None:
    shop.set("database_url", "sqlite:///none")
    file = shop.folder / "bundle.json"
    shop.invoke("doctor", "--bundle", str(file))
    assert json.loads(file.read_text())["ledger"] == {"missing": "LedgerAway"}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Google reached us 2 s ago", "Google reached us 2 s ago"),
        ("ann@a.example, bob+x@b.example may not", "<address>, <address> may not"),
        ("x is 93.184.216.34, 2606:2800:220:1::1946 here", "x is <ip>, <ip> here"),
        ("read from /etc/watcher/watcher.env", "read from <path>"),
        ("for @example.org", "for <address>"),
        ("at https://a.example/b?c=d.", "at <url>"),
        ("key 1//0gAbCdEfGhIjKlMnOpQrStUv is", "key 1//<token> is"),
        ("Event lacks custom_google_sync_key", "Event lacks custom_google_sync_key"),
    ],
)
def test_what_is_blanked(shop: Shop, said: str, kept: str) -> None:
    for case in shop.case():
        assert blanked(case, said) == kept
