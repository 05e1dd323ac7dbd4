"""What a person asks for calendars, by command or by page: a look at once, a full sync, another
try, the confirmation of a mass cancellation. It is written into the ledger as owed, so that it may
be asked twice and outlives a restart; workers do it.
"""

from __future__ import annotations

from collections.abc import Iterable

from watcher.errors import UserError
from watcher.languages.sentence import sentence
from watcher.ledger import audit, calendars, failing, leaving, owing
from watcher.ledger.audit import Act, What
from watcher.ledger.states import CalendarState
from watcher.services import Services

MOST_RUNG = 200
"""So many calendars are rung while somebody waits for it; cron rings for the others within seconds,
since they owe work."""


def look_now(services: Services, calendar_ids: Iterable[int]) -> None:
    """Read what has changed in Google; a pause after a failure is not waited for."""
    now = services.clock()
    with services.db.session() as session:
        wanted = owing.owe_looks_now(session, calendar_ids, "asked", now)
        audit.record(session, Act(What.CALENDAR_SYNC, figures={"calendars": len(wanted)}), now)
    services.ring_all(wanted[:MOST_RUNG], "live", "retry")


def read_again(services: Services, calendar_ids: Iterable[int]) -> None:
    """Read the whole window, and correct ERPNext."""
    wanted = owe_reading(services, calendar_ids)
    services.ring_all(wanted[:MOST_RUNG], "backfill", "retry")


def owe_reading(
    services: Services, calendar_ids: Iterable[int], *, force: bool = False
) -> list[int]:
    """As ``read_again``, for who does the work himself: nobody is rung. With ``force`` the mass
    cancellations that were shown last are confirmed."""
    now = services.clock()
    with services.db.session() as session:
        wanted = owing.owe_now(session, calendar_ids, "resync", now)
        audit.record(session, Act(What.CALENDAR_RESYNC, figures={"calendars": len(wanted)}), now)
        if force:
            owing.allow_sweeps(session, wanted, now)
    return wanted


def try_again(services: Services, cause: str | None = None) -> int:
    """Try again now what failed or was set aside, for ``cause`` alone or for whichever. A calendar
    with an event set aside is listed in full, since a change sync does not meet the event again;
    the others go on where they failed. Returns how many calendars it is."""
    now = services.clock()
    with services.db.session() as session:
        aside = failing.with_aside(session, cause)
        listed = owing.owe_now(session, aside, "retry", now)
        others = set(failing.numbers(session, cause)) - set(listed)
        looked = owing.owe_looks_now(session, others, "retry", now)
        count = len(listed) + len(looked)
        audit.record(session, Act(What.QUEUE_RETRY, cause or "", {"calendars": count}), now)
    services.ring_all([*listed, *looked][:MOST_RUNG], "backfill", "retry")
    return count


def confirm_sweep(services: Services, calendar_id: int, rows: int) -> None:
    """Let the next pass cancel up to ``rows`` rows: the figure that the admin was shown.

    Raises ``UserError`` where nothing waits to be confirmed, or where it is another figure by now,
    which nobody has seen, ``NotFound``."""
    with services.db.session() as session:
        calendar = calendars.locked(session, calendar_id)
        if calendar.state != CalendarState.HELD or calendar.sweep_shown is None:
            raise UserError(sentence("nothing waits to be confirmed here any more"))
        if calendar.sweep_shown != rows:
            raise UserError(
                sentence(
                    "%(now)s rows would be cancelled by now, and not %(rows)s",
                    now=calendar.sweep_shown,
                    rows=rows,
                ),
                next_step=sentence("look at the new figure, and confirm it if it is right"),
            )
    owe_reading(services, [calendar_id], force=True)
    services.ring_all([calendar_id], "backfill", "retry")


def leave_aside(services: Services, which: leaving.Which) -> int:
    """Tell nobody of these events any more, and do not try them again. Returns how many."""
    now = services.clock()
    with services.db.session() as session:
        count = leaving.leave(session, which, now)
        audit.record(session, Act(What.EVENT_LEAVE, str(which), {"events": count}), now)
    return count


def take_up(services: Services, which: leaving.Which) -> int:
    """Try again, and tell of, events that were left aside. Returns how many calendars have one."""
    now = services.clock()
    with services.db.session() as session:
        wanted = owing.owe_now(session, leaving.take_up(session, which), "retry", now)
        audit.record(session, Act(What.EVENT_TAKE_UP, str(which), {"calendars": len(wanted)}), now)
    services.ring_all(wanted[:MOST_RUNG], "backfill", "retry")
    return len(wanted)
