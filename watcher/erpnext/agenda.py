"""The list of Events shows when they are, in a column that is as narrow as Frappe makes it: a
Client Script writes the start shortly, and leaves out the column of numbers.

Frappe gives all columns but the title the same width, on 16 half of what *2026-12-02 08:30:00*
takes: it was cut before the hour. Nothing but a script in the browser changes how a list writes a
date, or which columns it adds by itself. It sends ERPNext no request.
"""

from __future__ import annotations

from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.events.fields import STALE

DOCTYPE = "Client Script"
NAME = "Watcher: the list of events is an agenda"

# The day and the hour in the reader's time zone, and the day alone for whole days; the month in the
# reader's language, which Frappe's own dates are not in. ``en`` alone would be the American order.
# Dots go (*30. Nov. 10:00*): with them it is cut on 16, on 1280 pixels.
SCRIPT = f"""(() => {{
  const list = (frappe.listview_settings["Event"] = frappe.listview_settings["Event"] || {{}});
  const code = String(frappe.boot.lang).replace("_", "-");
  const language = /^[a-z]{{2,3}}(-[a-z]{{2,4}})*$/i.test(code) && code !== "en" ? code : "en-GB";
  const plain = {{ timeZone: "UTC", calendar: "gregory", numberingSystem: "latn" }};
  const named = (when) => {{
    const how = {{ day: "numeric", month: "short", ...plain }};
    if (when.year() !== moment().year()) how.year = "numeric";
    const day = new Date(Date.UTC(when.year(), when.month(), when.date()));
    return day.toLocaleDateString([language, "en-GB"], how).replace(/[.]/g, "");
  }};
  const shortly = (value, field, row) => {{
    if (!value) return "";
    const whole = row.all_day && field.fieldname === "starts_on";
    const when = whole ? moment(value) : frappe.datetime.convert_to_user_tz(value, false);
    return whole ? named(when) : `${{named(when)}} ${{when.format("HH:mm")}}`;
  }};
  list.hide_name_column = true;
  list.add_fields = [...(list.add_fields || []), "all_day"];
  list.formatters = {{ starts_on: shortly, {STALE}: shortly, ...list.formatters }};
}})();
"""


def make(client: ErpNextClient) -> None:
    """Make the script, or bring one of an earlier version up to date. Raises ``ErpForbidden``."""
    wanted = {"dt": "Event", "view": "List", "enabled": 1, "script": SCRIPT}
    if found(client) is None:
        client.insert({"doctype": DOCTYPE, "__newname": NAME, **wanted})
    else:
        client.update({"doctype": DOCTYPE, "name": NAME, **wanted})


def found(client: ErpNextClient) -> dict[str, Any] | None:
    rows = client.rows(DOCTYPE, [["name", "=", NAME]], ["enabled", "script"])
    return rows[0] if rows else None


def remove(client: ErpNextClient) -> None:
    client.delete(DOCTYPE, NAME)
