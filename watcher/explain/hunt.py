"""One search: who is asked, what was looked through, and what was found so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from watcher.erpnext.events import EventMirror
from watcher.errors import ExitCode, sentence
from watcher.events.mapping import data_id
from watcher.events.model import Row
from watcher.explain import gather, gathered
from watcher.explain.answers import Answer, Report, Said, Source
from watcher.explain.asking import Asking
from watcher.explain.telling import answer_of, calendar_answer
from watcher.explain.words import Clock
from watcher.ledger import standing, told
from watcher.ledger.models import Account, Calendar
from watcher.ledger.told import CalendarTold
from watcher.services import Services
from watcher.sync.intake import zone_or_utc

MOST_ANSWERS: Final = 8
SOURCES: Final[dict[str, Source]] = {"google": "Google now", "erpnext": "ERPNext now"}


@dataclass(slots=True)
class Hunt:
    """``sentence`` says why nothing was found, where that is known. ``searched`` are sentences on
    what was looked through; ``more`` is how many events were found beyond those that are explained;
    ``code`` is the exit code that a silent side asks for."""

    asking: Asking
    clock: Clock
    answers: list[Answer] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    sentence: str = ""
    more: int = 0
    code: int = ExitCode.OK
    _grounds: dict[int, gather.Ground] = field(default_factory=dict)

    @classmethod
    def begin(cls, services: Services, seconds: float) -> Hunt:
        asking = Asking(services, seconds)
        site = asking.ask("erpnext", services.site)
        known = services.settings.erpnext_time_zone
        return cls(
            asking, Clock(zone_or_utc(known) if isinstance(site, gathered.Silence) else site.zone)
        )

    # --- the ledger -------------------------------------------------------------------------

    def told(self, pairs: Sequence[tuple[Calendar, Account]]) -> list[CalendarTold]:
        services = self.asking.services
        with services.db.reading() as session:
            seen = standing.moment(services.db, session, services.clock())
            return [told.calendar(session, pair, seen) for pair in pairs]

    def of_owners(self, owners: Sequence[tuple[str, str]]) -> list[CalendarTold]:
        """Calendars by account and calendar id as the fields of ERPNext's rows hold them."""
        with self.asking.services.db.reading() as session:
            numbers = [
                number
                for number, email, google_id in told.everything(session)
                if (data_id(email), data_id(google_id)) in owners
            ]
            pairs = told.of_calendars(session, numbers)
        return self.told(pairs)

    def ground(self, calendar: CalendarTold) -> gather.Ground:
        if calendar.id not in self._grounds:
            self._grounds[calendar.id] = gather.ground(self.asking, calendar)
        return self._grounds[calendar.id]

    # --- ERPNext ----------------------------------------------------------------------------

    def mirror(self) -> EventMirror | gathered.Silence:
        return self.asking.ask("erpnext", self.asking.services.mirror)

    def rows_of(self, event_id: str) -> list[Row]:
        """Rows of an event in whichever calendar; none where ERPNext does not answer."""
        mirror = self.mirror()
        if isinstance(mirror, gathered.Silence):
            return []
        rows = self.asking.ask("erpnext", partial(mirror.rows_of_events, [data_id(event_id)]))
        return [] if isinstance(rows, gathered.Silence) else rows

    def looked(self, side: gathered.Side, text: str) -> None:
        """Note what was looked through at a side, unless that gave no answer."""
        if side not in self.asking.silent:
            self.searched.append(text)

    # --- what is found ----------------------------------------------------------------------

    def explain(
        self,
        calendar: CalendarTold,
        event_id: str,
        google: gathered.AtGoogle | gathered.Silence | None = None,
    ) -> gathered.Facts | None:
        """Explain one event of a calendar; None beyond the number that is explained. ``google`` is
        what Google has said of it already."""
        if len(self.answers) >= MOST_ANSWERS:
            self.more += 1
            return None
        on = self.ground(calendar)
        said = google if google is not None else gather.at_google(self.asking, on, event_id)
        facts = gather.facts_of(self.asking, on, event_id, said)
        self.answers.append(answer_of(facts, self.clock))
        for side in (facts.google, facts.erpnext):
            if isinstance(side, gathered.Silence):
                self.code = self.code or side.code
        return facts

    def tell_of_calendar(self, on: gather.Ground, silence: gathered.Silence) -> None:
        """Google gave no answer by which an event could be found."""
        facts = gathered.Facts(
            calendar=on.calendar,
            event_id="",
            key="",
            basis=on.basis,
            google=silence,
            erpnext=silence,
        )
        self.answers.append(calendar_answer(facts, silence, self.clock))
        self.code = self.code or silence.code

    def explain_if_known(self, calendar: CalendarTold, event_id: str) -> None:
        """As ``explain``, unless no side knows such an event in this calendar."""
        facts = self.explain(calendar, event_id)
        if facts is not None and not _is_known(facts):
            self.answers.pop()
            email, google_id = calendar.account.email, calendar.google_id
            self.searched.append(
                sentence(
                    "Google and ERPNext, in the calendar %(calendar)s of %(email)s",
                    calendar=google_id,
                    email=email,
                )
            )

    def report(self) -> Report:
        silent = self.asking.silent
        code = self.code or next((each.code for each in silent.values()), ExitCode.OK)
        unheard = [
            Said(SOURCES[side], sentence("%(text)s.", text=s.message)) for side, s in silent.items()
        ]
        steps = [*self.steps, *(s.step for s in silent.values() if s.step)]
        nothing = sentence("Such an event was not found.")
        if code:
            nothing = sentence("Nothing can be told of it now.")
        return Report(
            sentence="" if self.answers else self.sentence or nothing,
            answers=tuple(self.answers),
            searched=tuple(self.searched),
            unheard=tuple(unheard),
            steps=tuple(dict.fromkeys(steps)),
            more=self.more,
            zone=self.clock.zone.key,
            now=self.asking.services.clock(),
            code=code if self.answers else code or ExitCode.NOT_FOUND,
        )


def _is_known(facts: gathered.Facts) -> bool:
    """Whether any side knows the event in this calendar, or one could not be asked."""
    google, erpnext = facts.google, facts.erpnext
    if (
        isinstance(google, gathered.Silence)
        or google.hides_calendar
        or google.unreadable
        or google.event
    ):
        return True
    if isinstance(erpnext, gathered.Silence):
        return facts.aside is not None
    return bool(erpnext.row or erpnext.of_series or erpnext.deletion or facts.aside)
