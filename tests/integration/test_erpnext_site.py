"""What a site is, is read from it: versions, fields, Employees, what stands in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.company import ANN, BOB, Company
from watcher.events.colours import colour_of
from watcher.ledger import erpnext as known_site
from watcher_sandbox.erpnext.app import serve as serve_erpnext
from watcher_sandbox.erpnext.site import ADMINISTRATOR, Site
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google


def company_of(site: Site, folder: Path, queue_url: str) -> Iterator[Company]:
    google = GoogleState()
    google_server, erpnext_server = serve_google(google), serve_erpnext(site)
    made = Company(
        google=google,
        site=site,
        folder=folder,
        google_url=google_server.url,
        erpnext_url=erpnext_server.url,
        queue_url=queue_url,
        database_url=f"sqlite:///{folder / 'ledger.sqlite3'}",
    )
    with closing(made), closing(google_server), closing(erpnext_server), closing(site):
        yield made


@pytest.fixture(params=[15, 16])
def bare(request: pytest.FixtureRequest, tmp_path: Path, queue_url: str) -> Iterator[Company]:
    """A Frappe without ERPNext."""
    yield from company_of(Site(frappe=request.param), tmp_path, queue_url)


@pytest.fixture(params=[15, 16])
def shop(request: pytest.FixtureRequest, tmp_path: Path, queue_url: str) -> Iterator[Company]:
    """A Frappe with ERPNext, where the API user may read Employees."""
    site = Site(frappe=request.param, erpnext=True)
    site.make_hr()
    yield from company_of(site, tmp_path, queue_url)


def put(company: Company, **extra: Any) -> None:
    company.google.insert_event(ANN, company.timed(hours=24, **extra))


# --- the employee -------------------------------------------------------------------------------


def test_the_row_names_the_employee_of_the_accounts_user(shop: Company) -> None:
    ann = shop.site.add_employee("Ann", ANN, branch="Pune")
    shop.site.add_employee("Bob", BOB)
    shop.connect()
    put(shop)
    assert shop.sync() == "done"
    assert [row["custom_google_employee"] for row in shop.rows()] == [ann]
    assert shop.watcher("verify").returncode == 0


def test_colours_are_written_where_they_are_asked_for(shop: Company) -> None:
    """Each row once for the change, and none where nobody asked."""
    shop.site.add_employee("Ann", ANN, branch="Pune")
    shop.connect()
    put(shop)
    assert shop.sync() == "done"
    [row] = shop.rows()
    shop.services.erpnext.update({"doctype": "Event", "name": row["name"], "color": "#123456"})
    for wanted, expected in (
        ("no", "#123456"),
        ("person", colour_of(ANN)),
        ("outlet", colour_of("Pune")),
        ("plain", ""),
    ):
        shop.set("event_colour", wanted)
        shop.rebuild()
        assert shop.sync() == "done"
        assert [row["color"] or "" for row in shop.rows()] == [expected]
        before = shop.rows()
        assert shop.sync(snapshot=True) == "done"
        assert shop.rows() == before
        assert shop.watcher("verify").returncode == 0


def test_without_a_branch_the_department_is_the_outlet(shop: Company) -> None:
    shop.site.add_employee("Ann", ANN, department="Kitchen")
    shop.set("event_colour", "outlet")
    shop.connect()
    put(shop)
    assert shop.sync() == "done"
    assert [row["color"] for row in shop.rows()] == [colour_of("Kitchen")]


def test_an_active_employee_comes_before_one_who_left(shop: Company) -> None:
    shop.site.add_employee("Ann, before", None, status="Left")
    now = shop.site.add_employee("Ann", ANN)
    shop.connect()
    put(shop)
    assert shop.sync() == "done"
    assert [row["custom_google_employee"] for row in shop.rows()] == [now]


def test_rows_follow_when_the_employee_comes_later(shop: Company) -> None:
    shop.connect()
    put(shop)
    assert shop.sync() == "done"
    assert [row["custom_google_employee"] for row in shop.rows()] in ([None], [""])
    ann = shop.site.add_employee("Ann", ANN)
    shop.rebuild()  # what is known of a site is asked for again every ten minutes
    assert shop.sync() == "done"
    assert [row["custom_google_employee"] for row in shop.rows()] == [ann]


def test_a_site_without_employees_gets_no_field_for_them(bare: Company) -> None:
    bare.connect()
    put(bare)
    assert bare.sync() == "done"
    assert "custom_google_employee" not in bare.rows()[0]


# --- fields that a version has or has not --------------------------------------------------------


def test_the_place_is_where_the_sites_event_has_one(bare: Company) -> None:
    bare.connect()
    put(bare, location="Counter 3", hangoutLink="https://meet.google.com/abc-defg-hij")
    assert bare.sync() == "done"
    [row] = bare.rows()
    assert row["google_meet_link"] == "https://meet.google.com/abc-defg-hij"
    if bare.site.frappe == 16:
        assert row["location"] == "Counter 3"
        assert "Counter 3" not in row["description"]
    else:
        assert "Counter 3" in row["description"]


def test_a_site_that_is_upgraded_gets_its_new_field_filled(tmp_path: Path, queue_url: str) -> None:
    for company in company_of(Site(frappe=15), tmp_path, queue_url):
        company.connect()
        put(company, location="Counter 3")
        assert company.sync() == "done"
        field = {"fieldname": "location", "label": "Location", "fieldtype": "Data"}
        company.services.erpnext.insert(
            {"doctype": "Custom Field", "dt": "Event", "insert_after": "subject", **field}
        )
        company.rebuild()
        assert company.sync() == "done"
        assert company.rows()[0]["location"] == "Counter 3"


# --- what an admin is told ----------------------------------------------------------------------


def test_setup_and_status_name_the_versions(shop: Company) -> None:
    said = json.loads(shop.watcher("erpnext", "setup", "--json").stdout)
    assert said["versions"]["frappe"] == shop.site.version
    assert said["versions"]["erpnext"]
    assert any("sanitiser" in sentence for sentence in said["warnings"])
    shop.connect()
    with shop.services.db.session() as session:
        known = known_site.site(session)
    assert known.versions["frappe"] == shop.site.version
    screen = shop.watcher("status").stdout
    assert f"frappe {shop.site.version}" in screen
    assert "note:" in screen
    assert max(map(len, screen.splitlines())) <= 100


def test_setup_names_what_would_double_or_refuse_every_event(bare: Company) -> None:
    bare.site.add_google_calendar(BOB)
    bare.setup_erpnext()
    bare.services.erpnext.insert(
        {
            "doctype": "Custom Field",
            "dt": "Event",
            "fieldname": "custom_outlet",
            "reqd": 1,
            "label": "Outlet",
            "fieldtype": "Data",
            "insert_after": "description",
        }
    )
    said = bare.watcher("erpnext", "setup")
    assert said.returncode == 0
    assert BOB in said.stderr
    assert "Pull from Google Calendar" in said.stderr
    assert "custom_outlet" in said.stderr


def test_administrator_is_refused_with_the_reason(bare: Company) -> None:
    bare.connect()
    key, secret = bare.site.add_user(ADMINISTRATOR, system_manager=True)
    bare.set("erpnext_api_key", key)
    bare.set("erpnext_api_secret", secret)
    bare.rebuild()
    said = bare.watcher("erpnext", "setup")
    assert said.returncode == 4
    assert "mail" in said.stderr
    put(bare)
    assert bare.sync() == "failed"
    assert bare.calendar().cause == "api_user_administrator"
    assert bare.rows() == []
