"""What one process knows of its ERPNext site, so that not every pass asks again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from watcher.erpnext import connected_app
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.site import Employee, Site, employee_of, read_site

SITE_SECONDS = 600.0
APP_SECONDS = 60.0
"""A Connected App that was made anew has another name, and the old one keeps no tokens."""


@dataclass(slots=True)
class KnownSite:
    """What the site said, read again when it is older than some minutes. Safe between threads.

    ``zone_name`` overrides the site's own time zone; ``client_id`` is our OAuth client at Google.
    ``note_site`` and ``note_desk_link`` are told of what was read anew: the site, and the page of
    the Connected App where employees authorise. The methods raise what the functions of ``site``
    and ``connected_app`` raise.
    """

    client: ErpNextClient
    zone_name: str
    client_id: str
    note_site: Callable[[Site], None] = field(repr=False)
    note_desk_link: Callable[[str], None] = field(repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    _site: tuple[float, Site] | None = field(default=None, init=False)
    _app: tuple[float, str] | None = field(default=None, init=False)
    _employees: dict[str, tuple[float, Employee | None]] = field(default_factory=dict, init=False)

    def site(self) -> Site:
        """What the site says of itself."""
        with self._lock:
            if self._site is None or _is_older(self._site[0], SITE_SECONDS):
                found = read_site(self.client, self.zone_name)
                self.note_site(found)
                self._site = (time.monotonic(), found)
            return self._site[1]

    def employee(self, user: str | None) -> Employee | None:
        """The Employee of an ERPNext user, where the site's Event has a field for it."""
        if user is None or not self.site().names_employees:
            return None
        with self._lock:
            known = self._employees.get(user)
            if known is None or _is_older(known[0], SITE_SECONDS):
                known = self._employees[user] = (time.monotonic(), employee_of(self.client, user))
            return known[1]

    def desk_app(self) -> str:
        """The name of the Connected App of our OAuth client. Raises ``Permanent`` that says how to
        make it."""
        with self._lock:
            if self._app is None or _is_older(self._app[0], APP_SECONDS):
                self._app = None
                name = connected_app.require_app(self.client, self.client_id)
                self.note_desk_link(connected_app.desk_link(self.client.url, name))
                self._app = (time.monotonic(), name)
            return self._app[1]

    def desk_token(self, user: str) -> str:
        """The refresh token that Frappe keeps for a user. Raises ``AccountDead``."""
        return connected_app.refresh_token(self.client, self.desk_app(), user)


def _is_older(moment: float, seconds: float) -> bool:
    return time.monotonic() - moment > seconds
