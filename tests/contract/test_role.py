"""The role Watcher in ERPNext: made, enough for all that Watcher does, and taken back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.sandbox_erpnext import Person, integration
from watcher.doctor.rights import PERMISSIONS
from watcher.erpnext import role
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.fields import check, install, tell_nobody, unseen_employees
from watcher.erpnext.peculiarities import pulled_for
from watcher.erpnext.site import company_of
from watcher.errors import ErpForbidden, ErpRefused

BOT = "watcher@scoopjoy.test"


def client_of(person: Person) -> ErpNextClient:
    return ErpNextClient(person.url, *person.pair)


class Site:
    """A site with an admin, and a user for Watcher."""

    def __init__(self, person: Person) -> None:
        self.person, self.stand_in = person, person.site
        self.bot = person.another(BOT, system_manager=True)
        self.admin, self.client = client_of(person), client_of(self.bot)

    def rights(self) -> dict[str, list[tuple[str, int, str]]]:
        """Of everybody, by document type, as the permission manager shows them."""
        found: dict[str, list[tuple[str, int, str]]] = {}
        for row in self.stand_in.rows("Custom DocPerm"):
            flags = " ".join(flag for flag in role.FLAGS if row[flag])
            found.setdefault(row["parent"], []).append((row["role"], row["permlevel"], flags))
        return {doctype: sorted(rules) for doctype, rules in found.items()}

    def give(self) -> role.RoleReport:
        return role.give(self.client, BOT, tell_nobody)


@pytest.fixture(params=[(15, True), (16, False)], ids=["15-erpnext", "16"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    frappe, erpnext = request.param
    with integration(frappe=frappe, erpnext=erpnext) as person:
        yield Site(person)


def test_the_api_user_gives_itself_the_role_and_keeps_no_other(site: Site) -> None:
    told: list[str] = []
    said = role.give(site.client, BOT, told.append)
    assert (said.before, said.taken) == (["System Manager"], ["System Manager"])
    assert told == said.changed
    assert said.changed[-1] == f"{BOT} has the role Watcher and no other"
    assert site.client.roles(BOT) >= {"Watcher", "Super Email User"}
    assert "System Manager" not in site.client.roles(BOT)
    assert not site.client.is_system_manager()
    assert role.lacking(site.client) == []
    assert role.give(site.admin, BOT, tell_nobody).changed == []


def test_it_may_do_nothing_else(site: Site) -> None:
    site.give()
    with pytest.raises(ErpForbidden):
        install(site.client)
    with pytest.raises(ErpForbidden):
        role.give(site.client, BOT, tell_nobody)
    site.client.update({"doctype": "User", "name": BOT, "roles": [{"role": "System Manager"}]})
    assert "System Manager" not in site.client.roles(BOT)


def test_others_have_the_rights_that_they_had(site: Site) -> None:
    """Frappe copies the standard rules when the first one of the site's own is made."""
    site.give()
    others = {d: [r for r in rules if r[0] != "Watcher"] for d, rules in site.rights().items()}
    for doctype, rules in others.items():
        name = "frappe.core.page.permission_manager.permission_manager.get_standard_permissions"
        standard = site.admin.read(name, params={"doctype": doctype})
        assert len(rules) == len(standard) > 0, doctype
    ann = client_of(site.person.another("ann@scoopjoy.test"))
    assert (ann.may("write"), ann.may("delete"), ann.may("read", "Version")) == (True, False, False)


def test_it_is_taken_back(site: Site) -> None:
    site.give()
    said = role.take_back(site.admin, BOT, tell_nobody)
    assert (site.rights(), site.stand_in.rows("Role"), said.left) == ({}, [], [])
    assert "System Manager" in site.client.roles(BOT)
    assert role.take_back(site.admin, BOT, tell_nobody).changed == []


def test_taking_back_leaves_what_others_have_set(site: Site) -> None:
    """A rule of the site's own stays, and the standard ones beside it."""
    site.give()
    add = "frappe.core.page.permission_manager.permission_manager.add"
    site.admin.method(add, params={"parent": "Event", "role": "Outlet Manager", "permlevel": 0})
    site.person.another("other@scoopjoy.test")
    roles = [{"role": "Watcher"}]
    site.admin.update({"doctype": "User", "name": "other@scoopjoy.test", "roles": roles})
    said = role.take_back(site.admin, BOT, tell_nobody)
    kept = site.rights()
    assert list(kept) == ["Event"]
    assert "Outlet Manager" in {name for name, _, _ in kept["Event"]}
    assert "Watcher" not in {name for name, _, _ in kept["Event"]}
    assert len(said.left) == 1
    assert "linked with User" in said.left[0]


def test_a_dry_run_changes_nothing(site: Site) -> None:
    said = role.give(site.client, BOT, tell_nobody, dry_run=True)
    assert len(said.changed) > 10
    assert (site.rights(), site.stand_in.rows("Role")) == ({}, [])
    site.give()
    before = site.rights()
    assert role.take_back(site.admin, BOT, tell_nobody, dry_run=True).changed
    assert site.rights() == before


def test_a_look_at_the_fields_takes_no_role(site: Site) -> None:
    install(site.admin)
    site.give()
    report = check(site.client)
    assert (report.missing, report.wrong, report.system_manager) == ([], [], False)
    assert report.employees is site.stand_in.erpnext
    assert pulled_for(site.client) is None, "Frappe would show it its own alone"


def test_the_employee_is_named_though_system_managers_do_not_see_employees(site: Site) -> None:
    """In ERPNext Employees are for HR. The field is made before there is the role, by which the
    API user reads them."""
    wanted = ["custom_google_employee"] if site.stand_in.erpnext else []
    without = unseen_employees(site.client)
    assert bool(without) is site.stand_in.erpnext
    assert install(site.admin).created[10:] == wanted
    assert install(site.admin).created == []
    site.give()
    report = check(site.client)
    assert (report.missing, unseen_employees(site.client)) == ([], [])


def test_links_of_an_earlier_version_stop_following_user_permissions(site: Site) -> None:
    """Those that somebody made follow them since are left so, and named."""
    install(site.admin)
    link = {"doctype": "Custom Field", "name": "Event-custom_google_user"}
    site.admin.update({**link, "is_system_generated": 0, "ignore_user_permissions": 0})
    assert check(site.admin).narrowing == ["custom_google_user"]
    assert install(site.admin).narrowing == []
    assert check(site.admin).narrowing == []
    site.admin.update({**link, "ignore_user_permissions": 0})
    assert install(site.admin).narrowing == ["custom_google_user"]


def test_the_company_is_that_of_the_employees(site: Site) -> None:
    """By the role Companies are not read; Employees are, and name theirs."""
    if not site.stand_in.erpnext:
        assert company_of(site.client) == ""
        return
    site.admin.insert({"doctype": "Company", "company_name": "Scoop Joy"})
    assert company_of(site.client) == "Scoop Joy"
    site.give()
    assert company_of(site.client) == "", "nobody works there yet"
    site.stand_in.add_employee("Ann")
    site.stand_in.add_employee("Bob", status="Left", company="Former Ltd")
    assert company_of(site.client) == "Scoop Joy"
    site.stand_in.add_employee("Cleo", company="Scoop Joy Franchise")
    assert company_of(site.client) == ""


def test_an_event_with_mails_is_deleted(site: Site) -> None:
    """Frappe deletes them with it, as the user who deletes."""
    site.give()
    event = site.person.event()
    about = {"reference_doctype": "Event", "reference_name": event}
    site.person.make("Communication", subject="Hello", communication_medium="Email", **about)
    weak = site.person.site.find("Custom DocPerm", parent="Communication", role="Watcher")[0]
    site.admin.update({"doctype": "Custom DocPerm", "name": weak["name"], "delete": 0})
    assert role.lacking(site.client) == [("Communication", "delete")]
    with pytest.raises((ErpForbidden, ErpRefused)):
        site.client.delete("Event", event)
    role.give(site.admin, BOT, tell_nobody)
    assert site.client.delete("Event", event)


def test_the_rights_that_doctor_looks_at_one_by_one_are_of_the_role() -> None:
    granted = {
        f"erpnext.may.{permission}.{doctype.lower().replace(' ', '_')}"
        for doctype, permissions in role.GRANTS.items()
        for permission in permissions
    }
    assert set(PERMISSIONS) <= granted
