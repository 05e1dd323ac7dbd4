"""What ERPNext refuses is set aside with ERPNext's own words; and when to stop sending.

ERPNext's messages repeat values now and then ("'Subject' (Interview with ...) will get
truncated"). What is kept of them outlives the event, so the event's own texts are taken out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from watcher.erpnext.errors import ServerError
from watcher.errors import ErpRefused, WatcherError
from watcher.events import model
from watcher.events.fields import texts_of

Kind = Literal["event", "masking", "cancellation"]

ALIKE = 3
"""Once so many series were refused alike and nothing was accepted, the cause is the site's, and the
remaining events are not sent."""

OUTAGE_AFTER = 5
"""Once so many series in a row have failed with a 500, each sent alone, that is an outage and not
the fault of their documents. Series are counted and not events, since the instances of one series
share their texts, and so their faults."""

_TAG = re.compile(r"<[^<>]*>")
_NUMBERS = re.compile(r"\b[A-Z]*\d+\b")
_SHORTEST, _HEAD = 3, 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """An event set aside: ``message`` is ERPNext's own, without texts of the event.

    ``content_hash`` is of what was refused, empty for a cancellation. ``series`` is the recurring
    event's id, or the event's own. ``cause`` is the class of Frappe's exception. ``kind`` says
    what could not be written; ``step`` what a person can do, empty where nothing is known.
    """

    key: str
    event_id: str
    message: str
    content_hash: str = ""
    series: str = ""
    cause: str = "refused"
    kind: Kind = "event"
    step: str = ""

    @property
    def alike(self) -> str:
        """A text that is equal for refusals of the same cause."""
        return likeness(self.cause, self.message)


def refused(
    what: model.ErpEvent | model.Cancel | model.Rewrite, error: WatcherError, kind: Kind
) -> Refused:
    """What is kept of one refusal."""
    message, content_hash, series = error.message, "", ""
    if isinstance(what, model.ErpEvent):
        message = _without_texts(message, what)
        content_hash, series = what.content_hash, what.recurring_event_id or ""
    return Refused(
        key=what.key,
        event_id=what.event_id,
        message=message,
        content_hash=content_hash,
        series=series or what.event_id,
        cause=cause_of(error),
        kind=kind,
        step=error.next_step,
    )


def cause_of(error: WatcherError) -> str:
    exc_type = error.exc_type if isinstance(error, ErpRefused) else ""
    return exc_type or getattr(error, "cause", "") or type(error).__name__


def _without_texts(message: str, event: model.ErpEvent) -> str:
    for text in texts_of(event):
        message = _without(message, _as_shown(text))
    return message


def _as_shown(text: str) -> str:
    """A text as ``erpnext.errors.message_of`` shows it: without markup, in one line."""
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())


def _without(message: str, text: str) -> str:
    """``message`` with each place replaced where ``text`` begins, as far as it is quoted there:
    ERPNext may have cut it."""
    if len(text) < _SHORTEST:
        return message
    head = text[:_HEAD]
    while (start := message.find(head)) >= 0:
        shared = len(head)
        while text[: shared + 1] == message[start : start + shared + 1] and shared < len(text):
            shared += 1
        message = f"{message[:start]}[...]{message[start + shared :]}"
    return message


class Ceiling:
    """Counts refusals and failures, to tell a site that takes nothing from single bad events."""

    def __init__(self) -> None:
        self._alike: dict[str, set[str]] = {}
        self._failed: set[str] = set()
        self._accepted = False
        self.last: WatcherError | None = None

    def accepted(self) -> None:
        self._accepted = True
        self._failed.clear()

    def refused(self, series: str, error: WatcherError) -> None:
        """Note one event's refusal. Raises a ``ServerError`` that is one of too many in a row."""
        if isinstance(error, ServerError):
            self._failed.add(series)
            if len(self._failed) >= OUTAGE_AFTER:
                raise error
            return
        self._alike.setdefault(likeness(cause_of(error), error.message), set()).add(series)
        self.last = error

    def unsent(self, events: Sequence[model.ErpEvent]) -> list[Refused]:
        """Events that are set aside with the last refusal's words, without being sent."""
        if self.last is None:
            raise AssertionError("the ceiling is reached by refusals")
        return [refused(event, self.last, "event") for event in events]

    @property
    def is_reached(self) -> bool:
        return not self._accepted and any(len(each) >= ALIKE for each in self._alike.values())


def likeness(cause: str, message: str) -> str:
    """The cause and the message without numbers and names of rows, in which refusals differ."""
    return f"{cause}: {_NUMBERS.sub('#', message)}"
