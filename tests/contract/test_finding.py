"""A person's further calendars: found at Google with a scope of its own, added by who may, and not
a second time by surprise."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.company import ANN, BOB, CLIENT_ID, SERVICE_ACCOUNT
from tests.shop import Shop
from watcher.accounts import finding, verbs
from watcher.errors import AccessLost, NotFound, UserError
from watcher.google.endpoints import CALENDAR_SCOPE, LIST_SCOPE
from watcher.google.listed import Listed, read_listed
from watcher.handlers.app import create_app
from watcher.ledger import accounts, calendars
from watcher.services import Services

OUTLET = "c_outlet@group.calendar.google.com"
ROSTER = "c_roster@group.calendar.google.com"
HOLIDAYS = "en.indian#holiday@group.v.calendar.google.com"


@pytest.fixture
def finder(shop: Shop) -> Shop:
    """Ann is mirrored by delegation, whose admin has allowed the list; admins and employees may
    look. Besides her own calendar she has an outlet's, a roster that she sees, and holidays."""
    shop.set("find_calendars", "both")
    shop.rebuild()
    shop.google.set_delegated(SERVICE_ACCOUNT, (CALENDAR_SCOPE, LIST_SCOPE))
    shop.google.add_calendar(OUTLET, ANN, "Outlet [Pune]")
    shop.google.add_calendar(ROSTER, BOB, "Roster")
    shop.google.share(ROSTER, ANN, "reader")
    shop.google.add_calendar(HOLIDAYS, "google@example.com", "Holidays in India", watchable=False)
    shop.google.share(HOLIDAYS, ANN, "reader")
    shop.add()
    return shop


def said(shop: Shop, *words: str) -> str:
    done = shop.invoke(*words)
    assert done.return_value in (None, 0), done.output
    return " ".join(done.output.split())


def standings(shop: Shop, email: str = ANN) -> dict[str, str]:
    found = finding.find(shop.services, email, "admins")
    return {each.listed.google_id: each.standing for each in found}


def mirrored(shop: Shop, email: str = ANN) -> list[str]:
    with shop.services.db.reading() as session:
        account = accounts.get(session, email)
        return [c.google_id for c in calendars.of_account(session, account.id)]


def consented(shop: Shop, *scopes: str) -> None:
    """Bob's consent covers these."""
    shop.consented(BOB)
    token = shop.google.mint_access_token(BOB, scopes)
    with shop.services.db.session() as session:
        account = accounts.get(session, BOB)
        account.granted_scopes = json.dumps(scopes)
        row = f"accounts:{account.id}:access_token"
        account.access_token = shop.services.keyring.encrypt(token, row=row)


# --- what Google says of one --------------------------------------------------------------


@pytest.mark.parametrize(
    ("google_id", "kind"),
    [
        (OUTLET, "calendar"),
        ("bob@example.com", "person"),
        (HOLIDAYS, "holidays"),
        ("addressbook#contacts@group.v.calendar.google.com", "birthdays"),
        ("e_2_en#weeknum@group.v.calendar.google.com", "week_numbers"),
        ("x#sports@group.v.calendar.google.com", "generated"),
        ("abc123@import.calendar.google.com", "imported"),
        ("example.com_1881@resource.calendar.google.com", "room"),
    ],
)
def test_what_a_calendar_is_stands_in_its_id(google_id: str, kind: str) -> None:
    assert Listed(google_id=google_id, name="", role="reader", time_zone="").kind == kind


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ({"summary": "Outlet"}, "Outlet"),
        ({"summary": "Outlet", "summaryOverride": "Mine"}, "Mine"),
        ({}, "x@y"),
        ({"summary": 7, "accessRole": None, "primary": "yes"}, "x@y"),
        ({"summary": "red \x1b[31m\u202e\nalert"}, "red [31m alert"),
        ({"summary": "long " * 100}, ("long " * 100)[:117] + "..."),
    ],
)
def test_a_name_is_one_line_of_what_can_be_printed(item: dict[str, Any], name: str) -> None:
    found = read_listed({"id": "x@y", **item})
    assert found is not None
    assert (found.name, found.is_main) == (name, False)


@pytest.mark.parametrize("item", [{}, {"id": 7}, {"id": "x@y", "deleted": True}])
def test_what_is_no_calendar_any_more_is_left_out(item: dict[str, Any]) -> None:
    assert read_listed(item) is None


# --- what is found ------------------------------------------------------------------------


def test_each_calendar_is_found_with_what_can_become_of_it(finder: Shop) -> None:
    finder.google.add_calendar("c_busy@group.calendar.google.com", BOB, "Board")
    finder.google.share("c_busy@group.calendar.google.com", ANN, "freeBusyReader")
    finder.google.list_as(ROSTER, ANN, name="Shifts", hidden=True)
    found = finding.find(finder.services, ANN, "admins")
    assert [(f.listed.name, f.standing) for f in found] == [
        ("Outlet [Pune]", "can_be_added"),
        ("Shifts", "can_be_added"),
        ("Holidays in India", "can_be_added"),
        (ANN, "mirrored"),
        ("Board", "free_busy_only"),
    ]
    assert [f.listed.is_hidden for f in found] == [False, True, False, False, False]
    assert (found[3].listed.kind, found[0].listed.role) == ("main", "owner")


def test_a_long_list_has_pages(finder: Shop) -> None:
    for number in range(300):
        finder.google.add_calendar(f"c_{number}@group.calendar.google.com", ANN)
    assert len(standings(finder)) == 304
    assert finder.google.log.counts()["calendarList.list"] == 2


def test_the_command_shows_names_and_the_line_that_adds_each(finder: Shop) -> None:
    table = said(finder, "calendars", "find", ANN)
    assert f"Outlet [Pune] {OUTLET} owner not mirrored" in table
    assert f"watcher calendars add {ANN} {OUTLET}" in table
    assert f"watcher calendars add {ANN} '{HOLIDAYS}'" in table
    document = json.loads(finder.invoke("calendars", "find", ANN, "--json").stdout)
    assert document[0] == {
        "account": ANN,
        "calendar": OUTLET,
        "name": "Outlet [Pune]",
        "role": "owner",
        "kind": "calendar",
        "time_zone": "Europe/Berlin",
        "hidden": False,
        "standing": "can_be_added",
        "also_mirrored_by": [],
        "add": f"watcher calendars add {ANN} {OUTLET}",
    }
    said(finder, "calendars", "add", ANN, OUTLET)
    assert standings(finder)[OUTLET] == "mirrored"


def test_no_name_is_kept(finder: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        said(finder, "calendars", "find", ANN)
    finder.services.db.dispose()
    kept = b"".join(f.read_bytes() for f in (finder.folder / "data").iterdir() if f.is_file())
    assert b"Outlet [Pune]" not in kept
    assert "Outlet [Pune]" not in caplog.text


# --- who may ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "admins", "employees"),
    [("no", False, False), ("admins", True, False), ("employees", False, True)],
)
def test_the_company_says_who_may_look(
    finder: Shop, value: str, admins: bool, employees: bool
) -> None:
    finder.set("find_calendars", value)
    finder.rebuild()
    for who, allowed in (("admins", admins), ("employees", employees)):
        if allowed:
            assert finding.find(finder.services, ANN, who)  # type: ignore[arg-type]
        else:
            with pytest.raises(UserError, match=f"WATCHER_FIND_CALENDARS is {value}"):
                finding.find(finder.services, ANN, who)  # type: ignore[arg-type]


def test_nothing_more_is_asked_of_google_unless_the_company_wants_it(shop: Shop) -> None:
    scopes = shop.look("google.lists")
    assert str(scopes.verdict) == "skip"
    shop.add()
    asked = {scope for token in shop.google.oauth.access_tokens.values() for scope in token.scopes}
    assert LIST_SCOPE not in asked


def test_a_paused_account_is_not_asked(finder: Shop) -> None:
    verbs.pause(finder.services, ANN)
    with pytest.raises(UserError, match="is paused: Google is not asked"):
        finding.find(finder.services, ANN, "admins")


# --- without the scope everything else works ------------------------------------------------


def test_a_delegation_without_the_list_goes_on(finder: Shop) -> None:
    """Google refuses a service account every scope that is asked for beside a missing one."""
    finder.google.set_delegated(SERVICE_ACCOUNT, (CALENDAR_SCOPE,))
    with pytest.raises(AccessLost, match="everything else works") as raised:
        finding.find(finder.services, ANN, "admins")
    assert raised.value.cause == finding.CAUSE
    assert f"with the scopes {CALENDAR_SCOPE},{LIST_SCOPE}" in raised.value.next_step
    assert finder.account().is_active
    finder.google.expire_access_tokens()
    assert finder.sync() == "done"


def test_a_consent_without_the_list_goes_on(finder: Shop) -> None:
    consented(finder, CALENDAR_SCOPE)
    with pytest.raises(AccessLost) as raised:
        finding.find(finder.services, BOB, "admins")
    assert raised.value.cause == finding.CAUSE
    assert f"watcher accounts invite {BOB}" in raised.value.next_step
    assert finder.account(BOB).is_active
    consented(finder, CALENDAR_SCOPE, LIST_SCOPE)
    assert standings(finder, BOB)[ROSTER] == "can_be_added"


def test_the_connected_app_needs_the_scope_too(finder: Shop) -> None:
    consented(finder, CALENDAR_SCOPE)
    with finder.services.db.session() as session:
        accounts.get(session, BOB).source = "erpnext"
    with pytest.raises(AccessLost) as raised:
        finding.find(finder.services, BOB, "admins")
    assert f"add the scope {LIST_SCOPE} to the Connected App" in raised.value.next_step
    finder.invoke("erpnext", "setup", "--connected-app")
    (app,) = finder.site.rows("Connected App")
    asked = [row["scope"] for row in app["scopes"]]
    assert asked == ["openid", "email", CALENDAR_SCOPE, LIST_SCOPE]


def test_a_refusal_of_another_kind_is_told_as_it_is(finder: Shop) -> None:
    finder.google.add_fault(match="calendarList", status=403, reason="accessNotConfigured")
    done = finder.invoke("calendars", "find", ANN)
    assert "Enable the Google Calendar API" in str(getattr(done.exception, "next_step", ""))


# --- a calendar that another account mirrors ------------------------------------------------


def test_two_accounts_with_one_calendar_are_told_of(finder: Shop) -> None:
    """Each account has rows of its own, so that the events stand in ERPNext twice."""
    finder.add(BOB)
    verbs.add_calendar(finder.services, BOB, ROSTER)
    table = said(finder, "calendars", "find", ANN)
    assert f"Roster {ROSTER} reader mirrored for {BOB}" in table
    assert f"calendars add {ANN} {ROSTER}" not in table
    told = said(finder, "calendars", "add", ANN, ROSTER)
    assert f"{BOB} mirrors it, too, so that its events stand in ERPNext twice" in told
    assert f"watcher calendars remove {BOB} {ROSTER} --events delete" in told


def test_the_main_calendar_of_a_colleague_who_is_connected(finder: Shop) -> None:
    finder.google.share(BOB, ANN, "reader")
    assert standings(finder)[BOB] == "can_be_added"
    finder.add(BOB)
    assert standings(finder)[BOB] == "mirrored_for_another"


def test_an_employee_adds_what_was_found_and_nothing_else(finder: Shop) -> None:
    finder.add(BOB)
    verbs.add_calendar(finder.services, BOB, ROSTER)
    done = finding.choose(finder.services, ANN, [OUTLET, ROSTER, "c_x@group.calendar.google.com"])
    assert (done.added, done.left) == (1, 2)
    assert mirrored(finder) == [ANN, OUTLET]
    finder.set("find_calendars", "admins")
    finder.rebuild()
    with pytest.raises(UserError):
        finding.choose(finder.services, ANN, [HOLIDAYS])


def test_two_who_choose_one_calendar_at_the_same_moment_do_not_double_it(
    finder: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder.add(BOB)
    add = verbs.add_calendar

    def both(services: Services, email: str, google_id: str) -> verbs.Mirrored:
        add(services, BOB, google_id)
        return add(services, email, google_id)

    monkeypatch.setattr(verbs, "add_calendar", both)
    done = finding.choose(finder.services, ANN, [ROSTER])
    assert (done.added, done.left) == (0, 1)
    assert mirrored(finder) == [ANN]


def test_a_calendar_that_google_stops_showing_is_not_added(finder: Shop) -> None:
    finder.google.add_fault(match="c_outlet.*events", status=404, reason="notFound")
    done = finding.choose(finder.services, ANN, [OUTLET, ROSTER])
    assert (done.added, done.left) == (1, 1)
    assert mirrored(finder) == [ANN, ROSTER]


def test_who_is_nobody(finder: Shop) -> None:
    with pytest.raises(NotFound):
        finding.find(finder.services, "nobody@scoopjoy.test", "admins")


# --- doctor -------------------------------------------------------------------------------


def test_doctor_tells_a_delegation_that_lacks_the_list(finder: Shop) -> None:
    assert str(finder.look("google.lists").verdict) == "ok"
    finder.google.set_delegated(SERVICE_ACCOUNT, (CALENDAR_SCOPE,))
    found = finder.look("google.lists")
    assert str(found.verdict) == "fail"
    assert f"with the scopes {CALENDAR_SCOPE},{LIST_SCOPE}" in found.do
    assert str(finder.look("google.delegation").verdict) == "ok", "which is another matter"


def test_doctor_counts_consents_that_lack_the_list(finder: Shop) -> None:
    consented(finder, CALENDAR_SCOPE)
    found = finder.look("google.lists")
    assert (str(found.verdict), "1 consent (of 1)" in found.message) == ("warn", True)
    consented(finder, CALENDAR_SCOPE, LIST_SCOPE)
    assert str(finder.look("google.lists").verdict) == "ok"


def test_doctor_sees_that_a_consent_covers_the_calendar(shop: Shop) -> None:
    shop.consented(BOB)
    assert str(shop.look("google.grants").verdict) == "ok"


def test_the_admin_console_wants_both_scopes(finder: Shop) -> None:
    both = f"scopes {CALENDAR_SCOPE},{LIST_SCOPE}"
    finder.set("secret_keys", finder.key)
    assert both in said(finder, "config", "validate", "--offline")


def test_a_connect_link_asks_for_the_list_too(finder: Shop) -> None:
    browser = create_app(finder.services).test_client()
    link = urlsplit(verbs.invite(finder.services, BOB)).path
    away = browser.post(link).headers["Location"]
    asked = parse_qs(urlsplit(away).query)
    assert asked["scope"] == [f"openid email {CALENDAR_SCOPE} {LIST_SCOPE}"]
    assert asked["client_id"] == [CLIENT_ID]
