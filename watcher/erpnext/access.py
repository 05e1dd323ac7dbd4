"""What everything that writes mirrored rows works with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from watcher.erpnext.client import ErpNextClient
from watcher.events.model import USUAL, Masks, Row

Find = Callable[[Iterable[str]], dict[str, Row]]
Note = Callable[[Mapping[str, str]], None]


def nothing_before() -> None:
    """For writes that nobody has to be asked about."""


def note_nothing(_rows: Mapping[str, str]) -> None:
    """For rows whose erasure nobody has to remember."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """A site, for one run of writes.

    ``find`` gives the rows of some keys as they are now. ``before_write`` is called before each
    request that writes and may raise to stop. ``note_erased`` is told of rows (name to key) before
    their past is erased: Frappe writes some of its logs later, so that somebody has to look again.
    ``site_fields`` are the optional fields of Event that the site has, ``masks`` the subjects of
    what nobody may read.
    """

    client: ErpNextClient
    find: Find
    before_write: Callable[[], None] = nothing_before
    note_erased: Note = note_nothing
    site_fields: frozenset[str] = frozenset()
    masks: Masks = USUAL
