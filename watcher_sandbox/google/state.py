"""The sandbox Google as Python objects: everything the HTTP routes and the control API do.

``GoogleState`` is safe to use from any thread; its methods take one lock. Times given to it are
Google's own JSON (``{"dateTime": ..., "timeZone": ...}`` or ``{"date": ...}``).
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from watcher_sandbox.google import keys, scopes
from watcher_sandbox.google.behaviour import Behaviour
from watcher_sandbox.google.calendarlist import CalendarLists
from watcher_sandbox.google.channels import Channel, Channels
from watcher_sandbox.google.clock import Clock
from watcher_sandbox.google.errors import GoogleError
from watcher_sandbox.google.faults import Fault, Faults, RequestLog
from watcher_sandbox.google.listing import Listing
from watcher_sandbox.google.model import READERS, Json, User
from watcher_sandbox.google.oauth import AccessToken, Client, OAuth, ServiceAccount
from watcher_sandbox.google.push import Pusher, PushFaults
from watcher_sandbox.google.query import Args
from watcher_sandbox.google.shortcuts import Shortcuts, Start, instance_id
from watcher_sandbox.google.store import Store

CALENDAR_LIST = "calendarList"


class GoogleState(Shortcuts):
    """One sandbox Google: users, calendars, tokens, channels, faults."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.behaviour = Behaviour()
        self.faults = Faults()
        self.log = RequestLog()
        self.pusher = Pusher()
        self.url = ""
        self._begin()

    def _begin(self) -> None:
        self.users: dict[str, User] = {}
        self.store = Store(self.clock, self.behaviour, self._changed)
        self.listing = Listing(self.store, self.clock, self.behaviour)
        self.oauth = OAuth(self.clock, self.behaviour, lambda email: self.users.get(email))
        self.channels = Channels(self.clock, self.behaviour, self.pusher)
        self.lists = CalendarLists(self.store, self.listing.sync_tokens, self.clock)
        self._spent: dict[str, deque[float]] = defaultdict(deque)

    def reset(self) -> None:
        """Forget everything: users, tokens, channels, faults, switches, the log, the clock."""
        with self.lock:
            self.pusher.forget()
            self.pusher.faults = PushFaults()
            self.behaviour.update(_switches(Behaviour()))
            self.clock.set_offset(0)
            self.faults.clear()
            self.log.clear()
            self._begin()

    def close(self) -> None:
        """End the delivery threads."""
        self.pusher.close()

    # --- people and calendars -------------------------------------------------------------

    def add_user(
        self,
        email: str,
        name: str = "",
        time_zone: str = "Europe/Berlin",
        sub: str | None = None,
        calendar_id: str | None = None,
        title: str | None = None,
        has_calendar: bool = True,
    ) -> User:
        """A Google account with its primary calendar, whose id is the address unless another one
        is named (then the address answers 404); its ``title`` is the id unless people gave it
        another one."""
        address = email.lower()
        number = int(hashlib.sha256(address.encode()).hexdigest()[:16], 16)
        with self.lock:
            user = User(
                address,
                name or address.partition("@")[0].title(),
                sub or f"1{number % 10**20:020d}",
                time_zone,
                calendar_id or address,
                has_calendar,
            )
            self.users[address] = user
            self.store.add_calendar(
                user.calendar_id, address, time_zone, title or user.calendar_id, primary=True
            )
            self.lists.touch(address, user.calendar_id)
        return user

    def remove_user(self, email: str) -> None:
        """The account is deleted: its tokens die, its primary calendar is gone."""
        with self.lock:
            self.oauth.revoke_user(email)
            gone = self.users.pop(email, None)
            self.store.calendars.pop(gone.calendar_id if gone else email, None)

    def add_calendar(
        self,
        calendar_id: str,
        owner: str,
        summary: str = "",
        time_zone: str = "Europe/Berlin",
        watchable: bool = True,
    ) -> str:
        """A secondary calendar; returns its id."""
        with self.lock:
            made = self.store.add_calendar(calendar_id, owner, time_zone, summary or calendar_id)
            made.watchable = watchable
            self._list_changed(owner, calendar_id)
        return calendar_id

    def delete_calendar(self, calendar_id: str) -> None:
        with self.lock:
            gone = self.store.calendar(calendar_id)
            del self.store.calendars[calendar_id]
            for email in gone.roles:
                self._list_changed(email, calendar_id)

    def set_watchable(self, calendar_id: str, watchable: bool) -> None:
        """An unwatchable calendar answers pushNotSupportedForRequestedResource."""
        with self.lock:
            self.store.calendar(calendar_id).watchable = watchable

    def share(self, calendar_id: str, email: str, role: str = "reader") -> None:
        """owner, writer, writerWithoutPrivateAccess, reader or freeBusyReader."""
        if role not in READERS:
            raise ValueError(f"unknown role {role!r}")
        with self.lock:
            calendar = self.store.calendar(calendar_id)
            fresh = email not in calendar.roles
            calendar.roles[email] = role
            if fresh:
                self._list_changed(email, calendar_id)

    def list_as(self, calendar_id: str, email: str, name: str = "", hidden: bool = False) -> None:
        """How this user has it on the list of calendars: under a name of the user's own (empty: as
        it is called), or hidden."""
        with self.lock:
            calendar = self.store.calendar(calendar_id)
            calendar.hidden_by.discard(email)
            calendar.renamed_by.pop(email, None)
            if hidden:
                calendar.hidden_by.add(email)
            if name:
                calendar.renamed_by[email] = name
            self._list_changed(email, calendar_id)

    def remove_access(self, calendar_id: str, email: str) -> None:
        """From now on the calendar is 404 for this user, and its channels fall silent."""
        with self.lock:
            self.store.calendar(calendar_id).roles.pop(email, None)
            self._list_changed(email, calendar_id)

    # --- events ---------------------------------------------------------------------------

    def insert_event(self, calendar_id: str, body: Json, raw: bool = False) -> str:
        """A new event or series; returns its id. ``raw`` takes anything, also what is broken."""
        with self.lock:
            return self.store.insert(calendar_id, body, raw)

    def patch_event(self, calendar_id: str, event_id: str, changes: Json) -> str:
        """Change an event, a series or (by an instance's id) one instance; None removes a field."""
        with self.lock:
            return self.store.patch(calendar_id, event_id, changes)

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        """Cancel an event, a series or one instance; 410 ``deleted`` when it is gone already."""
        with self.lock:
            self.store.delete(calendar_id, event_id)

    def cancel_instance(
        self, calendar_id: str, event_id: str, original_start: Start | None = None
    ) -> None:
        """By the instance's own id, or by the series' id and the original start."""
        self.delete_event(calendar_id, _instance(event_id, original_start))

    def move_instance(self, calendar_id: str, instance_id: str, start: Json, end: Json) -> str:
        """Another time for one instance; its id and original start stay."""
        return self.patch_event(calendar_id, instance_id, {"start": start, "end": end})

    def split_series(
        self, calendar_id: str, event_id: str, at: Start | None = None, changes: Json | None = None
    ) -> str:
        """Change "this and following"; returns the id of the new series. ``event_id`` is that of
        the instance, or that of the series with the instance's original start in ``at``."""
        with self.lock:
            return self.store.split(calendar_id, _instance(event_id, at), changes or {})

    def move_event(self, source: str, event_id: str, target: str) -> str:
        """To another calendar: a bare stub here, the same id there."""
        with self.lock:
            return self.store.move(source, event_id, target)

    def get_event(self, calendar_id: str, event_id: str) -> Json:
        """The resource as the calendar's owner gets it."""
        with self.lock:
            owner = self.store.calendar(calendar_id).owner
            return self.listing.get(owner, calendar_id, event_id, {})

    def instance_ids(
        self, calendar_id: str, event_id: str, time_min: datetime, time_max: datetime
    ) -> list[str]:
        """Ids of a series' live instances in the window, in order."""
        with self.lock:
            found = self.listing.truth(calendar_id, time_min, time_max)
        return [each["id"] for each in found if each.get("recurringEventId") == event_id]

    def truth(self, calendar_id: str, time_min: datetime, time_max: datetime) -> list[Json]:
        """All live events and instances that overlap the (aware) window."""
        with self.lock:
            return self.listing.truth(calendar_id, time_min, time_max)

    # --- OAuth ----------------------------------------------------------------------------

    def add_client(
        self, client_id: str, secret: str, redirect_uris: Iterable[str] = (), desktop: bool = False
    ) -> Client:
        """An OAuth client; redirects must equal one of its URIs (desktop: any loopback one)."""
        with self.lock:
            made = Client(client_id, secret, tuple(redirect_uris), desktop)
            self.oauth.clients[client_id] = made
        return made

    def add_service_account(
        self, base_url: str, delegated: Iterable[str] = (), name: str = "watcher"
    ) -> Json:
        """A service account with domain-wide delegation for these scopes; returns the content of
        its JSON key file, which points at this server."""
        key = keys.shared_key(f"service account {name}")
        email = f"{name}@sandbox-project.iam.gserviceaccount.com"
        client_id = str(int(hashlib.sha256(email.encode()).hexdigest()[:17], 16))
        with self.lock:
            self.oauth.service_accounts[email] = ServiceAccount(
                email, client_id, {key.kid: key.public}, frozenset(delegated)
            )
        return {
            "type": "service_account",
            "project_id": "sandbox-project",
            "private_key_id": key.kid,
            "private_key": key.private_pem(),
            "client_email": email,
            "client_id": client_id,
            "auth_uri": f"{base_url}/o/oauth2/v2/auth",
            "token_uri": f"{base_url}/token",
            "auth_provider_x509_cert_url": f"{base_url}/oauth2/v1/certs",
            "client_x509_cert_url": f"{base_url}/robot/v1/metadata/x509/{quote(email)}",
            "universe_domain": "googleapis.com",
        }

    def set_delegated(self, email: str, delegated: Iterable[str]) -> None:
        """Which scopes the admin lets the service account use for others."""
        with self.lock:
            self.oauth.service_accounts[email].delegated = frozenset(delegated)

    def mint_access_token(self, email: str, granted: Iterable[str] | None = None) -> str:
        """An access token without consent, by default for reading events."""
        with self.lock:
            wanted = granted or (f"{scopes.ROOT}calendar.events.readonly",)
            return self.oauth.mint_access(email, wanted)

    def expire_access_tokens(self, email: str | None = None) -> int:
        with self.lock:
            return self.oauth.expire_access(email)

    def expire_sync_tokens(self, user: str | None = None, calendar_id: str | None = None) -> None:
        """All tokens given out so far answer 410 fullSyncRequired."""
        with self.lock:
            self.listing.sync_tokens.expire(user, calendar_id)

    def authorize(self, token: str) -> AccessToken | None:
        with self.lock:
            return self.oauth.caller(token)

    # --- channels -------------------------------------------------------------------------

    def watch_events(
        self,
        caller: AccessToken,
        calendar_id: str,
        body: Json,
        base_url: str,
        mute: bool,
        shown_id: str = "",
    ) -> Json:
        """events.watch. ``mute``: eventTypes was given, whereupon Google delivers nothing.
        ``shown_id`` is what resourceUri names, if not the calendar's id."""
        with self.lock:
            calendar, _ = self.listing.readable(caller.user, calendar_id)
            if not calendar.watchable:
                message = "Push notifications are not supported by this resource."
                raise GoogleError(400, "pushNotSupportedForRequestedResource", message)
            name = quote(shown_id or calendar.id, safe="@.")
            uri = f"{base_url}/calendar/v3/calendars/{name}/events?alt=json"
            made = self._open(caller, body, calendar.id, uri, mute)
        self.channels.first_notice(made)
        return self.channels.answer(made)

    def watch_list(self, caller: AccessToken, body: Json, base_url: str) -> Json:
        """calendarList.watch: changes of which calendars this user has."""
        uri = f"{base_url}/calendar/v3/users/me/calendarList?alt=json"
        with self.lock:
            made = self._open(caller, body, f"{CALENDAR_LIST} {caller.user}", uri, False)
        self.channels.first_notice(made)
        return self.channels.answer(made)

    def _open(
        self, caller: AccessToken, body: Json, resource: str, uri: str, mute: bool
    ) -> Channel:
        return self.channels.open(
            body, caller.user, caller.client, resource, uri, caller.service_account, mute
        )

    def stop_channel(self, caller: AccessToken, body: Json) -> None:
        with self.lock:
            self.channels.stop(body, caller.user, caller.client)

    def live_channels(self, calendar_id: str | None = None) -> list[Channel]:
        """Channels that would be told of a change now."""
        with self.lock:
            return [
                channel
                for channel in self.channels.all.values()
                if self.channels.is_live(channel) and calendar_id in (None, channel.resource)
            ]

    def kill_channels(self, calendar_id: str | None = None) -> int:
        """End channels silently: no stop, no expiry, no more messages."""
        with self.lock:
            return self.channels.kill(calendar_id)

    def notify(self, calendar_id: str) -> None:
        """Messages without a change, as Google sends at times."""
        with self.lock:
            self._changed(calendar_id)

    def wait_pushes(self, timeout: float = 10.0) -> bool:
        """Wait until all messages were delivered or given up."""
        return self.pusher.wait_idle(timeout)

    # --- faults ---------------------------------------------------------------------------

    def add_fault(self, **rule: Any) -> Fault:
        """See ``faults.Fault`` for the fields."""
        return self.faults.add(rule)

    def set_push_faults(
        self, drop: float = 0.0, duplicate: float = 0.0, delay: float = 0.0, shuffle: float = 0.0
    ) -> None:
        self.pusher.faults = PushFaults(drop, duplicate, delay, shuffle)

    def over_quota(self, bucket: str) -> bool:
        """Count one request of this user; True when the minute's share is used up."""
        limit = self.behaviour.quota_per_user_minute
        if limit is None:
            return False
        now = self.clock.now().timestamp()
        with self.lock:
            spent = self._spent[bucket]
            while spent and spent[0] < now - 60:
                spent.popleft()
            if len(spent) >= limit:
                return True
            spent.append(now)
        return False

    # --- inside ---------------------------------------------------------------------------

    def events(self, user: str, calendar_id: str, args: Args) -> Json:
        with self.lock:
            return self.listing.page(user, calendar_id, args)

    def instances(self, user: str, calendar_id: str, event_id: str, args: Args) -> Json:
        with self.lock:
            return self.listing.instances(user, calendar_id, event_id, args)

    def event(self, user: str, calendar_id: str, event_id: str, args: Args) -> Json:
        with self.lock:
            return self.listing.get(user, calendar_id, event_id, args)

    def _changed(self, calendar_id: str) -> None:
        calendar = self.store.calendars.get(calendar_id)
        if calendar is not None:
            self.channels.changed(calendar_id, calendar.roles)

    def _list_changed(self, email: str, calendar_id: str) -> None:
        self.lists.touch(email, calendar_id)
        self.channels.changed(f"{CALENDAR_LIST} {email}", {email})


def _switches(behaviour: Behaviour) -> dict[str, Any]:
    return {name: getattr(behaviour, name) for name in behaviour.__slots__}


def _instance(event_id: str, original_start: Start | None) -> str:
    return event_id if original_start is None else instance_id(event_id, original_start)
