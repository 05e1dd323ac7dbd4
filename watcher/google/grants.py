"""A grant: by what an account's calendar may be read, as the ledger keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Source = Literal["oauth", "service-account", "erpnext"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What the ledger holds for one account. ``expires_at`` is aware; secrets not in the repr.

    Of source ``erpnext`` the refresh token is kept by Frappe, for ``erpnext_user``. ``dead`` is
    what Google said when it refused the grant for good; empty while it is thought to be good.
    """

    source: Source
    email: str
    erpnext_user: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    dead: str = ""

    @property
    def desk_user(self) -> str:
        """The ERPNext user for whom Frappe keeps the refresh token."""
        return self.erpnext_user or self.email
