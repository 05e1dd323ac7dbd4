"""A calendar is proved before anybody is told that it is mirrored: the account's own, whose id is
not always its address, and those that an admin names."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
import requests

from tests.company import ADMIN, ANN, BOB, CLIENT_ID, DOMAIN, Company
from tests.integration.test_cli_accounts import csv
from tests.integration.test_cli_runner import run
from tests.integration.test_web import consent, invite, state
from tests.waiting import wait_for
from watcher.accounts.revive import look_in_desk
from watcher.channels import renewal
from watcher.google.endpoints import OAUTH_SCOPES
from watcher.ledger import accounts, calendars
from watcher.ledger.models import Calendar, Fact
from watcher.ledger.states import AccountState, CalendarState

pytestmark = pytest.mark.one_shape("sqlite")

CARLA, REAL = f"carla@{DOMAIN}", f"carla.gelato@{DOMAIN}"
NOBODY = "none@group.calendar.google.com"
OUTLET = "outlet@group.calendar.google.com"
NAMELESS: dict[str, Any] = {"title": "My calendar"}
ONE_EACH = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what has nothing to do with the kind of database."""


@pytest.fixture
def shop(company: Company) -> Company:
    company.setup_erpnext()
    company.site.add_user(CARLA)
    return company


@pytest.fixture
def web(shop: Company) -> Company:
    shop.start("web", "--port", str(shop.port))
    wait_for(shop.web_is_up, what="the web server")
    return shop


def alias(company: Company, **more: Any) -> None:
    """Carla's address is no calendar id; her main calendar has another one."""
    company.google.add_user(CARLA, time_zone="Asia/Kolkata", calendar_id=REAL, **more)


def listed(company: Company, email: str = CARLA) -> list[str]:
    with company.services.db.session() as session:
        account = accounts.get(session, email)
        return [c.google_id for c in calendars.of_account(session, account.id)]


def work(company: Company, email: str = CARLA) -> list[str]:
    return [company.sync(email) for _ in range(2)]


def keys(company: Company, email: str = CARLA) -> list[tuple[str, str]]:
    """(subject, calendar) of everything that is shown of an account."""
    return [(row["subject"], row["custom_google_calendar_id"]) for row in company.rows(email)]


def problem(company: Company, email: str = CARLA) -> dict[str, Any]:
    document = run(company, "status", "--json", code=7).data
    (found,) = [one for one in document["problems"] if one["account"] == email]
    return dict(found)


# --- whose address is no calendar id --------------------------------------------------------


@ONE_EACH
@pytest.mark.parametrize("named", [{}, NAMELESS], ids=["by its title", "by its events"])
def test_an_alias_is_mirrored_under_the_id_that_google_names(
    shop: Company, named: dict[str, Any]
) -> None:
    alias(shop, **named)
    shop.google.insert_event(REAL, shop.timed(summary="Tasting"))
    done = run(shop, "accounts", "add", CARLA, "--via", "service-account")
    assert f"{REAL} is mirrored" in done.says
    assert listed(shop) == [REAL]
    assert work(shop) == ["done", "done"]
    assert keys(shop) == [("Tasting", REAL)]
    assert len(shop.google.live_channels(REAL)) == 1
    again = run(shop, "accounts", "add", CARLA, "--via", "service-account", "--json").data
    assert again["calendar"] == REAL
    assert listed(shop) == [REAL]


@ONE_EACH
def test_where_nothing_else_tells_the_channel_names_the_calendar(shop: Company) -> None:
    """No events, another title: the first channel is opened before anything is read."""
    alias(shop, **NAMELESS)
    run(shop, "accounts", "add", CARLA, "--via", "service-account", says=("main calendar",))
    assert listed(shop) == ["primary"]
    assert shop.sync(CARLA) == "done"
    assert listed(shop) == [REAL]
    shop.google.insert_event(REAL, shop.timed(summary="Tasting"))
    assert shop.sync(CARLA) == "done"
    assert keys(shop) == [("Tasting", REAL)]
    for wanted in (CARLA, "primary", REAL, f" {REAL.upper()} "):
        run(shop, "calendars", "add", CARLA, wanted, says=(f"{REAL} is mirrored already",))
    assert listed(shop) == [REAL]


@ONE_EACH
def test_a_calendar_without_a_name_goes_on_as_primary(shop: Company) -> None:
    """Google may repeat the word in resourceUri. Once rows are written under it, it stays: another
    name would double them."""
    shop.google.behaviour.uri_repeats_primary = True
    alias(shop, **NAMELESS)
    shop.add(CARLA)
    assert shop.sync(CARLA) == "done"
    shop.google.insert_event(REAL, shop.timed(summary="Tasting"))
    assert shop.sync(CARLA) == "done"
    assert keys(shop) == [("Tasting", "primary")]
    shop.google.behaviour.uri_repeats_primary = False
    shop.later(days=6, hours=12)
    assert [r.outcome for r in renewal.renew_due(shop.services)] == ["renewed"]
    assert shop.sync(CARLA, snapshot=True) == "done"
    assert keys(shop) == [("Tasting", "primary")]
    run(shop, "calendars", "add", CARLA, REAL, says=("primary is mirrored already",))
    assert listed(shop) == ["primary"]


@ONE_EACH
def test_a_title_is_a_guess_and_no_more(shop: Company) -> None:
    """Carla called her calendar by Bob's address, and may see and share his: it stays his."""
    alias(shop, title=BOB)
    shop.google.share(BOB, CARLA, "owner")
    shop.google.insert_event(BOB, shop.timed(summary="Bob's own"))
    shop.google.behaviour.uri_repeats_primary = True
    shop.add(CARLA)
    assert listed(shop) == ["primary"]
    assert work(shop) == ["done", "done"]
    assert keys(shop) == []


@ONE_EACH
def test_an_address_that_another_has_now_is_not_the_account_s_calendar(shop: Company) -> None:
    """After a rename the old address went to somebody new, whose calendar everybody may read."""
    shop.google.add_user(CARLA, calendar_id=REAL)
    shop.google.add_user(f"new@{DOMAIN}", calendar_id=CARLA)
    shop.google.share(CARLA, CARLA, "reader")
    shop.google.insert_event(CARLA, shop.timed(summary="Not hers"))
    shop.add(CARLA)
    assert listed(shop) == [REAL]
    assert work(shop) == ["done", "done"]
    assert keys(shop) == []


@ONE_EACH
def test_many_at_once(shop: Company) -> None:
    alias(shop)
    people = csv(shop, f"email\n{ANN}\n{CARLA}\n")
    done = run(shop, "accounts", "import", "--from", people, "--json").data
    assert [(one["email"], one.get("calendar")) for one in done] == [(ANN, None), (CARLA, REAL)]
    told = run(shop, "accounts", "import", "--from", people)
    assert f"{CARLA}: connected the address is no calendar id: {REAL}" in told.says


@ONE_EACH
def test_by_way_of_erpnext(shop: Company) -> None:
    alias(shop)
    made = shop.watcher("erpnext", "setup", "--connected-app", "--json")
    app = json.loads(made.stdout)["connected_app"]["name"]
    run(shop, "accounts", "add", CARLA, "--via", "erpnext")
    assert listed(shop) == [CARLA], "nothing could be read yet"
    shop.site.add_token(app, CARLA, shop.google.oauth.mint_refresh(CLIENT_ID, CARLA, OAUTH_SCOPES))
    assert look_in_desk(shop.services) == 1
    shop.google.insert_event(REAL, shop.timed(summary="Tasting"))
    assert shop.sync(CARLA) == "done", "the first sync finds the calendar by itself"
    assert listed(shop) == [REAL]
    assert keys(shop) == [("Tasting", REAL)]
    run(shop, "accounts", "add", CARLA, "--via", "erpnext", says=(f"{REAL} is mirrored",))


# --- a mailbox that gets another id ---------------------------------------------------------


def gone_of_0_1_0(company: Company) -> None:
    """As earlier versions left an alias: said to be connected, never mirrored."""
    alias(company)
    with company.services.db.session() as session:
        account = accounts.add(
            session,
            email=CARLA,
            source="service-account",
            state=AccountState.ACTIVE,
            now=company.services.clock(),
            erpnext_user=CARLA,
        )
        row = calendars.add(session, account.id, CARLA, company.services.clock())
        row.state, row.cause, row.failures = CalendarState.GONE, "not_found", 7
        row.dirty_seq = 3


def test_an_account_that_was_taken_for_gone_heals_by_itself(shop: Company) -> None:
    gone_of_0_1_0(shop)
    shop.google.insert_event(REAL, shop.timed(summary="Tasting"))
    assert problem(shop)["state"] == "failing"
    assert shop.sync(CARLA) == "done"
    assert listed(shop) == [REAL]
    assert keys(shop) == [("Tasting", REAL)]
    assert shop.calendar(CARLA).state == "ok"
    assert len(shop.google.live_channels(REAL)) == 1


@ONE_EACH
def test_resync_heals_it_too(shop: Company) -> None:
    gone_of_0_1_0(shop)
    shop.google.insert_event(REAL, shop.timed(summary="Tasting"))
    run(shop, "resync", CARLA, says=("created 1",))
    assert run(shop, "verify", CARLA, "--json").data[0]["outcome"] == "equal"


def renamed(company: Company) -> list[str]:
    """Carla was mirrored, then her mailbox was renamed; the names of her rows."""
    company.google.add_user(CARLA, time_zone="Asia/Kolkata")
    for summary in ("Tasting", "Stocktaking"):
        company.google.insert_event(CARLA, company.timed(summary=summary))
    gone = company.google.insert_event(CARLA, company.timed(summary="Called off"))
    company.add(CARLA)
    assert company.sync(CARLA) == "done"
    company.google.delete_event(CARLA, gone)
    assert company.sync(CARLA) == "done"
    company.google.rename_mailbox(CARLA, REAL)
    return sorted(row["name"] for row in company.rows(CARLA, live=False))


def test_the_rows_of_a_renamed_mailbox_go_along(shop: Company) -> None:
    """The very rows, with what people added to them; none twice, and none left behind."""
    names = renamed(shop)
    assert [shop.sync(CARLA) for _ in range(2)] == ["failed", "failed"]
    assert shop.calendar(CARLA).state == "retrying", "a 404 may be one of the moment"
    assert shop.sync(CARLA) == "done"
    assert listed(shop) == [REAL]
    assert sorted(row["name"] for row in shop.rows(CARLA, live=False)) == names
    assert keys(shop) == [("Stocktaking", REAL), ("Tasting", REAL)]
    assert {row["custom_google_calendar_id"] for row in shop.rows(CARLA, live=False)} == {REAL}
    shop.google.insert_event(REAL, shop.timed(summary="Afterwards"))
    assert shop.sync(CARLA) == "done"
    assert sorted(shop.subjects(CARLA)) == ["Afterwards", "Stocktaking", "Tasting"]
    assert len({row["custom_google_sync_key"] for row in shop.site.events()}) == 4
    assert len(shop.google.live_channels(REAL)) == 1
    assert run(shop, "verify", CARLA, "--json").data[0]["outcome"] == "equal"


@ONE_EACH
def test_a_row_that_does_not_tell_its_whole_id_is_made_anew(shop: Company) -> None:
    """The key cannot be computed from what ERPNext holds of an id of more than 140 characters."""
    shop.google.add_user(CARLA, time_zone="Asia/Kolkata")
    shop.google.insert_event(CARLA, shop.timed(summary="Long", id="a" * 200))
    shop.add(CARLA)
    assert shop.sync(CARLA) == "done"
    shop.google.rename_mailbox(CARLA, REAL)
    assert [shop.sync(CARLA) for _ in range(3)] == ["failed", "failed", "done"]
    assert keys(shop) == [("Long", REAL)]
    assert sorted(row["status"] for row in shop.rows(CARLA, live=False)) == ["Cancelled", "Open"]


@ONE_EACH
def test_renamed_twice_and_back(shop: Company) -> None:
    names = renamed(shop)
    second = f"c@{DOMAIN}"
    for number, new in enumerate((REAL, second, CARLA)):
        if number:
            shop.google.rename_mailbox(CARLA, new)
        assert [shop.sync(CARLA) for _ in range(3)] == ["failed", "failed", "done"]
        assert listed(shop) == [new]
    assert sorted(row["name"] for row in shop.rows(CARLA, live=False)) == names
    with shop.services.db.session() as session:
        noted = [f.name for f in session.query(Fact) if f.name.startswith("own_calendar")]
    assert noted == []


@ONE_EACH
def test_a_moment_without_the_calendar_moves_nothing(shop: Company) -> None:
    renamed(shop)
    shop.google.rename_mailbox(CARLA, CARLA)
    shop.google.add_fault(match=f"calendars/{CARLA}/", status=404, reason="notFound")
    assert [shop.sync(CARLA) for _ in range(2)] == ["failed", "failed"]
    shop.google.clear_faults()
    assert shop.sync(CARLA) == "done"
    assert listed(shop) == [CARLA]


@ONE_EACH
@pytest.mark.parametrize("how", ["refused", "killed"])
def test_a_move_that_breaks_off_is_finished(
    shop: Company, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = renamed(shop)
    assert [shop.sync(CARLA) for _ in range(2)] == ["failed", "failed"]
    if how == "refused":
        shop.site.add_fault(match="bulk_update", status=503, html=True, count=100)
        assert shop.sync(CARLA) == "failed"
        assert listed(shop) == [CARLA]
        shop.site.clear_faults()
    else:
        with monkeypatch.context() as patched:
            patched.setattr("watcher.sync.moved._move_ledger", _killed)
            with pytest.raises(KeyboardInterrupt):
                shop.sync(CARLA)
        assert {calendar for _, calendar in keys(shop)} == {REAL}, "the rows were moved"
    for _ in range(3):
        shop.sync(CARLA)
    assert listed(shop) == [REAL]
    assert sorted(row["name"] for row in shop.rows(CARLA, live=False)) == names
    assert keys(shop) == [("Stocktaking", REAL), ("Tasting", REAL)]


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


@ONE_EACH
def test_who_added_the_new_id_by_hand_is_mirrored_once(shop: Company) -> None:
    """The workaround of earlier versions: the real calendar as another one of the account."""
    renamed(shop)
    run(shop, "calendars", "add", CARLA, REAL, says=("first sync is queued",))
    run(shop, "resync", CARLA, "--calendar", REAL)
    assert len(keys(shop)) == 4, "as it was until then"
    for _ in range(3):
        shop.sync(CARLA)
    assert listed(shop) == [REAL]
    assert shop.sync(CARLA) == "done"
    assert keys(shop) == [("Stocktaking", REAL), ("Tasting", REAL)]


@ONE_EACH
def test_another_calendar_that_is_gone_never_becomes_the_person_s_own(shop: Company) -> None:
    shop.google.add_calendar(OUTLET, ANN, "Outlet")
    shop.google.insert_event(ANN, shop.timed(summary="Ann's own"))
    run(shop, "accounts", "add", ANN, "--via", "service-account", "--calendar", OUTLET)
    assert shop.sync(ANN) == "done"
    shop.google.delete_calendar(OUTLET)
    assert [shop.sync(ANN) for _ in range(4)] == ["failed"] * 4
    assert (listed(shop, ANN), keys(shop, ANN)) == ([OUTLET], [])
    assert problem(shop, ANN)["next_step"] == f"watcher calendars remove {ANN} {OUTLET}"


# --- what an admin names --------------------------------------------------------------------


@ONE_EACH
@pytest.mark.parametrize(
    ("wanted", "code", "says"),
    [
        (NOBODY, 5, f"share it with {ANN}, or check the id (Google Calendar > Settings"),
        (BOB, 5, f"Google does not show {ANN} the calendar {BOB}: Google answered 404 notFound"),
        ("", 2, "Calendar ID"),
        ("  ", 2, "Calendar ID"),
    ],
)
def test_an_id_that_cannot_be_read_is_refused(
    shop: Company, wanted: str, code: int, says: str
) -> None:
    shop.connect(ANN)
    run(shop, "calendars", "add", ANN, wanted, code=code, says=(says,))
    assert listed(shop, ANN) == [ANN]
    words = ("accounts", "add", CARLA, "--via", "service-account", "--calendar", wanted)
    shop.google.add_user(CARLA)
    run(shop, *words, code=code)
    assert [a["email"] for a in run(shop, "accounts", "list", "--json").data] == [ANN]


@ONE_EACH
@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ({"status": 503}, 6, "Google answered 503"),
        ({"status": 403, "reason": "forbidden"}, 4, f"share it with {ANN}"),
        ({"status": 403, "reason": "accessNotConfigured"}, 4, "Enable the Google Calendar API"),
    ],
)
def test_an_id_that_google_refuses_otherwise(
    shop: Company, fault: dict[str, Any], code: int, says: str
) -> None:
    shop.connect(ANN)
    shop.google.add_calendar(OUTLET, ANN, "Outlet")
    shop.google.add_fault(match=OUTLET, **fault)
    run(shop, "calendars", "add", ANN, OUTLET, code=code, says=(says,))
    assert listed(shop, ANN) == [ANN]
    shop.google.clear_faults()
    run(shop, "calendars", "add", ANN, f" {OUTLET} ", says=("first sync is queued",))
    assert listed(shop, ANN) == [ANN, OUTLET]


@ONE_EACH
def test_a_calendar_that_is_there_is_not_added_twice(shop: Company) -> None:
    shop.connect(ANN)
    shop.google.add_calendar(OUTLET, ANN, "Outlet")
    for wanted in (ANN, ANN.upper(), f" {ANN} ", "primary", "Primary"):
        run(shop, "calendars", "add", ANN, wanted, says=(f"{ANN} is mirrored already",))
    run(shop, "calendars", "add", ANN, OUTLET)
    run(shop, "calendars", "add", ANN, f"{OUTLET} ", says=("is mirrored already",))
    assert listed(shop, ANN) == [ANN, OUTLET]
    shop.google.insert_event(OUTLET, shop.timed(summary="Opening"))
    run(shop, "resync", ANN, "--calendar", OUTLET)
    words = ("calendars", "remove", ANN, OUTLET.upper(), "--events", "cancel", "--yes")
    run(shop, *words)
    assert shop.subjects() == []
    run(shop, "calendars", "add", ANN, OUTLET, says=("first sync is queued",))
    with shop.services.db.session() as session:
        assert session.query(Calendar).count() == 2


@ONE_EACH
def test_several_names_of_one_calendar_are_one(shop: Company) -> None:
    alias(shop)
    shop.google.add_calendar(OUTLET, CARLA, "Outlet")
    words = ("--calendar", "primary", "--calendar", CARLA, "--calendar", OUTLET)
    run(shop, "accounts", "add", CARLA, "--via", "service-account", *words)
    assert listed(shop) == [REAL, OUTLET]


# --- what Google does not show --------------------------------------------------------------


@ONE_EACH
@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ({"status": 404, "reason": "notFound"}, 5, "Google shows no calendar of"),
        ({"status": 403, "reason": "accessNotConfigured"}, 4, "Enable the Google Calendar API"),
        ({"status": 503}, 6, "Google answered 503"),
    ],
)
def test_an_account_whose_calendar_is_not_shown_is_not_kept(
    shop: Company, fault: dict[str, Any], code: int, says: str
) -> None:
    shop.google.add_fault(match="/calendars/", **fault)
    run(shop, "accounts", "add", ANN, "--via", "service-account", code=code, says=(says,))
    assert run(shop, "accounts", "list", "--json").data == []
    people = csv(shop, f"email\n{ANN}\n")
    done = run(shop, "accounts", "import", "--from", people, "--json", code=code)
    assert says in done.data[0]["outcome"]
    shop.google.clear_faults()
    run(shop, "accounts", "import", "--from", people)
    shop.google.add_fault(match="/calendars/", **fault)
    run(shop, "accounts", "add", ANN, "--via", "service-account", code=code)
    assert shop.account(ANN).state == "active", "what works goes on"


@ONE_EACH
def test_a_person_without_calendar(shop: Company) -> None:
    shop.google.add_user(CARLA, has_calendar=False)
    words = ("accounts", "add", CARLA, "--via", "service-account")
    run(
        shop,
        *words,
        code=4,
        says=("signed up for Google Calendar", "Calendar is on for this person"),
    )
    assert run(shop, "accounts", "list", "--json").data == []
    shop.google.set_calendar_service(CARLA, True)
    run(shop, *words, says=("is connected",))


@ONE_EACH
def test_resume_says_what_is_found_of_the_calendar(shop: Company) -> None:
    shop.google.add_user(CARLA)
    shop.add(CARLA)
    assert shop.sync(CARLA) == "done"
    run(shop, "accounts", "pause", CARLA)
    shop.google.set_calendar_service(CARLA, False)
    run(
        shop,
        "accounts",
        "resume",
        CARLA,
        code=3,
        says=("resumed", "Calendar is on for this person"),
    )
    assert "turn Google Calendar on" in problem(shop)["next_step"]
    shop.google.set_calendar_service(CARLA, True)
    assert shop.sync(CARLA) == "done"
    run(shop, "accounts", "pause", CARLA)
    run(shop, "accounts", "resume", CARLA)


# --- the employee's page --------------------------------------------------------------------


def page_of(company: Company, email: str) -> str:
    page: requests.Response = consent(company, invite(company, email), email)
    assert page.status_code == 200, page.text
    return " ".join(html.unescape(page.text).split())


@ONE_EACH
def test_the_page_names_the_calendar_that_is_mirrored(web: Company) -> None:
    alias(web)
    web.google.insert_event(REAL, web.timed(summary="Tasting"))
    said = page_of(web, CARLA)
    assert "You are connected" in said
    assert f"Google calls it {REAL}" in said
    assert web.sync(CARLA) == "done"
    assert keys(web) == [("Tasting", REAL)]
    assert "Google calls it" not in page_of(web, ANN)


@ONE_EACH
@pytest.mark.parametrize(
    ("fault", "cause", "says", "step"),
    [
        (None, "not_a_calendar_user", "administrator can turn it on", "turn Google Calendar on"),
        (
            {"status": 403, "reason": "accessNotConfigured"},
            "access_not_configured",
            "Google does not let Watcher read calendars at this moment",
            "enable the Google Calendar API",
        ),
        (
            {"status": 404, "reason": "notFound"},
            "no_own_calendar",
            "Google Calendar is not turned on for your account",
            "turn Google Calendar on",
        ),
    ],
)
def test_the_page_says_when_google_does_not_show_the_calendar(
    web: Company, fault: dict[str, Any] | None, cause: str, says: str, step: str
) -> None:
    """The consent is kept, nobody is told that all is well, and it goes on by itself."""
    web.google.add_user(CARLA, has_calendar=fault is not None)
    if fault is not None:
        web.google.add_fault(match="/calendars/", **fault)
    said = page_of(web, CARLA)
    assert "Google does not show your calendar yet" in said
    assert "are connected" not in said
    assert says in said
    assert f"<code>{cause}</code>" in said, "for the admin to whom the page is shown"
    assert state(web, CARLA) == "active"
    for _ in range(4):
        found = problem(web)
        assert (found["cause"], found["state"]) == (cause, "failing")
        assert step in found["next_step"]
        web.sync(CARLA)
    web.google.clear_faults()
    web.google.set_calendar_service(CARLA, True)
    web.google.insert_event(CARLA, web.timed(summary="Tasting"))
    assert web.sync(CARLA) == "done"
    assert web.subjects(CARLA) == ["Tasting"]


@ONE_EACH
def test_an_outage_right_after_the_consent_loses_nothing(web: Company) -> None:
    alias(web)
    web.google.insert_event(REAL, web.timed(summary="Tasting"))
    web.google.add_fault(match="/calendars/", status=503)
    assert "You are connected" in page_of(web, CARLA)
    web.google.clear_faults()
    assert web.sync(CARLA) == "done"
    assert keys(web) == [("Tasting", REAL)]


@ONE_EACH
def test_a_stranger_s_calendar_is_not_even_looked_at(web: Company) -> None:
    page = consent(web, invite(web, ANN), ADMIN)
    assert page.status_code == 403
    assert "events.list" not in web.google.log.counts()
