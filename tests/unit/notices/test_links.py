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
