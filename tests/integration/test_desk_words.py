"""The Desk says what Watcher shows in German, Spanish and Hindi: rows of Frappe's Translation."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.company import Company
from watcher.erpnext import agenda, desk, lines, wording
from watcher.erpnext.fields import MIRRORED, WANTED
from watcher.languages.catalogs import LANGUAGES

pytestmark = pytest.mark.one_shape("postgres")
ROWS = len(wording.SAID) * (len(LANGUAGES) - 1)
Row = dict[str, Any]


def fit(company: Company) -> desk.DeskReport:
    if not company.site.rows("Custom Field"):
        company.setup_erpnext()
    return desk.fit(company.services.erpnext)


def rows(company: Company) -> list[Row]:
    return company.site.rows("Translation")


def row_of(company: Company, text: str, language: str = "de") -> Row:
    (found,) = (r for r in rows(company) if (r["source_text"], r["language"]) == (text, language))
    return found


def put(company: Company, row: Row, **changes: str) -> None:
    company.services.erpnext.update({"doctype": "Translation", "name": row["name"], **changes})


def test_all_that_watcher_shows_is_said_in_each_language(company: Company) -> None:
    said = fit(company)
    assert sum("German, Spanish and Hindi" in each for each in said.changed) == 1
    assert len(rows(company)) == ROWS
    assert row_of(company, "Google Calendar of")["translated_text"] == "Google Kalender von"
    # What ERPNext or Frappe says already: the section, as it is called with ``--desk no``.
    by_others = {"Employee", "Google Calendar"}
    assert {each["label"] for each in (*WANTED, *MIRRORED)} - by_others <= set(wording.SAID)
    for row in rows(company):
        assert row["translated_text"] != row["source_text"]
        assert not re.search("[<>`]", row["source_text"]), "it stands in HTML, between backticks"
    assert fit(company).changed == [], "safe to repeat"
    assert len(rows(company)) == ROWS


def test_a_label_that_others_have_too_is_said_on_event_alone(company: Company) -> None:
    fit(company)
    for text in ("Google Account", "Google Calendar ID", "Synced From"):
        assert {r["context"] for r in rows(company) if r["source_text"] == text} == {"Event"}
    assert row_of(company, "Google Calendar of")["context"] == ""


def test_it_is_taken_back(company: Company) -> None:
    company.services.erpnext.insert(
        {
            "doctype": "Translation",
            "language": "de",
            "source_text": "Customer",
            "translated_text": "Gast",
        }
    )
    fit(company)
    undone = desk.take_back(company.services.erpnext)
    assert any("German, Spanish and Hindi" in each for each in undone.changed)
    assert [row["source_text"] for row in rows(company)] == ["Customer"]
    assert desk.take_back(company.services.erpnext).changed == []


def test_what_the_site_says_itself_stays(company: Company) -> None:
    """A row of Watcher's that was changed, and one that the site had before."""
    client = company.services.erpnext
    own = {"language": "es", "source_text": "Google Calendar of", "translated_text": "Agenda de"}
    client.insert({"doctype": "Translation", **own})
    fit(company)
    assert len(rows(company)) == ROWS, "one of its own, and none of Watcher's beside it"
    put(company, row_of(company, "Mirrored from Google"), translated_text="Aus Google")
    said = fit(company)
    assert (said.changed, sorted(said.by_hand)) == (
        [],
        [
            "“Google Calendar of” is “Agenda de” in Español",
            "“Mirrored from Google” is “Aus Google” in Deutsch",
        ],
    )
    desk.take_back(client)
    assert sorted(row["translated_text"] for row in rows(company)) == ["Agenda de", "Aus Google"]


def test_rows_of_an_earlier_version_are_brought_up_to_date(company: Company) -> None:
    fit(company)
    earlier = row_of(company, "Google Calendar of")
    text = {"translated_text": "Kalender von"}
    put(company, earlier, **text, contribution_docname=wording._mark(earlier | text))
    gone = {"language": "de", "source_text": "Old label", "translated_text": "Alt", "context": ""}
    mark = {"contribution_docname": wording._mark(gone)}
    company.services.erpnext.insert({"doctype": "Translation", **gone, **mark})
    assert len(fit(company).changed) == 1
    assert row_of(company, "Google Calendar of")["translated_text"] == "Google Kalender von"
    assert len(rows(company)) == ROWS


def test_a_site_that_lacks_a_language(company: Company) -> None:
    company.site.remove("Language", "hi")
    fit(company)
    assert {row["language"] for row in rows(company)} == {"de", "es"}
    assert fit(company).changed == []


def test_lines_of_an_earlier_version_are_said_in_these_languages_too(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(company)
    client, name = company.services.erpnext, f"Event-{lines.NOTE}"
    client.update({"doctype": "Custom Field", "name": name, "options": "<p>Mirrored</p>"})
    assert fit(company).changed == [], "somebody's own"
    monkeypatch.setattr(lines, "_FORMER", {"47ef03f6aec7f0e7"})
    assert len(fit(company).changed) == 1
    (line,) = (r for r in company.site.rows("Custom Field") if r["fieldname"] == lines.NOTE)
    assert line["options"] == lines.FROM_LINE["options"]


def test_the_list_names_the_month_in_the_readers_language() -> None:
    """With as much of Frappe and moment as the script takes."""
    script = """
    const [code, languages] = JSON.parse(require("fs").readFileSync(0));
    const moment = (text = "2026-11-30 10:00:00") => ({
      year: () => +text.slice(0, 4), month: () => text.slice(5, 7) - 1,
      date: () => +text.slice(8, 10), format: () => text.slice(11, 16),
    });
    const said = languages.map((lang) => {
      const datetime = {convert_to_user_tz: moment};
      const frappe = {listview_settings: {}, boot: {lang}, datetime};
      new Function("frappe", "moment", code)(frappe, moment);
      const shortly = frappe.listview_settings.Event.formatters.starts_on;
      const field = {fieldname: "starts_on"}, day = "-12-02 08:30:00";
      const whole = shortly("2026" + day, field, {all_day: 1});
      return [shortly("2026" + day, field, {}), whole, shortly("2031" + day, field, {})];
    });
    process.stdout.write(JSON.stringify(said));
    """
    english = ["2 Dec 08:30", "2 Dec", "2 Dec 2031 08:30"]
    says = {
        "de": ["2 Dez 08:30", "2 Dez", "2 Dez 2031 08:30"],
        "es-MX": ["2 dic 08:30", "2 dic", "2 dic 2031 08:30"],
        "hi": ["2 दिस॰ 08:30", "2 दिस॰", "2 दिस॰ 2031 08:30"],
        "en": english,
        "no language": english,
    }
    node = [str(compute_driver_executable()[0]), "-e", script]
    given = json.dumps([agenda.SCRIPT, [*says]])
    done = subprocess.run(node, input=given, capture_output=True, text=True, check=True)
    assert dict(zip(says, json.loads(done.stdout), strict=True)) == says
