"""What ERPNext calls the people behind its users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from watcher.erpnext.client import BATCH, ErpNextClient
from watcher.erpnext.errors import RowGone
from watcher.errors import ErpForbidden


@dataclass(frozen=True, slots=True)
class Person:
    """``employee`` is the name of the Employee, such as HR-EMP-00001; empty where there is none.
    ``language`` is the code of the user's, as Frappe has it; empty for the site's."""

    full_name: str
    employee: str = ""
    language: str = ""


def persons(client: ErpNextClient, users: Iterable[str]) -> dict[str, Person]:
    """By the user's name in lower case; whom the API user may not see is not among them. The
    Employee's own name goes before the user's."""
    wanted = sorted({user for user in users if user})
    found: dict[str, Person] = {}
    for start in range(0, len(wanted), BATCH):
        chunk = wanted[start : start + BATCH]
        for row in client.rows("User", [["name", "in", chunk]], ["full_name", "language"]):
            person = Person(
                str(row.get("full_name") or ""), language=str(row.get("language") or "")
            )
            found[str(row["name"]).lower()] = person
        for row in _employees(client, chunk):
            user = str(row["user_id"]).lower()
            known = found.get(user, Person(""))
            name = str(row.get("employee_name") or "") or known.full_name
            found[user] = replace(known, full_name=name, employee=str(row["name"]))
    return found


def _employees(client: ErpNextClient, users: list[str]) -> list[dict[str, object]]:
    """Who left before who is there, so that of two Employees of a user the latter counts. None on
    a site without ERPNext, or where the API user may not read Employees."""
    fields = ["user_id", "employee_name", "status"]
    try:
        rows = client.rows("Employee", [["user_id", "in", users]], fields)
    except (RowGone, ErpForbidden):
        return []
    return sorted(rows, key=lambda row: row.get("status") == "Active")
