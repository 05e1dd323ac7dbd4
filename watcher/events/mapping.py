"""A Google event in ERPNext's terms: pure, and the only place where privacy is decided.

Masking happens here, before any request is built, so that nothing private can leave by another
way (promise G9). Facts about Frappe's Event are measured; see docs/how-it-works.md.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from datetime import timedelta

from watcher.events.model import BUSY, ErpEvent, EventTime, GoogleEvent, MappingRules, Skipped
from watcher.events.parse import FIRST_YEAR, LAST_YEAR, Unmappable
from watcher.events.times import ONE_DAY, day_string, site_string

MAPPING_VERSION = 1
"""Part of every content hash: a new version rewrites all rows with the next snapshot."""

UNTITLED = "(No title)"
PRIVATE = frozenset({"private", "confidential"})
SKIPPED_TYPES = frozenset({"workingLocation", "birthday"})
MAX_SUBJECT = 60_000
"""Bytes; Frappe's Small Text ends between 65,000 and 66,000."""
MAX_DESCRIPTION = 200_000
MAX_DATA = 140

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_TAG = re.compile(r"<[^>]*>?")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BROKEN_SECTION = re.compile(
    r"<!\[(?!(?:if|else|endif|cdata|temp|ignore|include|rcdata)\b)", re.IGNORECASE
)
"""Python's html.parser, with which Frappe sanitises, fails on it: a 500."""
_DATA_IMAGE = re.compile(r"(src\s*=\s*[\"'])data:[^\"']*", re.IGNORECASE)
"""Frappe would make a file of it at each writing, or fail on one that is cut short."""


def sync_key(account: str, calendar_id: str, event_id: str) -> str:
    """The identity of a mirrored row: 64 lower-case hex characters (the database compares
    without case)."""
    parts = json.dumps([account.lower(), calendar_id, event_id])
    return hashlib.sha256(parts.encode()).hexdigest()


def data_id(value: str) -> str:
    """An id as a Data field takes it (140 characters); longer ones keep their head and a hash."""
    if len(value) <= MAX_DATA:
        return value
    digest = hashlib.sha256(value.encode(errors="backslashreplace")).hexdigest()
    return f"{value[:100]}~{digest[:32]}"


def to_erpnext(event: GoogleEvent, rules: MappingRules) -> ErpEvent | Skipped:
    """Map one live event. Raises ``Unmappable`` when it has no usable start."""
    key = sync_key(rules.account, rules.calendar_id, event.id)
    is_private = event.visibility in PRIVATE
    reason = _skip_reason(event, rules)
    if reason:
        return Skipped(key=key, event_id=event.id, reason=reason, private=is_private)
    starts_on, ends_on, all_day = _times(event, rules)
    masked = is_private and rules.private_events == "busy"
    event_type = "Private" if is_private and not masked else rules.default_event_type
    fields: dict[str, object] = {
        "key": key,
        "event_id": data_id(event.id),
        "recurring_event_id": event.recurring_event_id and data_id(event.recurring_event_id),
        "calendar_id": data_id(rules.calendar_id),
        "account": data_id(rules.account),
        "erpnext_user": rules.erpnext_user,
        "subject": BUSY if masked else _subject(event.summary),
        "starts_on": starts_on,
        "ends_on": ends_on,
        "all_day": all_day,
        "event_type": event_type,
        "description": "" if masked else _description(event),
        "share_with": rules.erpnext_user if event_type == "Private" else None,
    }
    return ErpEvent(**fields, content_hash=_hash(fields), updated=event.updated)  # type: ignore[arg-type]


def _skip_reason(event: GoogleEvent, rules: MappingRules) -> str:
    if event.event_type in SKIPPED_TYPES:
        return "event_type"
    if event.own_response == "declined" and rules.declined_events == "skip":
        return "declined"
    if event.visibility in PRIVATE and rules.private_events == "skip":
        return "private"
    return ""


def _times(event: GoogleEvent, rules: MappingRules) -> tuple[str, str, bool]:
    start = event.start
    if start is None:
        raise Unmappable("it has no start")
    end = _end(start, event.end)
    if start.day is not None and end.day is not None:
        # Google's end is exclusive, ERPNext's is the last day.
        last = max(start.day, end.day - ONE_DAY)
        return day_string(start.day), day_string(last), True
    if start.instant is None or end.instant is None:
        raise Unmappable("its start and end are not of one kind")
    first = site_string(start.instant, rules.site_zone)
    last_moment = site_string(max(start.instant, end.instant), rules.site_zone)
    _check_range(first, last_moment)
    # In the hour that a clock change repeats, a later instant can read as an earlier time;
    # ERPNext would show it running backwards.
    return first, max(first, last_moment), False


def _end(start: EventTime, end: EventTime | None) -> EventTime:
    if end is not None and (end.day is None) == (start.day is None):
        return end
    if end is not None:
        raise Unmappable("its start and end are not of one kind")
    if start.day is not None:
        return EventTime(day=start.day + timedelta(days=1))
    return start


def _check_range(*moments: str) -> None:
    for moment in moments:
        if not FIRST_YEAR <= int(moment[:4]) <= LAST_YEAR:
            raise Unmappable(f"its time is out of the range ERPNext holds: {moment}")


def _clean(text: str) -> str:
    return _BROKEN_SECTION.sub("&lt;![", _UNSTORABLE.sub("", text))


def _subject(summary: str | None) -> str:
    """The title as it is. What the server's sanitising would empty is escaped instead: an empty
    subject is refused."""
    text = _clean(summary or "").encode()[:MAX_SUBJECT].decode(errors="ignore")
    if not text.strip():
        return UNTITLED
    if _looks_empty(text):
        # Cut before escaping, so that no entity is cut; the longest, &amp;, has five bytes.
        return html.escape(text[: MAX_SUBJECT // 5], quote=False)
    return text


def _looks_empty(text: str) -> bool:
    """Nothing stays of it when at least as much is taken away as by Frappe's ``strip_html``, which
    takes only what ends in ">"."""
    if ">" not in text:
        return False
    # Beyond the last "-->" no comment ends; looking for one from every "<!--" is quadratic.
    last = text.rfind("-->") + 3 if "-->" in text else 0
    return not _TAG.sub("", _COMMENT.sub("", text[:last]) + text[last:]).strip()


def _description(event: GoogleEvent) -> str:
    parts = []
    if event.description:
        parts.append(_DATA_IMAGE.sub(r"\1", _clean(event.description))[:MAX_DESCRIPTION])
    if event.location:
        parts.append(f"<p>Place: {html.escape(_clean(event.location))}</p>")
    if event.hangout_link:
        link = html.escape(_clean(event.hangout_link))
        parts.append(f'<p>Meeting: <a href="{link}">{link}</a></p>')
    return "\n".join(parts)


def _hash(fields: dict[str, object]) -> str:
    shape = json.dumps([MAPPING_VERSION, fields], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(shape.encode()).hexdigest()
