"""A user's list of calendars, and calendars.get."""

from __future__ import annotations

from watcher_sandbox.google.clock import Clock
from watcher_sandbox.google.errors import full_sync_required, invalid, not_found
from watcher_sandbox.google.model import READERS, Calendar, Json
from watcher_sandbox.google.query import Args
from watcher_sandbox.google.store import Store
from watcher_sandbox.google.synctokens import Pages, Session, SyncPoint, SyncTokens, paged

_FORBIDDEN_WITH_TOKEN = ("minAccessRole", "showOwnOrganizationOnly")
_RANK = ("freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")
_NAME = "calendarList"


class CalendarLists:
    """Lists of all users. The caller holds the state's lock."""

    def __init__(self, store: Store, tokens: SyncTokens, clock: Clock) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._pages = Pages()
        self._changes: dict[tuple[str, str], int] = {}

    def touch(self, email: str, calendar_id: str) -> None:
        """This user gained or lost this calendar."""
        self._store.seq += 1
        self._changes[email, calendar_id] = self._store.seq

    def page(self, user: str, args: Args) -> Json:
        """One page of calendarList.list; with a token, what was gained and lost since."""
        sync_token, page_token = _one(args, "syncToken"), _one(args, "pageToken")
        least = _one(args, "minAccessRole")
        if least not in (None, "freeBusyReader", "reader", "writer", "owner"):
            raise invalid("minAccessRole", f"Invalid string value: '{least}'.", "invalidParameter")
        if sync_token is not None:
            items = self._since(user, sync_token, args)
        else:
            items = [
                self._entry(calendar, user)
                for calendar in self._store.calendars.values()
                if self._wanted(calendar, user, least)
                and (user not in calendar.hidden_by or _one(args, "showHidden") == "true")
            ]
        size = _one(args, "maxResults") or "100"
        if not size.isdigit() or int(size) < 1:
            raise invalid("maxResults", f"Invalid value '{size}'.", "invalidParameter")
        session = Session(f"{_NAME} {user} {sync_token}", items, self._store.seq, False)
        shown, more, seq = paged(self._pages, session, page_token, min(250, int(size)))
        answer: Json = {"kind": "calendar#calendarList", "etag": f'"p{seq:010d}"', "items": shown}
        if more is not None:
            return answer | {"nextPageToken": more}
        point = SyncPoint(user, _NAME, seq, {}, self._clock.now_ms())
        return answer | {"nextSyncToken": self._tokens.make(point)}

    def entry(self, user: str, calendar_id: str) -> Json:
        """One entry; 404 for a calendar that the user does not have."""
        calendar = self._store.calendar(calendar_id)
        if calendar.roles.get(user) not in READERS:
            raise not_found()
        return self._entry(calendar, user)

    def calendar(self, user: str, calendar_id: str) -> Json:
        """calendars.get: the calendar's own properties, without those of the user's list (role,
        colour)."""
        self.entry(user, calendar_id)
        found = self._store.calendar(calendar_id)
        return {
            "kind": "calendar#calendar",
            "etag": f'"{found.seq}"',
            "id": found.id,
            "summary": found.summary,
            "timeZone": found.time_zone,
        }

    def _since(self, user: str, token: str, args: Args) -> list[Json]:
        for name in _FORBIDDEN_WITH_TOKEN:
            if name in args:
                raise invalid(name, f"The parameter {name} cannot be used with syncToken.")
        for name in ("showDeleted", "showHidden"):
            if _one(args, name) == "false":
                raise invalid(name, f"{name} cannot be false together with syncToken.")
        point = self._tokens.read(token, 400)
        if (point.user, point.calendar) != (user, _NAME) or self._tokens.is_expired(point):
            raise full_sync_required()
        changed = [c for (u, c), seq in self._changes.items() if u == user and seq > point.seq]
        return [self._entry_or_gone(calendar_id, user) for calendar_id in changed]

    def _wanted(self, calendar: Calendar, user: str, least: str | None) -> bool:
        role = calendar.roles.get(user)
        if role not in READERS:
            return False
        return least is None or _RANK.index(role or "") >= _RANK.index(least)

    def _entry_or_gone(self, calendar_id: str, user: str) -> Json:
        calendar = self._store.calendars.get(calendar_id)
        if calendar is None or calendar.roles.get(user) not in READERS:
            return {"kind": "calendar#calendarListEntry", "id": calendar_id, "deleted": True}
        return self._entry(calendar, user)

    def _entry(self, calendar: Calendar, user: str) -> Json:
        found: Json = {
            "kind": "calendar#calendarListEntry",
            "etag": f'"{calendar.seq}"',
            "id": calendar.id,
            "summary": calendar.summary,
            "timeZone": calendar.time_zone,
            "colorId": "14",
            "backgroundColor": "#9fe1e7",
            "foregroundColor": "#000000",
            "selected": True,
            "accessRole": calendar.roles[user],
            "defaultReminders": [],
        }
        if user in calendar.renamed_by:
            found["summaryOverride"] = calendar.renamed_by[user]
        if user in calendar.hidden_by:
            found["hidden"] = True
            del found["selected"]
        return found | {"primary": True} if calendar.primary and calendar.owner == user else found


def _one(args: Args, name: str) -> str | None:
    values = args.get(name)
    return values[0] if values and values[0] != "" else None
