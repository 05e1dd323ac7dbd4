"""Pure: what is copied of somebody's calendar, who sees it, and how it ends, in plain sentences.

The pages and the notices say the same. ``_`` gives the words of a language; that it has this name
makes the sentences found by ``make messages``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from watcher.languages.catalogs import Words


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What decides for one account. ``event_type`` is ``Public`` or ``Private``,
    ``private_events`` ``busy``, ``private`` or ``skip``; ``has_user``: ERPNext has a user for whom
    a Private event can be; ``finders``: who may look for further calendars (``no``, ``admins``,
    ``employees``, ``both``); ``busy_title`` is the title of private events (``busy``)."""

    event_type: str
    private_events: str
    declined_too: bool
    past_days: int
    future_days: int
    has_user: bool = True
    finders: str = "no"
    busy_title: str = "Busy"


def what_is_read(seen: Seen, _: Words) -> Iterator[str]:
    window = _(
        "Your events from %(past)s days ago to %(future)s days ahead: title, time, place, text and "
        "the link to the meeting. Watcher cannot change anything in your calendar."
    )
    yield window % {"past": seen.past_days, "future": seen.future_days}
    yield _("Not copied: guests, reminders, attachments and dial-in numbers.")
    if seen.declined_too:
        yield _("Events that you declined are copied, too.")
    else:
        yield _("Events that you declined are not copied.")
    if seen.finders != "no":
        yield listing(seen, _)


def listing(seen: Seen, _: Words) -> str:
    """Who may have Google list further calendars, and what becomes of them."""
    if seen.finders == "admins":
        return _(
            "Your administrator can have Google list your other calendars. Their names are not "
            "kept, and none of them is copied before your administrator adds it."
        )
    if seen.finders == "employees":
        return _(
            "You can have Google list your other calendars. Their names are shown to you alone "
            "and are not kept, and none of them is copied before you choose it."
        )
    return _(
        "You and your administrator can have Google list your other calendars. Their names are "
        "not kept, and none of them is copied before one of you chooses it."
    )


def who_sees(seen: Seen, _: Words) -> Iterator[str]:
    yield ordinary(seen, _)
    yield private(seen, _)
    yield _(
        "Those who administer ERPNext's database or Watcher can read everything that is copied."
    )


def ordinary(seen: Seen, _: Words) -> str:
    """Who sees the events that are not marked private."""
    if seen.event_type == "Public":
        return _(
            "Your ordinary events: everybody in your company who works in ERPNext can see them "
            "there, with title and text, and can change the copy."
        )
    if not seen.has_user:
        return _("Your ordinary events: nobody in ERPNext is shown them.")
    return _("Your ordinary events: only you can see them in ERPNext.")


def private(seen: Seen, _: Words) -> str:
    """What becomes of events that are marked private, and who sees it."""
    if seen.private_events == "skip":
        return _("Events that you mark as private in Google are not copied at all.")
    if not seen.has_user and (seen.private_events == "private" or seen.event_type == "Private"):
        return _(
            "Events that you mark as private in Google are copied, and nobody in ERPNext is shown "
            "them."
        )
    if seen.private_events == "private":
        return _(
            "Events that you mark as private in Google are copied with title and text, and shown "
            "to you alone."
        )
    if seen.event_type == "Public":
        says = _(
            "Events that you mark as private in Google appear as “%(busy)s”: the others see when "
            "you are not free, and neither title nor text nor place."
        )
    else:
        says = _(
            "Events that you mark as private in Google appear as “%(busy)s”, without title, text "
            "and place, and to you alone."
        )
    return says % {"busy": seen.busy_title}


def rows_after_leaving(events: str, _: Words) -> str:
    """What becomes of the copies when the employee disconnects (``WATCHER_LEAVING_EVENTS``)."""
    return {
        "keep": _("The events that were copied to ERPNext stay there as they are."),
        "cancel": _(
            "The events that were copied to ERPNext stay there as cancelled and leave its calendar."
        ),
        "delete": _("The events that were copied to ERPNext are deleted there."),
    }[events]
