"""What a notice leads to."""

from __future__ import annotations

from watcher.notices import words

WATCHER, SITE = "https://watcher.example.com", "https://erp.example.com"


def test_a_notice_about_one_employee_leads_to_the_calendars_on_both_sides() -> None:
    told = words.ForAdmins(
        what="ann+shop@example.com: failing (permission)",
        text="",
        step="look",
        links=words.links(WATCHER, SITE, ("ann+shop@example.com", "ann@erp.example.com")),
    )
    assert told.body.splitlines()[-2:] == [
        f"Calendars: {WATCHER}/calendars?q=ann%2Bshop%40example.com",
        f"Events in ERPNext: {SITE}/app/event/view/calendar/default"
        "?custom_google_user=ann%40erp.example.com",
    ]


def test_one_about_all_leads_to_the_dashboard_and_without_an_address_nowhere() -> None:
    assert words.links(WATCHER, SITE, None) == [("Dashboard", WATCHER)]
    assert words.links("", SITE, None) == []
    assert words.links("", SITE, ("ann@example.com", "")) == []


def test_of_many_each_named_one_has_a_link_and_the_rest_has_one() -> None:
    emails = [f"e{n}@example.com" for n in range(words.NAMED + 12)]
    told = words.ForAdmins(
        what="32 accounts: needs reconnect (invalid_grant)",
        text="",
        step="look",
        links=[],
        who=[(each, words.of_one(WATCHER, each)) for each in emails],
        all_of_them=words.of_all(WATCHER, "needs_reconnect", "invalid_grant"),
    )
    _, first, *_, rest, _, _ = told.body.splitlines()
    assert first == f"e0@example.com: {WATCHER}/calendars?q=e0%40example.com"
    assert rest == f"... and 12 more: {WATCHER}/employees?state=needs_reconnect"
    of_cause = words.of_all(WATCHER, "delayed", "erpnext_unavailable")
    assert of_cause == f"{WATCHER}/calendars?cause=erpnext_unavailable"
    assert words.of_one("", "e0@example.com") == words.of_all("", "failing", "gone") == ""
