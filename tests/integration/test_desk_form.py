"""``watcher erpnext setup`` makes the Desk fit for mirrored events, and takes it back."""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
from typing import Any

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.company import ANN, Company
from watcher.erpnext import agenda, desk, dragging, lines
from watcher.erpnext.fields import install
from watcher.events.fields import FIELDS

pytestmark = pytest.mark.one_shape("postgres")


@pytest.fixture(autouse=True)
def fields(company: Company) -> None:
    company.setup_erpnext()


def fit(company: Company, *, dry_run: bool = False) -> desk.DeskReport:
    return desk.fit(company.services.erpnext, dry_run=dry_run)


def settings(company: Company) -> dict[str, str]:
    return {row["name"]: row["value"] for row in company.site.rows("Property Setter")}


def custom(company: Company) -> dict[str, dict[str, Any]]:
    return {row["fieldname"]: row for row in company.site.rows("Custom Field")}


def test_the_desk_is_fit_and_stays_so(company: Company) -> None:
    said = fit(company)
    assert any("whose calendar" in sentence for sentence in said.changed)
    made = settings(company)
    assert made["Event-main-sort_field"] == "starts_on"
    assert made["Event-main-sort_order"] == "ASC"
    assert made["Event-starts_on-in_list_view"] == "1"
    assert made["Event-sync_with_google_calendar-depends_on"] == "eval:!doc.custom_google_sync_key"
    locked = {name for name in made if name.endswith("-read_only_depends_on")}
    standard = {field.name for field in FIELDS if not field.optional}
    assert locked == {f"Event-{name}-read_only_depends_on" for name in standard}
    found = custom(company)
    person = found["custom_google_user"]
    assert (person["insert_after"], person["in_list_view"], person["in_standard_filter"]) == (
        "subject",
        1,
        1,
    )
    for name in ("custom_google_sync_key", "custom_google_hash", "custom_google_event_id"):
        assert found[name]["hidden"] == 1
    assert not found["custom_google_account"]["hidden"]

    again = fit(company)
    assert (again.changed, again.by_hand) == ([], [])
    assert settings(company) == made
    assert install(company.services.erpnext).complete, "the fields are as wanted all the same"
    company.add(ANN)
    company.google.insert_event(ANN, company.timed())
    assert company.sync() == "done"
    assert company.subjects() == ["Shift"]


def test_it_is_taken_back(company: Company) -> None:
    before = custom(company)
    fit(company)
    desk.take_back(company.services.erpnext)
    assert settings(company) == {}
    after = custom(company)
    ours = {name for own in desk.OWN_FIELDS for name in own.fit}
    assert after.keys() == before.keys()
    for name, row in after.items():
        assert {p: row[p] for p in ours} == {p: before[name][p] for p in ours}, name
    assert desk.take_back(company.services.erpnext) == desk.DeskReport()


def test_what_an_admin_has_set_by_hand_stays(company: Company) -> None:
    by_hand = {
        "doctype": "Property Setter",
        "doctype_or_field": "DocType",
        "doc_type": "Event",
        "property": "sort_field",
        "property_type": "Data",
        "value": "modified",
    }
    company.services.erpnext.insert(by_hand)
    fit(company)
    line = f"Event-{lines.NOTE}"
    text = {"doctype": "Custom Field", "name": line, "options": "<p>Aus Google</p>"}
    company.services.erpnext.update(text)
    assert fit(company).by_hand == [
        "Event: sort_field is modified",
        "custom_google_note: the line in the form has another text than Watcher's",
    ]
    assert custom(company)[lines.NOTE]["options"] == "<p>Aus Google</p>"
    desk.take_back(company.services.erpnext)
    assert settings(company) == {"Event-main-sort_field": "modified"}


def test_an_order_that_customize_form_has_saved(company: Company) -> None:
    """Whoever saves anything there saves the order of all fields, which counts from then on."""
    account, person = "custom_google_account", lines.PERSON
    saved = ["subject", "starts_on", account, person, "custom_synced_from", "participants"]
    order = {
        "doctype": "Property Setter",
        "doctype_or_field": "DocType",
        "doc_type": "Event",
        "property": "field_order",
        "property_type": "Data",
        "value": json.dumps(saved),
    }
    company.services.erpnext.insert(order)

    def stored() -> list[str]:
        return list(json.loads(settings(company)["Event-main-field_order"]))

    moved = ["subject", person, "starts_on", account, "custom_synced_from", "participants"]
    assert (fit(company).by_hand, stored()) == ([], moved)
    assert fit(company).changed == []
    desk.take_back(company.services.erpnext)
    assert stored() == saved

    by_hand = ["subject", "starts_on", person, account, "custom_synced_from", "participants"]
    row = {"doctype": "Property Setter", "name": "Event-main-field_order"}
    company.services.erpnext.update(row | {"value": json.dumps(by_hand)})
    said = "Event: field_order has custom_google_user behind starts_on"
    assert (fit(company).by_hand, stored()) == ([said], by_hand)


def test_the_list_has_room_for_what_is_not_kept_current(company: Company) -> None:
    fit(company)
    site, client = company.site, company.services.erpnext
    [lists] = site.rows("List View Settings")
    assert (lists["name"], lists["total_fields"]) == ("Event", "5")
    since = custom(company)["custom_google_stale_since"]
    assert (since["insert_after"], since["in_list_view"]) == ("ends_on", 1)
    client.update({"doctype": "List View Settings", "name": "Event", "total_fields": "7"})
    assert "the list of Events shows 7 columns" in fit(company).by_hand
    desk.take_back(client)
    assert len(site.rows("List View Settings")) == 1, "somebody has set it since"
    client.update({"doctype": "List View Settings", "name": "Event", "total_fields": "5"})
    fit(company)
    desk.take_back(client)
    assert site.rows("List View Settings") == []
    assert "custom_google_stale_note" not in custom(company)


def test_the_list_is_read_by_a_script_that_can_be_switched_off(company: Company) -> None:
    fit(company)
    site, client = company.site, company.services.erpnext
    [script] = site.rows("Client Script")
    assert (script["name"], script["dt"], script["view"]) == (agenda.NAME, "Event", "List")
    earlier = {"doctype": "Client Script", "name": agenda.NAME}
    client.update(earlier | {"script": "// of an earlier version"})
    assert len(fit(company).changed) == 1
    assert site.rows("Client Script")[0]["script"] == agenda.SCRIPT
    client.update(earlier | {"enabled": 0})
    said = fit(company)
    assert (said.changed, said.by_hand) == (
        [],
        [f"the Client Script {agenda.NAME} is switched off"],
    )
    desk.take_back(client)
    assert site.rows("Client Script") == []


def test_mirrored_events_are_not_moved_where_that_is_asked_for(company: Company) -> None:
    client, site = company.services.erpnext, company.site
    assert dragging.stop(client, dry_run=True)
    assert site.rows("Client Script") == []
    assert dragging.stop(client)
    assert not dragging.stop(client), "as it is wanted"
    [script] = site.rows("Client Script")
    assert (script["dt"], script["view"], script["enabled"]) == ("Event", "List", 1)
    client.update({"doctype": "Client Script", "name": dragging.NAME, "enabled": 0})
    assert dragging.stop(client), "somebody had switched it off"
    assert site.rows("Client Script")[0]["enabled"] == 1
    assert dragging.allow(client)
    assert not dragging.allow(client)
    words = ("erpnext", "setup", "--json")
    assert json.loads(company.watcher(*words, "--drag", "stop").stdout)["drag"] is True
    assert json.loads(company.watcher(*words).stdout)["drag"] is None
    assert len(site.rows("Client Script")) == 2, "what was asked for before stays"
    back = json.loads(company.watcher(*words, "--desk", "no").stdout)["desk"]["changed"]
    assert "mirrored events cannot be moved in the calendar" in back
    assert site.rows("Client Script") == []


def test_a_dry_run_says_the_same_and_changes_nothing(company: Company) -> None:
    company.site.reset()
    would = fit(company, dry_run=True)
    assert (company.site.rows("Property Setter"), company.site.rows("Custom Field")) == ([], [])
    company.setup_erpnext()
    assert fit(company).changed == would.changed
    kept = settings(company)
    undone = desk.take_back(company.services.erpnext, dry_run=True).changed
    assert sorted(undone) == sorted(would.changed)
    assert settings(company) == kept


def test_the_command(company: Company) -> None:
    done = company.watcher("erpnext", "setup")
    assert done.returncode == 0
    assert "whose calendar it is stands below the title" in done.stderr
    assert "watcher erpnext setup --desk no" in done.stderr
    assert settings(company)
    sorting = {"doctype": "Property Setter", "name": "Event-main-sort_order", "value": "DESC"}
    company.services.erpnext.update(sorting)
    company.site.remove("Translation", company.site.rows("Translation")[0]["name"])
    again = company.watcher("erpnext", "setup").stderr
    assert "left as it is: Event: sort_order is DESC" in again
    assert "ERPNext's forms and lists: changed, 1 thing\n" in again
    company.services.erpnext.update(sorting | {"value": "ASC"})
    done = company.watcher("erpnext", "setup", "--desk", "no", "--json")
    assert json.loads(done.stdout)["desk"]["changed"]
    assert settings(company) == {}


def test_the_line_of_the_form_as_frappe_fills_it_in(company: Company) -> None:
    """As the site has stored it, and with Frappe's own steps (public/js/frappe/microtemplate.js):
    braces become tags, and what is between tags becomes JavaScript."""
    fit(company)
    line = custom(company)[lines.NOTE]["options"]
    assert line == lines._FROM, "Frappe cleans it before it stores it"
    assert "'" not in line, "it would end Frappe's string"
    script = """
    const [line, doc, words] = JSON.parse(require("fs").readFileSync(0));
    const said = (text, put) => (words[text] || text).replace(/{(\\d)}/g, (_, n) => (put || [])[n]);
    const frappe = {utils: {escape_html: t => t.replace(/&/g, "&amp;").replace(/</g, "&lt;")}};
    let s = line.replace(/{{/g, "{%=").replace(/}}/g, "%}");
    s = "var _p=[];with(obj){_p.push('" + s.replace(/[\\r\\t\\n]/g, " ").split("{%").join("\\t")
      .replace(/\\t=(.*?)%}/g, "',$1,'").split("\\t").join("');\\n").split("%}")
      .join("\\n_p.push('") + "');}return _p.join('');";
    process.stdout.write(new Function("frappe", "__", "obj", s)(frappe, said, {doc}));
    """
    doc = {
        "custom_google_account": "a<b@scoopjoy.test",
        "custom_google_event_id": "abc_20261130T083000Z",
        "custom_google_calendar_id": "ann@scoopjoy.test",
    }
    node = [str(compute_driver_executable()[0]), "-e", script]  # Playwright brings one

    def filled_in(words: dict[str, str]) -> str:
        given = json.dumps([line, doc, words])
        return subprocess.run(node, input=given, capture_output=True, text=True, check=True).stdout

    german = [row for row in company.site.rows("Translation") if row["language"] == "de"]
    said = filled_in({row["source_text"]: row["translated_text"] for row in german})
    assert "Gespiegelt aus dem Google Kalender von a&lt;b@scoopjoy.test: Bitte ändern" in said
    assert ">In Google Kalender öffnen</a>" in said
    filled = filled_in({})
    assert "Calendar of a&lt;b@scoopjoy.test: change it there" in filled
    found = re.search(r'href="([^"]+)"', filled)
    assert found is not None
    eid = html.unescape(found[1]).rpartition("eid=")[2]
    told = base64.b64decode(eid + "=" * (-len(eid) % 4)).decode()
    assert told == "abc_20261130T083000Z ann@scoopjoy.test"
