"""The Desk shows what Google shows: a mixed week, mirrored, and on which days each event is drawn.

On the sandbox of each version a model says what is drawn; where the environment names real sites
(``tests.desk_site``), their own Desk draws it in a Chromium, and the model has to agree with it.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from tests.company import SITE_ZONE, Company
from tests.desk_site import RealSite, desk, named
from tests.mixed_week import Days, MixedWeek, by_title
from watcher.erpnext.desk import fit
from watcher_sandbox.erpnext import calendar
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google

VERSIONS = (15, 16)
VIEWS = ("month", "week")
REAL = [site for site in map(named, VERSIONS) if site]
VISIBLE = {15: 1, 16: 12}
"""Pixels of the least event in a week: one of a minute. 15 draws it by its length alone."""


class Mirrored:
    """The mixed week of somebody new, mirrored into a site and then changed."""

    def __init__(self, company: Company, zone: ZoneInfo) -> None:
        self.company, self.google, self.site = company, company.google, company.site
        self.email = f"desk-{uuid.uuid4().hex[:8]}@scoopjoy.test"
        self.week = MixedWeek(zone, datetime.now(zone).date())
        company.google.add_user(self.email, time_zone=str(zone))
        company.set("window_future_days", "400")
        company.setup_erpnext()
        company.add(self.email)

    def run(self) -> None:
        bodies = [{"summary": case.title, **case.body} for case in self.week.cases]
        ids = [self.google.insert_event(self.email, body) for body in bodies]
        assert self.company.sync(self.email) == "done"
        for case, event_id in zip(self.week.cases, ids, strict=True):
            if case.closed:
                self._close(event_id)
            if case.after.get("status") == "cancelled":
                self.google.delete_event(self.email, event_id)
            elif case.after:
                self.google.patch_event(self.email, event_id, case.after)
            if "recurrence" in case.body:
                self.google.delete_event(self.email, self._third(event_id))
        assert self.company.sync(self.email) == "done"

    def rows(self) -> list[dict[str, Any]]:
        return self.company.rows(self.email, live=False)

    def _third(self, series: str) -> str:
        """The instance of the day after the day after the first."""
        now = datetime.now(UTC)
        found = self.google.truth(self.email, now, now + timedelta(days=30))
        return str([each["id"] for each in found if each.get("recurringEventId") == series][2])

    def _close(self, event_id: str) -> None:
        """As Frappe's daily job leaves it."""
        (name,) = (r["name"] for r in self.rows() if r["custom_google_event_id"] == event_id)
        environ = self.company.environ
        secret = f"{environ['WATCHER_ERPNEXT_API_KEY']}:{environ['WATCHER_ERPNEXT_API_SECRET']}"
        requests.put(
            f"{environ['WATCHER_ERPNEXT_URL']}/api/resource/Event/{name}",
            json={"status": "Closed"},
            headers={"Authorization": f"token {secret}"},
            timeout=60,
        ).raise_for_status()


def modelled(
    rows: list[dict[str, Any]], version: int, view: str, zone: str
) -> list[tuple[str, date]]:
    """Name and day of all that the model draws."""
    return [
        (row["name"], day)
        for row in rows
        for day in calendar.days(row, frappe=version, view=view, site_zone=zone)
    ]


def titled(drawn: list[tuple[str, date]], rows: list[dict[str, Any]]) -> Days:
    titles = {row["name"]: row["subject"] for row in rows}
    return by_title((titles[name], day) for name, day in drawn)


def mirrored(
    stack: ExitStack, site: Any, url: str, zone: ZoneInfo, folder: Path, queue_url: str
) -> Mirrored:
    google = GoogleState()
    server = stack.enter_context(closing(serve_google(google)))
    company = stack.enter_context(
        closing(
            Company(
                google=google,
                site=site,
                folder=folder,
                google_url=server.url,
                erpnext_url=url,
                queue_url=queue_url,
                database_url=f"sqlite:///{folder / 'ledger.sqlite3'}",
            )
        )
    )
    return Mirrored(company, zone)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_event_is_drawn_on_its_days(version: int, tmp_path: Path, queue_url: str) -> None:
    with ExitStack() as stack:
        site = stack.enter_context(closing(Site(str(SITE_ZONE), frappe=version)))
        url = stack.enter_context(closing(serve_erpnext(site))).url
        shown = mirrored(stack, site, url, SITE_ZONE, tmp_path, queue_url)
        shown.run()
        rows = shown.rows()
        for view in VIEWS:
            drawn = modelled(rows, version, view, str(SITE_ZONE))
            assert titled(drawn, rows) == shown.week.expected(version, view), view
        assert "CANARY" not in site.dump()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The real sites that are named."""
    if "real" in metafunc.fixturenames:
        metafunc.parametrize("real", REAL, ids=[str(site.frappe) for site in REAL], indirect=True)


if REAL:

    @pytest.fixture
    def real(request: pytest.FixtureRequest, tmp_path: Path, queue_url: str) -> Iterator[Mirrored]:
        """A named site with the mixed week, which is deleted afterwards."""
        site: RealSite = request.param
        with ExitStack() as stack:
            zone = ZoneInfo(site.zone)
            shown = mirrored(stack, site, site.url, zone, tmp_path, queue_url)
            site.account = shown.email
            stack.callback(site.clear)
            shown.run()
            yield shown

    @pytest.mark.browser
    def test_a_real_desk_draws_each_event_on_its_days(real: Mirrored) -> None:
        site, rows = real.site, real.rows()
        assert isinstance(site, RealSite)
        for view in VIEWS:
            with desk(site) as page:
                blocks = page.drawn(view, real.week.today, real.week.last)
            assert real.rows() == rows, "somebody else works on this site"
            expected = real.week.expected(site.frappe, view)
            assert by_title((block.title, block.day) for block in blocks) == expected, view
            by_model = modelled(rows, site.frappe, view, site.zone)
            assert sorted((block.name, block.day) for block in blocks) == sorted(by_model), view
            if view == "week":
                assert min(block.height for block in blocks) >= VISIBLE[site.frappe]

    @pytest.mark.browser
    def test_the_form_of_a_meeting(real: Mirrored) -> None:
        (name,) = (row["name"] for row in real.rows() if row["subject"] == "Tom & Jerry")
        site = real.site
        assert isinstance(site, RealSite)
        fit(real.company.services.erpnext)
        with desk(site) as page:
            form = page.form(name)
        assert (form.subject, form.can_join) == ("Tom & Jerry", True)
        lines = ["First line", "Second line: a < b & c", "https://example.com/agenda"]
        assert [line for line in form.lines if "Place" not in line] == [
            *lines,
            "Meeting: https://meet.google.com/abc-defg-hij",
        ]
        assert "https://meet.google.com/abc-defg-hij" in form.links
        assert form.note == (
            f"Mirrored from the Google Calendar of {real.email}: change it there, "
            "what is changed here is overwritten. Open in Google Calendar"
        )
        eid = form.note_link.removeprefix("https://calendar.google.com/calendar/event?eid=")
        (row,) = (each for each in real.rows() if each["name"] == name)
        told = base64.b64decode(eid + "=" * (-len(eid) % 4)).decode()
        assert told == f"{row['custom_google_event_id']} {row['custom_google_calendar_id']}"
        assert form.locked > {"subject", "starts_on", "ends_on", "event_type", "description"}
