"""The audit trail: who did what, when, from where, and how it ended."""

from __future__ import annotations

import contextvars
import csv
import io
import json
import os
import socket
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import AnyConverter, IntegerConverter, Rule

from tests.company import ADMIN, ANN, BOB, Company
from watcher.accounts import users, verbs
from watcher.cli import cli, recording
from watcher.errors import UserError, sentence
from watcher.handlers import acting, callers, context
from watcher.handlers.app import create_app
from watcher.jobs import cleaning
from watcher.ledger import audit, calendars, trail
from watcher.ledger.acts import What

pytestmark = pytest.mark.one_shape("sqlite")

PROXY, CLIENT = "10.0.0.7", "203.0.113.9"


def told(company: Company) -> list[tuple[str, str, str, str]]:
    """Who, what, about what, and how it ended; the first one first."""
    with company.services.db.reading() as session:
        rows = session.scalars(select(audit.Audit).order_by(audit.Audit.id)).all()
    return [(row.who, row.what, row.subject, row.cause or row.outcome) for row in rows]


def newest(company: Company) -> audit.Audit:
    with company.services.db.reading() as session:
        return session.scalars(select(audit.Audit).order_by(audit.Audit.id.desc())).all()[0]


def run(company: Company, *words: str, **environ: str) -> Result:
    return CliRunner().invoke(cli, words, prog_name="watcher", env=company.environ | environ)


@pytest.fixture
def shop(company: Company) -> Company:
    company.add()
    return company


# --- nobody forgets ---------------------------------------------------------------------------


def commands(group: click.Group, above: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        path = f"{above} {name}".strip()
        yield from commands(command, path) if isinstance(command, click.Group) else [path]


def test_every_command_looks_or_is_recorded() -> None:
    assert set(commands(cli.complete())) == set(recording.COMMANDS)


def test_a_command_that_the_table_does_not_name_is_refused() -> None:
    with pytest.raises(KeyError):
        recording.record_acts(click.Command("new"), "accounts new")


def test_every_view_that_takes_a_form_looks_or_is_recorded(company: Company) -> None:
    app = create_app(company.services)
    takes = {
        rule.endpoint: getattr(app.view_functions[rule.endpoint], acting.MARK, None)
        for rule in app.url_map.iter_rules()
        if set(rule.methods or ()) & {"POST", "PUT", "PATCH", "DELETE"}
    }
    assert None not in takes.values(), takes
    assert takes["oauth.sign_out"] == What.DASHBOARD_SIGN_OUT


def test_every_word_is_a_subject_and_a_verb() -> None:
    for what in What:
        subject, _, verb = what.value.partition(".")
        assert subject
        assert verb
        assert len(what) <= 60


# --- commands -----------------------------------------------------------------------------------


def test_a_command_is_recorded_with_its_act(shop: Company) -> None:
    assert run(shop, "accounts", "pause", ANN, SUDO_USER="carol").exit_code == 0
    who, what, subject, ended = told(shop)[-1]
    assert who.startswith("os:")
    assert who.endswith("(sudo by carol)")
    assert (what, subject, ended) == ("account.pause", ANN, "done")
    assert newest(shop).origin == f"cli {socket.gethostname()} {os.getpid()}"


def test_a_command_that_failed_is_recorded_with_the_cause(shop: Company) -> None:
    before = len(told(shop))
    assert run(shop, "accounts", "pause", BOB).exit_code != 0
    (row,) = told(shop)[before:]
    assert row[1:3] == ("account.pause", BOB)
    assert BOB in row[3]


def test_commands_that_only_look_leave_no_row(shop: Company) -> None:
    before = told(shop)
    for words in (["accounts", "list"], ["resync", ANN, "--dry-run"], ["erpnext", "setup"]):
        more = ["--dry-run"] if words[0] == "erpnext" else []
        run(shop, *words, *more)
    assert told(shop) == before


def test_what_has_no_transaction_of_its_own_is_recorded_after_it(company: Company) -> None:
    assert company.services.db.revision() is not None
    assert run(company, "erpnext", "setup").exit_code == 0
    row = newest(company)
    assert (row.what, row.outcome) == ("erpnext.setup", "done")
    assert json.loads(row.figures)["desk"] == "yes"


def test_without_a_ledger_the_command_says_that_it_is_not_recorded(company: Company) -> None:
    company.services.db.dispose()
    done = run(company, "erpnext", "setup", WATCHER_DATABASE_URL="sqlite:////nowhere/ledger")
    assert done.exit_code == 0
    assert "not in the audit trail: there is no ledger yet" in done.stderr


def test_of_many_each_has_a_row_and_all_have_one(company: Company) -> None:
    people = company.folder / "people.csv"
    people.write_text(f"email\n{ANN}\nnobody@elsewhere.test\n")
    run(company, "accounts", "import", "--from", str(people))
    *rows, last = told(company)
    rows.sort(key=lambda row: row[2])  # several are taken up at once
    assert [row[1:3] for row in (*rows, last)] == [
        ("account.add", ANN),
        ("account.add", "nobody@elsewhere.test"),
        ("account.import", str(people)),
    ]
    assert rows[0][3] == "done"
    assert "may not act for" in rows[1][3]
    assert json.loads(newest(company).figures) == {"people": 2, "done": 1}


def test_the_figure_of_a_mass_cancellation_stands_in_its_confirmation(shop: Company) -> None:
    with shop.services.db.session() as session:
        calendars.note_shown(session, shop.calendar().id, 23)
    run(shop, "resync", ANN, "--force")
    resynced, confirmed = told(shop)[-2:]
    assert confirmed[1:] == ("cancellation.confirm", ANN, "done")
    assert resynced[1:3] == ("calendar.resync", ANN)
    with shop.services.db.reading() as session:
        found = select(audit.Audit.figures).where(audit.Audit.what == What.CANCELLATION_CONFIRM)
        assert json.loads(session.scalars(found).one()) == {"cancellations": 23}


def test_a_disconnection_is_asked_for_and_done(shop: Company) -> None:
    run(shop, "accounts", "disconnect", ANN, "--yes")
    asked, done = told(shop)[-2:]
    assert asked[1:] == ("account.disconnect", ANN, "done")
    assert done[1:] == ("account.disconnected", ANN, "done")


# --- Watcher itself -----------------------------------------------------------------------------


def test_what_watcher_does_of_itself_is_recorded_as_its_own(shop: Company) -> None:
    for enabled in (0, 1):
        with shop.site.transaction():
            row = shop.site.row("User", ANN)
            assert row is not None
            shop.site.put("User", row | {"enabled": enabled})
        assert users.look_at_users(shop.services) == 1
    paused, resumed = told(shop)[-2:]
    assert paused == ("watcher", "account.pause", ANN, "done")
    assert resumed == ("watcher", "account.resume", ANN, "done")
    assert newest(shop).origin.startswith("self ")


def test_who_only_looks_is_not_who_acts_next(shop: Company) -> None:
    """A form that asks and changes nothing says who asks, as all forms of an employee do."""

    def looked_then_acted() -> None:
        audit.by(BOB)
        with shop.services.db.session() as session:
            act = audit.Act(What.ACCOUNT_SET, ANN)
            audit.record(session, act, shop.services.clock())

    contextvars.copy_context().run(looked_then_acted)
    assert told(shop)[-1][0] == "watcher"


def test_old_rows_are_forgotten(shop: Company) -> None:
    old = datetime.now(UTC) - timedelta(days=shop.settings.audit_days + 1)
    with shop.services.db.session() as session:
        audit.record(session, audit.Act(What.ACCOUNT_SET, "long ago"), old)
    cleaning.prune(shop.services)
    assert [subject for _, _, subject, _ in told(shop)] == [ANN]


# --- shown and exported -------------------------------------------------------------------------


@pytest.fixture
def history(shop: Company) -> Company:
    """Beside Ann's ``account.add``: an act of each of three people."""
    now = datetime.now(UTC)
    acts = (
        (ADMIN, audit.Act(What.ACCOUNT_PAUSE, BOB), now - timedelta(days=3)),
        ("=HYPERLINK()", audit.Act(What.CALENDAR_ADD, "@evil", {"rows": 3}), now),
        ("os:carol", audit.Act(What.ACCOUNT_RESUME, BOB, cause="refused"), now),
    )
    for who, act, at in acts:
        with shop.services.db.session() as session, audit.acting(audit.Actor(who, "there")):
            audit.record(session, act, at)
    return shop


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), ["account.resume", "calendar.add", "account.pause", "account.add"]),
        (("--last", "1"), ["account.resume"]),
        (("--who", "CAROL"), ["account.resume"]),
        (("--subject", "bob"), ["account.resume", "account.pause"]),
        (("--what", "account", "--since", "2d"), ["account.resume", "account.add"]),
        (("--what", "calendar.add"), ["calendar.add"]),
        (("--since", "2999-01-01"), []),
    ],
)
def test_the_trail_is_searched(history: Company, words: tuple[str, ...], found: list[str]) -> None:
    done = run(history, "audit", "--json", *words)
    assert [row["what"] for row in json.loads(done.stdout)] == found


def test_the_trail_is_a_table_for_people(history: Company) -> None:
    said = run(history, "audit").stdout
    assert "failed: refused" in said
    assert "rows 3" in said
    for wrong in (("--since", "soon"), ("--what", "nonsense")):
        assert isinstance(run(history, "audit", *wrong).exception, UserError)


def test_a_table_holds_no_formula(history: Company, tmp_path: Path) -> None:
    file = tmp_path / "audit.csv"
    assert run(history, "audit", "--csv", str(file)).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [row["who"] for row in rows][:2] == ["os:carol", "'=HYPERLINK()"]
    assert (rows[1]["subject"], rows[1]["figures"]) == ("'@evil", "rows=3")
    assert run(history, "audit", "--csv", "-").stdout == file.read_text().replace("\r\n", "\n")
    assert isinstance(run(history, "audit", "--csv", str(file)).exception, UserError)


def test_a_long_table_comes_in_pieces(history: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "BATCH", 3)
    pieces = list(trail.as_csv(history.services.db, trail.Chosen()))
    assert [piece.count("\n") for piece in pieces] == [1, 3, 1]
    few = "".join(trail.as_csv(history.services.db, trail.Chosen(), 2))
    assert few.count("\n") == 3


def test_the_page_shows_and_exports_it_to_admins_alone(
    history: Company, visitor: FlaskClient
) -> None:
    for path in ("/audit", "/audit.csv"):
        assert visitor.get(path).status_code == 303
    sign_in(visitor)
    page = visitor.get("/audit?what=account.resume&who=carol").get_data(as_text=True)
    assert "os:carol" in page
    assert "failed</span>: refused" in page
    assert ADMIN not in page.partition("</nav>")[2]
    table = visitor.get("/audit.csv?subject=bob")
    assert "attachment" in table.headers["Content-Disposition"]
    assert [row["what"] for row in csv.DictReader(io.StringIO(table.get_data(as_text=True)))] == [
        "account.resume",
        "account.pause",
    ]


def test_the_page_says_acts_causes_and_figures_in_its_language(
    shop: Company, visitor: FlaskClient
) -> None:
    sign_in(visitor)
    with visitor.session_transaction() as session:
        session["language"] = "de"
    now = shop.services.clock()
    actor = audit.Actor("os:carol", "cli h 1")
    with audit.acting(actor), shop.services.db.session() as db:
        audit.record(db, audit.Act(What.ACCOUNT_PAUSE, ANN, {"because": "by_admin"}), now)
        audit.record(db, audit.Act(What.QUEUE_RETRY, ANN, {"calendars": 12_000}), now)
        audit.record(db, audit.Act(What.ACCOUNT_RESUME, ANN, cause=sentence("try again")), now)
    page = visitor.get("/audit").text
    for words in (
        "Konto angehalten",
        "Ursache: durch Administrator",
        "Kalender: 12.000",
        ": versuchen Sie",
    ):
        assert words in page
    assert '<option value="account.pause">Konto angehalten</option>' in page
    assert "account.pause" in visitor.get("/audit.csv").text
    assert "try again" in visitor.get("/audit.csv").text


# --- attempts -----------------------------------------------------------------------------------


def test_an_act_that_was_rolled_back_is_no_act(shop: Company) -> None:
    written: list[audit.Act] = []

    def fail() -> None:
        with shop.services.db.session() as session:
            audit.record(session, audit.Act(What.ACCOUNT_SET, ANN), shop.services.clock())
            raise UserError("no")

    with pytest.raises(UserError), audit.attempt(What.ACCOUNT_SET, written.append):
        fail()
    assert written == [audit.Act(What.ACCOUNT_SET, cause="no")]
    with audit.attempt(What.ACCOUNT_SET, written.append, "who"):
        audit.nothing()
    assert len(written) == 1


# --- views --------------------------------------------------------------------------------------


@pytest.fixture
def visitor(shop: Company) -> FlaskClient:
    shop.set("trusted_proxies", "10.0.0.0/8, ::1")
    shop.rebuild()
    app = create_app(shop.services)
    app.testing = True
    app.add_url_rule("/pause", view_func=_pause, methods=["POST"])
    return app.test_client()


@acting.records(What.ACCOUNT_PAUSE)
def _pause() -> str:
    email = request.form["email"]
    audit.about(email)
    if email == BOB:
        raise acting.Refused("not this one")
    verbs.pause(context.services(), email)
    return ""


def sign_in(visitor: FlaskClient) -> None:
    with visitor.session_transaction() as session:
        session["admin"], session["sign_outs"], session["form_proof"] = ADMIN, 0, "proof"


def post(visitor: FlaskClient, path: str, forwarded: str = CLIENT, **form: str) -> None:
    visitor.post(
        path,
        data=form,
        headers={"X-Forwarded-For": forwarded},
        environ_base={"REMOTE_ADDR": PROXY},
    )


def test_a_page_is_recorded_with_the_admin_and_his_address(
    shop: Company, visitor: FlaskClient
) -> None:
    sign_in(visitor)
    post(visitor, "/pause", email=ANN)
    assert told(shop)[-1] == (ADMIN, "account.pause", ANN, "done")
    assert newest(shop).origin == CLIENT
    assert isinstance(visitor.application, Flask)
    with pytest.raises(acting.Refused):
        post(visitor, "/pause", email=BOB)
    assert told(shop)[-1] == (ADMIN, "account.pause", BOB, "not this one")
    post(visitor, "/sign-out")
    assert told(shop)[-1] == (ADMIN, "dashboard.sign_out", "", "done")


def test_the_buttons_of_a_calendar_are_recorded(shop: Company, visitor: FlaskClient) -> None:
    sign_in(visitor)
    before, number = len(told(shop)), shop.calendar().id
    for what in ("sync", "confirm", "resync"):
        post(visitor, f"/calendars/{number}/{what}", form_proof="proof")
    post(visitor, f"/calendars/{number}/pause", form_proof="of another session")
    assert told(shop)[before:] == [
        (ADMIN, "calendar.sync", ANN, "done"),
        (
            ADMIN,
            "cancellation.confirm",
            ANN,
            "nothing waits to be confirmed here any more",
        ),
        (ADMIN, "calendar.resync", ANN, "done"),
    ]


def test_a_form_of_another_site_is_no_act(shop: Company, visitor: FlaskClient) -> None:
    """Whatever the view: it is refused before anything is said to have been done."""
    sign_in(visitor)
    before, number = told(shop), shop.calendar().id
    adapter = visitor.application.url_map.bind("")
    for rule in visitor.application.url_map.iter_rules():
        act = getattr(visitor.application.view_functions[rule.endpoint], acting.MARK, None)
        if "POST" not in (rule.methods or ()) or act in (
            acting.LOOKS,
            What.DASHBOARD_SIGN_OUT,  # needs none: it only ends what this browser has
            What.ACCOUNT_PAUSE if rule.rule == "/pause" else None,  # that of this test module
        ):
            continue
        values = {name: _example(rule, name, number) for name in rule.arguments}
        post(visitor, adapter.build(rule.endpoint, values, method="POST"), form_proof="forged")
    visitor.get("/oauth/google/callback?state=forged&code=forged")
    assert told(shop) == before


def _example(rule: Rule, name: str, number: int) -> object:
    """A value for a part of an address."""
    converter = rule._converters[name]
    if isinstance(converter, AnyConverter):
        return min(converter.items)
    return number if isinstance(converter, IntegerConverter) else "x"


def test_of_strangers_nothing_is_written(shop: Company, visitor: FlaskClient) -> None:
    before = told(shop)
    with pytest.raises(acting.Refused):
        post(visitor, "/pause", email=BOB)
    post(visitor, "/sign-out")
    visitor.get("/oauth/google/callback?state=none&code=none")
    assert told(shop) == before


@pytest.mark.parametrize(
    ("caller", "forwarded", "seen"),
    [
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"198.51.100.1, {CLIENT}, 10.0.0.8", CLIENT),  # the first is the client's own word
        (PROXY, "", PROXY),
        (PROXY, "unknown", PROXY),
        (CLIENT, "198.51.100.1", CLIENT),  # no proxy of ours
        ("::1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_client_is_the_last_one_before_our_proxies(
    visitor: FlaskClient, caller: str, forwarded: str, seen: str
) -> None:
    given = {"X-Forwarded-For": forwarded} if forwarded else {}
    with visitor.application.test_request_context(
        headers=given, environ_base={"REMOTE_ADDR": caller}
    ):
        assert callers.address() == seen
