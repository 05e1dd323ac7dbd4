"""What events that stand aside are called, asked of Google when somebody looks: the ledger holds
their ids and no titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from watcher.explain import asking, gather, gathered, words
from watcher.ledger import models, standing, told
from watcher.services import Services, impatient

MOST_ASKED: Final = 20
"""So many events are asked for; the others keep their ids."""
NOT_ASKED: Final = gathered.Silence(message=words.sentence("it was not asked"))

SetAside = tuple[models.Quarantined, models.Calendar, models.Account]


def names_of(services: Services, aside: Sequence[SetAside]) -> dict[str, words.Name]:
    """By sync key, what Google calls these events now, as far as it still has them and an admin may
    know it. ERPNext is not asked. Once Google does not answer it is not asked again."""
    asks = asking.Asking(impatient(services), seconds=10.0, silent={"erpnext": NOT_ASKED})
    grounds: dict[int, gather.Ground] = {}
    names = {}
    for row, calendar, account in aside[:MOST_ASKED]:
        if not account.is_active:
            continue
        if calendar.id not in grounds:
            grounds[calendar.id] = gather.ground(asks, _told(services, calendar, account))
        name = _name(asks, grounds[calendar.id], row.event_id)
        if name is not None:
            names[row.sync_key] = name
    return names


def _told(
    services: Services, calendar: models.Calendar, account: models.Account
) -> told.CalendarTold:
    with services.db.reading() as session:
        seen = standing.moment(services.db, session, services.clock())
        return told.calendar(session, (calendar, account), seen)


def _name(asks: asking.Asking, on: gather.Ground, event_id: str) -> words.Name | None:
    google_id = on.calendar.google_id
    item = asks.google(on.calendar, lambda google: google.event(google_id, event_id))
    if item is None or isinstance(item, gathered.Silence):
        return None
    found = gather.read_item(on, item)
    event = found.event or found.named
    if event is None or event.is_cancelled:
        return None
    return words.name_of(event, on.basis.rules, words.Clock(on.basis.rules.site_zone))
