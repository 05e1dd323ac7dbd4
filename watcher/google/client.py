"""The calls that Watcher makes to Google Calendar, each bounded, guarded and typed.

A delta (``changes``) and the listing that minted its token must ask the same question, so both
take their parameters from ``QUERY``; ``QUERY_FINGERPRINT`` is kept beside each token. The reads
themselves are described at
https://developers.google.com/workspace/calendar/api/v3/reference/events/list, channels at
https://developers.google.com/workspace/calendar/api/guides/push.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any, Final

from watcher.errors import CalendarGone, Transient
from watcher.events.model import Window
from watcher.google import answers
from watcher.google.errors import SIDE, CallFailed, CallKind, Unauthorized, malformed
from watcher.google.listed import LIST_FIELDS, Listed, read_listed
from watcher.google.shown import PROOF_FIELDS, Shown, read_shown
from watcher.google.wire import Wire, collection, execute
from watcher.telemetry.counts import Answered, nobody
from watcher.waiting import Backoff

QUERY: Final[dict[str, Any]] = {
    "singleEvents": False,
    "showDeleted": True,
    "maxResults": 2500,
}
"""Pinned: a token is only good for the parameters it was minted with. ``showDeleted`` is said
aloud because the default (false) is forbidden beside a token."""

QUERY_FINGERPRINT: Final = hashlib.sha256(
    json.dumps({"events.list": QUERY}, sort_keys=True).encode()
).hexdigest()[:16]

ITEM_FIELDS: Final = (
    "id,status,summary,description,location,hangoutLink,visibility,transparency,eventType,start,"
    "end,endTimeUnspecified,recurrence,recurringEventId,originalStartTime,updated,"
    "attendees(self,responseStatus),conferenceData(entryPoints(entryPointType,uri))"
)
PAGE_FIELDS: Final = f"nextPageToken,nextSyncToken,timeZone,items({ITEM_FIELDS})"
MINT_FIELDS: Final = "nextPageToken,nextSyncToken"

_PAGED: Final[dict[CallKind, str]] = {
    "instances": "events.instances",
    "list": "calendarList.list",
}
"""Which method is asked for pages, where that is not ``events.list``."""

MAX_PAGES: Final = 10_000
MAX_CHANNEL_ID: Final = 64
MAX_CHANNEL_TOKEN: Final = 256
BOUNDS_MARGIN: Final = timedelta(days=1)
"""Google reads all-day events in the calendar's zone when it applies bounds; asking a day more on
both sides makes the answer a superset whatever that zone is. The local window decides."""

PATIENT_SECONDS: Final = 10.0
"""The waits of one call last no longer than this, and a longer ``Retry-After`` is not waited for
here: the call fails, and the calendar is tried again later."""
PAUSE: Final = Backoff(first=1.0, longest=4.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewChannel:
    """A watch channel as it is asked for. Raises ``ValueError`` for what Google would refuse.

    ``channel_id`` must never have been used before; ``token`` comes back with each notification,
    which goes to ``address``; ``ttl_seconds`` is the life that is wished for.
    """

    channel_id: str
    token: str = field(repr=False)
    address: str
    ttl_seconds: int

    def __post_init__(self) -> None:
        if not 0 < len(self.channel_id) <= MAX_CHANNEL_ID:
            raise ValueError(f"a channel id has 1 to {MAX_CHANNEL_ID} characters")
        if len(self.token) > MAX_CHANNEL_TOKEN:
            raise ValueError(f"a channel token has at most {MAX_CHANNEL_TOKEN} characters")


@dataclass(frozen=True, slots=True)
class Patience:
    """``timeout`` is in seconds, for connecting and for each read; a call that may be repeated is
    tried ``retries`` times more."""

    timeout: float = 30.0
    retries: int = 3


PATIENT: Final = Patience()


@dataclass(slots=True)
class CalendarClient:
    """Calls for one account. Safe to share between threads and across a fork.

    ``tokens(refused)`` returns an access token; ``refused`` is the one that Google has just
    refused, or None. ``on_call(kind)`` is asked before every HTTP call (retries included) and may
    raise ``Transient`` when the budget is spent, ``on_answer`` is told what came of it.
    ``quota_user`` (any text that names the user) is sent hashed.

    Every method raises the errors of ``watcher.errors``: ``Transient`` (side "google"),
    ``AccessLost``, ``AppDead``, ``CalendarGone``, ``SyncTokenExpired``, ``Permanent``, and
    whatever ``tokens`` and ``on_call`` raise.
    """

    api_root: str
    tokens: Callable[[str | None], str] = field(repr=False)
    quota_user: str | None = None
    on_call: Callable[[str], None] = lambda _kind: None
    on_answer: Answered = nobody
    patience: Patience = PATIENT
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random, repr=False)

    @property
    def _common(self) -> dict[str, str]:
        """Parameters of every call."""
        return {"quotaUser": _bucket(self.quota_user)} if self.quota_user else {}

    # --- reading --------------------------------------------------------------------------

    def prove(self, calendar_id: str, most: int = 1) -> Shown:
        """Read the first events of a calendar, ``most`` at the most, which proves that Google shows
        it to this account. ``calendars.get`` and ``calendarList`` would need another scope.

        Raises ``CalendarGone`` (404: no such id, or not for this account), ``AccessLost`` (403).
        """
        params = {"calendarId": calendar_id, "maxResults": most, "fields": PROOF_FIELDS}
        return read_shown(self._call("prove", "events.list", params))

    def mint_sync_token(self, calendar_id: str) -> str:
        """A token for ``changes`` that begins now: a listing of which only the token is read."""
        token = ""
        for answer in self._pages("mint", calendarId=calendar_id, fields=MINT_FIELDS, **QUERY):
            token = answers.text(answer, "nextSyncToken") or ""
        if not token:
            raise malformed("no nextSyncToken on the last page", "mint")
        return token

    def changes(self, calendar_id: str, sync_token: str) -> Iterator[answers.Page]:
        """What changed since ``sync_token``; the last page carries the next token.

        Raises ``SyncTokenExpired`` when Google wants a full sync. Keep the new token only after
        all pages are applied.
        """
        params = {
            "calendarId": calendar_id,
            "syncToken": sync_token,
            "fields": PAGE_FIELDS,
        }
        for answer in self._pages("delta", **params, **QUERY):
            page = answers.page(answer, "delta")
            if page.next_sync_token is None and not answers.text(answer, "nextPageToken"):
                raise malformed("no nextSyncToken on the last page", "delta")
            yield page

    def snapshot(self, calendar_id: str, window: Window) -> Iterator[answers.Page]:
        """Single events and instances of the window and a little more; apply the window yourself.

        The iterator ends normally only when every page was read: sweep after that.
        """
        params = {"calendarId": calendar_id, "fields": PAGE_FIELDS, **_bounds(window)}
        for answer in self._pages("snapshot", singleEvents=True, **params):
            page = answers.page(answer, "snapshot")
            yield answers.Page(items=page.items, next_sync_token=None, time_zone=page.time_zone)

    def instances(
        self, calendar_id: str, master_id: str, window: Window
    ) -> list[dict[str, Any]] | None:
        """Google's own expansion of one series in (a little more than) the window.

        None when Google does not know the series (404, 410). Google answers so, too, when the
        whole calendar is not shown, and now and then for a moment: so None alone does not prove
        that the series is gone.
        """
        params = {
            "calendarId": calendar_id,
            "eventId": master_id,
            "fields": PAGE_FIELDS,
        }
        items: list[dict[str, Any]] = []
        try:
            for answer in self._pages("instances", **params, **_bounds(window)):
                items.extend(answers.page(answer, "instances").items)
        except CalendarGone:
            return None
        return items

    def event(self, calendar_id: str, event_id: str) -> dict[str, Any] | None:
        """One event, series or instance as Google holds it now, also one that was deleted a while
        ago (its status is ``cancelled``). None when Google does not know it (404, 410), which it
        answers, too, when it does not show the calendar."""
        params = {"calendarId": calendar_id, "eventId": event_id, "fields": ITEM_FIELDS}
        try:
            return self._call("get", "events.get", params)
        except CalendarGone:
            return None

    def find(self, calendar_id: str, words: str) -> list[dict[str, Any]]:
        """The first events, at any time, in whose texts Google finds ``words``; series as such."""
        params = {"calendarId": calendar_id, "q": words, "fields": PAGE_FIELDS}
        return answers.page(self._call("find", "events.list", params), "find").items

    def listed(self) -> Iterator[Listed]:
        """The calendars on the account's list at Google, also those that its owner has hidden. It
        takes an access token with one of ``LIST_SCOPES``; ``AccessLost`` without."""
        params = {"fields": LIST_FIELDS, "showHidden": True, "maxResults": 250}
        for answer in self._pages("list", **params):
            for item in answers.page(answer, "list").items:
                entry = read_listed(item)
                if entry is not None:
                    yield entry

    def _pages(self, kind: CallKind, **params: Any) -> Iterator[dict[str, Any]]:
        method = _PAGED.get(kind, "events.list")
        seen: set[str] = set()
        page_token: str | None = None
        for _ in range(MAX_PAGES):
            answer = self._call(kind, method, {**params, "pageToken": page_token})
            if kind != "mint" and "items" not in answer:
                answer = self._whole_page(kind, method, {**params, "pageToken": page_token})
            yield answer
            page_token = answers.text(answer, "nextPageToken")
            if not page_token:
                return
            if page_token in seen:
                raise malformed("a page token came twice", kind)
            seen.add(page_token)
        raise malformed(f"more than {MAX_PAGES} pages", kind)

    def _whole_page(self, kind: CallKind, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """A page whose answer had no ``items``, asked for again without the response mask.

        Whether Google leaves an empty list out of a masked answer is not documented, and taking a
        damaged answer for an empty one would lose changes; the whole document settles it.
        """
        whole = self._call(kind, method, {**params, "fields": None})
        if "items" not in whole:
            raise malformed("no items", kind)
        return whole

    # --- channels -------------------------------------------------------------------------

    def watch(self, calendar_id: str, channel: NewChannel) -> answers.WatchAnswer:
        """Open a channel. Never repeated when it is unclear whether Google opened it.

        Raises ``PushNotSupported``, ``ChannelIdTaken``, ``Permanent`` (address refused) besides
        the usual. No ``eventTypes``: with them Google answers 200 and then delivers nothing.
        """
        body = {
            "id": channel.channel_id,
            "type": "web_hook",
            "address": channel.address,
            "token": channel.token,
            "params": {"ttl": str(int(channel.ttl_seconds))},
        }
        answer = self._call("watch", "events.watch", {"calendarId": calendar_id, "body": body})
        return answers.watch_answer(answer, channel.channel_id)

    def stop(self, channel_id: str, resource_id: str) -> bool:
        """Stop a channel; False when Google no longer knows it (which is done, too)."""
        body = {"id": channel_id, "resourceId": resource_id}
        try:
            self._call("stop", "channels.stop", {"body": body})
        except CalendarGone:
            return False
        return True

    # --- one call -------------------------------------------------------------------------

    def _call(self, kind: CallKind, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make the call. It is repeated where that may be done, and once more with a new access
        token when Google refuses the first one. ``method`` is ``events.list``, ``channels.stop``
        ...; what is None in ``params`` is left out."""
        resource, _, verb = method.partition(".")
        make = getattr(collection(self.api_root, resource), verb)
        given = {name: value for name, value in params.items() if value is not None}
        access_token = self.tokens(None)
        replayed, failures, slept = False, 0, 0.0
        while True:
            self.on_call(kind)
            try:
                wire = Wire(kind, access_token, self.patience.timeout, self.on_answer)
                return execute(make(**given, **self._common), wire)
            except CallFailed as failed:
                if isinstance(failed.error, Unauthorized) and not replayed:
                    replayed, access_token = True, self.tokens(access_token)
                    continue
                pause = self._pause(failed, kind, failures, slept)
                if pause is None:
                    raise failed.error from failed
            failures, slept = failures + 1, slept + pause
            self.sleep(pause)

    def _pause(
        self, failed: CallFailed, kind: CallKind, failures: int, slept: float
    ) -> float | None:
        """Seconds to wait before the next try; None when there is to be no other try."""
        allowed = failed.retry == "refused" or (failed.retry == "unclear" and kind != "watch")
        if (
            not allowed
            or failures >= self.patience.retries
            or not isinstance(failed.error, Transient)
        ):
            return None
        asked = failed.error.retry_after
        pause = PAUSE.seconds(failures, asked, self.rng)
        if (asked or 0.0) > PATIENT_SECONDS or slept + pause > PATIENT_SECONDS + 1:
            return None
        return pause


# --- reading answers (pure) ---------------------------------------------------------------


def _bucket(quota_user: str) -> str:
    return hashlib.sha256(quota_user.encode()).hexdigest()[:40]


def _bounds(window: Window) -> dict[str, Any]:
    """Whole seconds in UTC: Google ignores fractions, so the start goes down, the end up."""
    start = window.start.astimezone(UTC).replace(microsecond=0) - BOUNDS_MARGIN
    end = window.end.astimezone(UTC)
    if end.microsecond:
        end = end.replace(microsecond=0) + timedelta(seconds=1)
    end += BOUNDS_MARGIN
    return {
        "timeMin": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "timeMax": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "showDeleted": False,
        "maxResults": 2500,
    }


__all__ = [
    "QUERY_FINGERPRINT",
    "SIDE",
    "CalendarClient",
    "NewChannel",
]
