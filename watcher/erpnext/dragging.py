"""Mirrored events are not moved in the Desk's calendar: a Client Script refuses it with a sentence.

Frappe saves a dragged event without a word, and the next change of it in Google undoes that.
Nothing but a script in the browser can refuse it. The script is one of Event's list, since Frappe
runs those for its calendar view as well; it asks whether the event is a mirrored one, which the
calendar itself does not know. It takes the role System Manager to make it; whoever writes over REST
is not stopped.
"""

from __future__ import annotations

from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.rows import KEY
from watcher.erpnext.wording import NOT_MOVED

DOCTYPE = "Client Script"
NAME = "Watcher: mirrored events are not moved"

# Both versions of Frappe's calendar hand over the event and a function that puts it back; 15 calls
# the event's name ``name``, 16 ``id``. An error here would keep the calendar from being drawn.
SCRIPT = f"""(() => {{
  const guard = () => {{
    const calendar = frappe.views.Calendar;
    if (!calendar || calendar.prototype.asks_watcher) return;
    const move = calendar.prototype.update_event;
    calendar.prototype.asks_watcher = true;
    calendar.prototype.update_event = function (event, back) {{
      if (this.doctype !== "Event") return move.call(this, event, back);
      return frappe.db.get_value("Event", event.id || event.name, "{KEY}").then((found) => {{
        if (!(found.message || {{}}).{KEY}) return move.call(this, event, back);
        back();
        frappe.show_alert({{
          message: __("{NOT_MOVED}"),
          indicator: "orange",
        }}, 7);
      }});
    }};
  }};
  frappe.router.on("change", guard);
  guard();
}})();
"""


def stop(client: ErpNextClient, *, dry_run: bool = False) -> bool:
    """Whether the script was made, or made anew (or would be): then it was not as it is wanted.
    Raises ``ErpForbidden``."""
    there = _there(client)
    wanted = {"dt": "Event", "view": "List", "enabled": 1, "script": SCRIPT}
    if there is not None and all(there.get(name) == value for name, value in wanted.items()):
        return False
    if not dry_run and there is None:
        client.insert({"doctype": DOCTYPE, "__newname": NAME, **wanted})
    elif not dry_run:
        client.update({"doctype": DOCTYPE, "name": NAME, **wanted})
    return True


def allow(client: ErpNextClient, *, dry_run: bool = False) -> bool:
    """Whether there was a script to take away. Raises ``ErpForbidden``."""
    if _there(client) is None:
        return False
    if not dry_run:
        client.delete(DOCTYPE, NAME)
    return True


def _there(client: ErpNextClient) -> dict[str, Any] | None:
    rows = client.rows(DOCTYPE, [["name", "=", NAME]], ["dt", "view", "enabled", "script"])
    return rows[0] if rows else None
