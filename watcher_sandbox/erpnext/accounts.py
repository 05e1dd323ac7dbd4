"""Who may sign in to a site, and with what key."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from watcher_sandbox.erpnext.db import Database, Row

INTEGRATION = "integration@scoopjoy.test"
GUEST = "Guest"
ADMINISTRATOR = "Administrator"


@dataclass(kw_only=True, slots=True)
class User:
    """An API user. A disabled one's key still works, as it does on a real site.

    ``desk``: a System User, who has the role Desk User; without it a Website User, whose only
    role is All.
    """

    email: str
    key: str
    secret: str = field(repr=False)
    system_manager: bool = False
    desk: bool = True


class Accounts:
    """The users of a site; ``Site`` is one of these."""

    db: Database
    zone: str
    wrong_keys: bool
    transaction: Callable[[], AbstractContextManager[None]]
    blank: Callable[[str, str, str], Row]
    put: Callable[[str, Row], None]
    row: Callable[[str, str], Row | None]
    _users: dict[str, User]

    def _load_users(self) -> None:
        """Take over the users of an earlier process from the database; the integration user is
        always there."""
        for user in self.db.setting("users", []):
            self._users[user["email"]] = User(**user)
        if INTEGRATION not in self._users:
            self.add_user(INTEGRATION, system_manager=True)
        self.api_key, self.api_secret = self.keys_of(INTEGRATION)

    def add_user(
        self, email: str, system_manager: bool = False, desk: bool = True
    ) -> tuple[str, str]:
        """Returns the API key and secret of the new (or replaced) user."""
        user = User(
            email=email,
            key=secrets.token_hex(8),
            secret=secrets.token_hex(8),
            system_manager=system_manager,
            desk=desk,
        )
        with self.transaction():
            self._users[email] = user
            self._keep_users()
            self.put("User", self.blank("User", email, ADMINISTRATOR) | self._person(user))
        return user.key, user.secret

    def _person(self, user: User) -> Row:
        name = user.email.partition("@")[0].title()
        return {
            "enabled": 1,
            "email": user.email,
            "first_name": name,
            "full_name": name,
            "time_zone": self.zone,
            "user_type": "System User" if user.desk else "Website User",
            "roles": [_role("System Manager")] if user.system_manager else [],
        }

    def remove_user(self, email: str) -> None:
        """Remove the user: they cannot sign in any more, and no Link can point to them."""
        with self.transaction():
            self._users.pop(email, None)
            self._keep_users()
            self.db.remove("User", email)

    def _keep_users(self) -> None:
        self.db.set(
            "users",
            [
                {name: getattr(user, name) for name in User.__dataclass_fields__}
                for user in self._users.values()
            ],
        )

    def users(self) -> list[str]:
        with self.db.lock:
            return sorted(self._users)

    def keys_of(self, email: str) -> tuple[str, str]:
        """Raises KeyError."""
        return self._users[email].key, self._users[email].secret

    def user_of(self, key: str, secret: str) -> str | None:
        """The user to whom key and secret belong; None when no user has them."""
        given = f"{key}:{secret}".encode()
        with self.db.lock:
            for user in self._users.values():
                if secrets.compare_digest(f"{user.key}:{user.secret}".encode(), given):
                    return None if self.wrong_keys else user.email
        return None

    def is_system_manager(self, email: str) -> bool:
        user = self._users.get(email)
        return user is not None and user.system_manager

    def own_roles(self, email: str) -> set[str]:
        """The roles that somebody gave the user."""
        found = self.row("User", email) or {}
        return {str(each["role"]) for each in found.get("roles", ())}

    def is_hr(self, email: str) -> bool:
        return bool(self.own_roles(email) & {"HR User", "HR Manager"})

    def make_hr(self, email: str = INTEGRATION) -> None:
        """Give a user the role HR User beside those that it has."""
        with self.transaction():
            row = self.row("User", email) or {}
            self.put("User", row | {"roles": [*row["roles"], _role("HR User")]})

    def follow_roles(self, row: Row) -> None:
        """A User was saved: what its roles allow follows at once."""
        user = self._users.get(row["name"])
        if user is not None:
            user.system_manager = "System Manager" in self.own_roles(row["name"])
            self._keep_users()

    def is_desk_user(self, email: str) -> bool:
        user = self._users.get(email)
        return user is not None and user.desk

    def full_name(self, email: str) -> str:
        """How Frappe calls the user in comments and notifications."""
        found = self.db.select("User", ["full_name"], "name = ?", (email,), limit=1)
        return str(found[0]["full_name"] or email) if found else email


def _role(name: str) -> Row:
    return {"name": secrets.token_hex(5), "role": name}
