"""What an administrator sets up in the Desk before an integration meets the site."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from watcher_sandbox.erpnext.accounts import ADMINISTRATOR
from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.doctypes import Field


class Furnished:
    """Makes rows as Administrator, without checking permissions; a base class of ``Site``."""

    erpnext: bool
    transaction: Callable[[], AbstractContextManager[None]]
    blank: Callable[[str, str, str], Row]
    put: Callable[[str, Row], None]
    row: Callable[[str, str], Row | None]
    rows: Callable[[str], list[Row]]
    next_name: Callable[[str], str]
    fields: Callable[[str], dict[str, Field]]

    def add_connected_app(self, client_id: str, client_secret: str, name: str = "") -> str:
        """Returns its name."""
        own = {"provider_name": "Google Calendar", "client_id": client_id}
        name = name or self.next_name("Connected App")
        return self._name_of("Connected App", name, **own, client_secret=client_secret)

    def add_token(
        self,
        app: str,
        user: str,
        refresh_token: str | None,
        access_token: str = "AT1",
        expires_in: int = 3600,
    ) -> str:
        """As Frappe's own consent flow leaves it. ``refresh_token`` None: the row is there and
        the password is not. Returns the row's name."""
        return self._name_of(
            "Token Cache",
            f"{app}-{user}",
            owner=user,
            user=user,
            connected_app=app,
            access_token=access_token,
            refresh_token=refresh_token,
            expires_in=expires_in,
            token_type="Bearer",
        )

    def add_employee(self, employee_name: str, user_id: str | None = None, **more: Any) -> str:
        """An ERPNext Employee, with its Branch and Department. Returns its name (HR-EMP-00001).
        Raises ValueError on a site without ERPNext."""
        if not self.erpnext:
            raise ValueError("this site has no ERPNext: Site(erpnext=True)")
        number = len(self.rows("Employee")) + 1
        name = f"HR-EMP-{number:05d}"
        for kind in ("branch", "department"):
            if isinstance(value := more.get(kind), str):
                self._keep(kind.title(), value, **{_NAME_OF[kind]: value})
        own: dict[str, Any] = {"employee": name, "status": "Active", "company": "Scoop Joy"} | more
        return self._name_of("Employee", name, employee_name=employee_name, user_id=user_id, **own)

    def add_contact(self, first_name: str, email_id: str = "") -> str:
        """Somebody whose timeline shows the Events that they take part in. Returns its name."""
        return self._name_of("Contact", first_name, first_name=first_name, email_id=email_id)

    def add_google_calendar(self, user: str, name: str = "", *, enable: bool = True) -> str:
        """Frappe's own integration, switched on for a user in both directions. Returns the row's
        name."""
        name = name or f"{user.partition('@')[0].title()} Google"
        return self._name_of(
            "Google Calendar",
            name,
            calendar_name=name,
            user=user,
            enable=int(enable),
            google_calendar_id=user,
            pull_from_google_calendar=1,
            push_to_google_calendar=1,
        )

    def _keep(self, doctype: str, name: str, /, **values: Any) -> None:
        if self.row(doctype, name) is None:
            self.make(doctype, name, **values)

    def _name_of(self, doctype: str, name: str, /, **values: Any) -> str:
        return str(self.make(doctype, name, **values)["name"])

    def make(
        self, doctype: str, name: str = "", /, *, owner: str = ADMINISTRATOR, **values: Any
    ) -> Row:
        """A row with the defaults of its document type, as it is stored."""
        with self.transaction():
            row = self.blank(doctype, name or self.next_name(doctype), owner)
            row |= {each.name: each.default for each in self.fields(doctype).values()}
            row |= values
            self.put(doctype, row)
        return row


_NAME_OF = {"branch": "branch", "department": "department_name"}
