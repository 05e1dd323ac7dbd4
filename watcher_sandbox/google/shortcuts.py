"""Short forms of what ``GoogleState`` can do: one call, one switch, an instance by its start."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

from watcher_sandbox.google import scopes
from watcher_sandbox.google.behaviour import Behaviour
from watcher_sandbox.google.clock import Clock
from watcher_sandbox.google.faults import Faults
from watcher_sandbox.google.model import Json, User
from watcher_sandbox.google.oauth import OAuth
from watcher_sandbox.google.store import Store
from watcher_sandbox.google.times import day_of_id, moment_of_id

Start = datetime | date | str | Json
"""An original start: an aware datetime, a date, either as text, or Google's JSON."""

READ_EVENTS = f"{scopes.ROOT}calendar.events.readonly"
LIST_CALENDARS = f"{scopes.ROOT}calendar.calendarlist.readonly"


def instance_id(master_id: str, original_start: Start) -> str:
    """The id that Google gives to the instance of a series with this original start."""
    return f"{master_id}_{_suffix(original_start)}"


def _suffix(start: Start) -> str:
    if isinstance(start, dict):
        return _suffix(start.get("dateTime") or start["date"])
    if isinstance(start, str):
        whole_day = len(start) == len("2026-01-31")
        return _suffix(date.fromisoformat(start) if whole_day else datetime.fromisoformat(start))
    if not isinstance(start, datetime):
        return day_of_id(start)
    if start.tzinfo is None:
        raise ValueError("an original start needs an offset")
    return moment_of_id(start)


def write_key_file(info: Json, path: Path) -> Path:
    """The service account's key as a file that only its owner can read."""
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(json.dumps(info, indent=2))
    return path


class Shortcuts:
    """Mixed into ``GoogleState``, whose attributes and methods these are."""

    lock: threading.RLock
    clock: Clock
    behaviour: Behaviour
    faults: Faults
    oauth: OAuth
    store: Store
    users: dict[str, User]
    url: str
    """Where the server is, "" before it runs."""

    # --- whose calendar -------------------------------------------------------------------

    def resolved(self, user: str, calendar_id: str) -> str:
        """The real id: ``primary`` is the main calendar of whoever asks."""
        with self.lock:
            known = self.users.get(user)
        own = known.calendar_id if known else user
        return own if calendar_id == "primary" else calendar_id

    def is_calendar_user(self, email: str) -> bool:
        """False: the Calendar service is off for this user, who gets 403 for every call."""
        known = self.users.get(email)
        return known is None or known.has_calendar

    def set_calendar_service(self, email: str, on: bool) -> None:
        """What the Workspace admin does: Calendar is on or off for this user from now on."""
        with self.lock:
            self.users[email.lower()].has_calendar = on

    def rename_mailbox(self, email: str, calendar_id: str) -> None:
        """The main calendar of a user gets another id, under which its events go on as they are;
        the old id answers 404 from now on, and channels on it fall silent."""
        with self.lock:
            user = self.users[email.lower()]
            self.store.rename_calendar(user.calendar_id, calendar_id)
            user.calendar_id = calendar_id

    # --- one instance ---------------------------------------------------------------------

    def patch_event(self, calendar_id: str, event_id: str, changes: Json) -> str:
        raise NotImplementedError

    def patch_instance(
        self, calendar_id: str, master_id: str, original_start: Start, changes: Json
    ) -> str:
        """Change one instance of a series; returns its id."""
        return self.patch_event(calendar_id, instance_id(master_id, original_start), changes)

    # --- credentials ----------------------------------------------------------------------

    def add_service_account(
        self, base_url: str, delegated: Iterable[str] = (), name: str = "watcher"
    ) -> Json:
        raise NotImplementedError

    def make_service_account(
        self, path: Path | str, delegated: Iterable[str] = (READ_EVENTS,), name: str = "watcher"
    ) -> Path:
        """Write a service account's JSON key file. ``delegated``: the scopes that the admin
        granted; for whom is ``delegated_to``. Needs a running server (``url``)."""
        if not self.url:
            raise ValueError("the server's address is not known yet: set url")
        return write_key_file(self.add_service_account(self.url, delegated, name), Path(path))

    @property
    def delegated_to(self) -> frozenset[str] | None:
        """Addresses and ``@domain``s that service accounts may act for; None: everybody."""
        return self.oauth.delegated_to

    @delegated_to.setter
    def delegated_to(self, allowed: Iterable[str] | None) -> None:
        with self.lock:
            wanted = None if allowed is None else frozenset(each.lower() for each in allowed)
            self.oauth.delegated_to = wanted

    @property
    def access_token_life(self) -> int:
        """Seconds; for tokens given out from now on."""
        return self.behaviour.access_token_ttl

    @access_token_life.setter
    def access_token_life(self, seconds: int) -> None:
        self.behaviour.access_token_ttl = seconds

    def revoke_user(self, email: str) -> None:
        """The user removes the app's access: refresh answers invalid_grant."""
        with self.lock:
            self.oauth.revoke_user(email.lower())

    # --- switches -------------------------------------------------------------------------

    def set_watchable(self, calendar_id: str, watchable: bool) -> None:
        raise NotImplementedError

    def set_unwatchable(self, calendar_id: str) -> None:
        """events.watch answers pushNotSupportedForRequestedResource from now on."""
        self.set_watchable(calendar_id, False)

    def set_clock_offset(self, seconds: float) -> None:
        """How far the sandbox's clock is ahead of real time."""
        self.clock.set_offset(seconds)

    def clear_faults(self) -> None:
        self.faults.clear()

    @property
    def tokens_keep_bounds(self) -> bool:
        """Does a sync token keep the bounds of its first request?"""
        return self.behaviour.token_keeps_bounds

    @tokens_keep_bounds.setter
    def tokens_keep_bounds(self, keeps: bool) -> None:
        self.behaviour.token_keeps_bounds = keeps

    @property
    def max_ttl(self) -> float:
        """The longest life of a channel, in seconds."""
        return self.behaviour.max_channel_ttl

    @max_ttl.setter
    def max_ttl(self, seconds: float) -> None:
        self.behaviour.max_channel_ttl = seconds
