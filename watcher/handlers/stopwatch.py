"""The admins' page *Stopwatch*: somebody changes an event in Google, and sees each step on its way
to ERPNext, with the seconds it took; or what to look at where nothing comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from watcher.handlers import speech
from watcher.handlers.admin import for_admins
from watcher.handlers.calendars import name_of
from watcher.handlers.context import services
from watcher.languages.catalogs import N_
from watcher.ledger import standing, stopwatch
from watcher.ledger import told as known
from watcher.ledger.stopwatch import Lap
from watcher.ledger.told import CalendarTold

_, ngettext = speech.gettext, speech.ngettext

bp = Blueprint("stopwatch", __name__)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something to look at: ``label`` is what the page at ``path`` is called, if there is one that
    shows it or has the button."""

    text: str
    path: str = ""
    label: str = ""


LONG = timedelta(minutes=2)
LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Step:
    """``seconds`` it took since the step before; None where that is not known."""

    text: str
    at: datetime | None
    seconds: float | None = None


@bp.get("/calendars/<int:number>/stopwatch")
@for_admins
def watch(number: int) -> ResponseReturnValue:
    """``since`` is when it was begun, in milliseconds of the epoch; without it, or after an hour,
    it begins now."""
    app = services()
    now, since = app.clock(), _since(request.args.get("since", 0, type=int))
    if since is None or not timedelta(0) <= now - since <= LONGEST:
        begun = url_for("stopwatch.watch", number=number, since=int(now.timestamp() * 1000))
        return redirect(begun, 303)
    with app.db.reading() as session:
        pairs = known.of_calendars(session, [number])
        if not pairs:
            abort(404)
        calendar = known.calendar(session, pairs[0], standing.moment(app.db, session, now))
        lap = stopwatch.lap(session, number, since)
    heard = stopwatch.heard_since(calendar, since)
    arrived = lap is not None and lap.wrote > 0
    late = now - since >= LONG
    return render_template(
        "stopwatch.html",
        calendar=calendar,
        name=name_of(calendar.account.email, calendar.google_id),
        since=since,
        waited=int((now - since).total_seconds()),
        lap=lap,
        arrived=arrived,
        steps=_steps(lap, heard, calendar),
        result=_result(lap) if lap and arrived else "",
        doubts=[] if arrived else list(_doubts(calendar, late, lap, heard)),
        late=late,
    )


def _since(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _steps(lap: Lap | None, heard: datetime | None, calendar: CalendarTold) -> Sequence[Step]:
    """What has happened so far, in its order."""
    if lap is None:
        found = [Step(_(TOLD), heard)] if heard else []
        return [*found, Step(_("A worker reads it now"), None)] if calendar.is_read_now else found
    moments = [
        (_("Changed in Google, by Google's clock"), lap.changed_at),
        (_(TOLD), lap.heard_at),
        (_(_WHY.get(lap.reason, _WHY["push"])), lap.began_at),
        (_("What has changed was read from Google"), lap.read_at),
        (_ended(lap), lap.ended_at),
    ]
    steps: list[Step] = []
    for text, at in moments:
        if at is not None:
            steps.append(Step(text, at, _between(steps[-1].at, at) if steps else None))
    return steps


TOLD = N_("Watcher was told that something has changed")
_WHY = {
    "push": N_("A worker began to read the calendar"),
    "poll": N_("A poll began to read the calendar, without having been told"),
}


def _ended(lap: Lap) -> str:
    if lap.error:
        return _("The pass failed")
    if lap.wrote:
        one, many = "In ERPNext: %(many)s row written", "In ERPNext: %(many)s rows written"
        return ngettext(one, many, lap.wrote, many=speech.number(lap.wrote))
    if lap.aside:
        return _("ERPNext refused it: it is set aside")
    return _("Nothing had to be written")


def _result(lap: Lap) -> str:
    """Of a deletion Google does not always say when it was."""
    since = lap.changed_at or lap.heard_at
    if since is None:
        return _("In ERPNext.")
    seconds = speech.number(_between(since, lap.ended_at) or 0.0, 2)
    if lap.changed_at:
        return _("In ERPNext %(seconds)s seconds after the change in Google.", seconds=seconds)
    return _("In ERPNext %(seconds)s seconds after Watcher was told.", seconds=seconds)


def _between(first: datetime | None, second: datetime) -> float | None:
    """Two clocks may differ by a little: never less than nothing."""
    return None if first is None else max(0.0, (second - first).total_seconds())


def _doubts(
    calendar: CalendarTold, late: bool, lap: Lap | None, heard: datetime | None
) -> Iterator[Doubt]:
    """What to look at, the likeliest first: at once where it cannot come, else after two
    minutes."""
    if not calendar.account.is_active:
        step = speech.say(calendar.account.step) or _("resume it on the page Employees")
        state = speech.titled(calendar.account)
        yield Doubt(_("The account is %(state)s: nothing is read.", state=state))
        yield Doubt(_("Do: %(step)s", step=step), *_its_employee(calendar))
        return
    if lap is not None:
        yield from _after_reading(lap, calendar)
    elif calendar.push_supported is False:
        text = _(
            "Google does not tell of changes in this calendar: they are found by polling, a few "
            "minutes later. The next poll is named on the calendar's page."
        )
        yield Doubt(text, *_its_page(calendar))
    elif calendar.channel is None:
        text = _(
            "No channel is open, so that Google tells nothing: changes are found by polling. "
            "Renew channel, on the calendar's page, opens one."
        )
        yield Doubt(text, *_its_page(calendar))
    elif late and heard:
        text = _("Google has told it, but no worker has taken it up: look at the page System.")
        yield Doubt(text, *_system())
    elif late:
        yield from _nothing_heard(calendar)


def _its_page(calendar: CalendarTold) -> tuple[str, str]:
    return url_for("calendars.one", number=calendar.id), _("This calendar's page")


def _its_employee(calendar: CalendarTold) -> tuple[str, str]:
    return url_for("employees.everybody", q=calendar.account.email), _("Employees")


def _system() -> tuple[str, str]:
    return url_for("system.show"), _("System")


def _after_reading(lap: Lap, calendar: CalendarTold) -> Iterator[Doubt]:
    if lap.error:
        text = _(
            "%(reason)s. It is tried again by itself; the calendar's page says when.",
            reason=speech.say(lap.error),
        )
        yield Doubt(text, *_its_page(calendar))
    elif lap.aside:
        text = _("The calendar's page has ERPNext's words, and what to do.")
        yield Doubt(text, *_its_page(calendar))
    elif lap.left_out:
        text = _(
            "What was read is left out by the rules: declined, private, where somebody works, or "
            "outside of the window. The event search names the rule for one event."
        )
        yield Doubt(text, url_for("explaining.ask"), _("Event search"))
    elif lap.unchanged:
        yield Doubt(
            _(
                "ERPNext has it like that already: what was changed is nothing that is copied, "
                "such as guests or reminders."
            )
        )
    else:
        yield Doubt(_("Google named no change: it may come with the next notification."))


def _nothing_heard(calendar: CalendarTold) -> Iterator[Doubt]:
    channel = calendar.channel
    if channel is None or channel.is_silent:
        text = _(
            "Nothing was ever heard through this channel: Google does not reach this address. "
            "Run the checks on the page System."
        )
        yield Doubt(text, *_system())
    yield Doubt(
        _(
            "Was it changed in this calendar (%(calendar)s), and saved? An event that another "
            "person owns counts when the change reaches this calendar.",
            calendar=calendar.google_id,
        )
    )
    yield Doubt(
        _(
            "Press Sync now: if that finds the change, Google's notification was late or lost, and "
            "a poll would have found it. If it finds nothing, there is no change."
        )
    )
