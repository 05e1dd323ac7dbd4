"""What the buttons of *Employees* do, and whom they are for: told before it is done for several
people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watcher.handlers.context import services
from watcher.languages.catalogs import N_
from watcher.ledger import audit, people


@dataclass(frozen=True, slots=True)
class Deed:
    """What a button does: its ``label``, what the audit trail calls it, what is told before it is
    done for several people, and whether it is told for a single one, too."""

    label: str
    what: audit.What
    consequences: tuple[str, ...]
    always_asked: bool = False


DEEDS = {
    "pause": Deed(
        N_("Pause"),
        audit.What.ACCOUNT_PAUSE,
        (
            N_(
                "Nothing of their calendars is read while they are paused, and nothing changes in "
                "ERPNext. It goes on when you resume them; a pause has no end by itself."
            ),
        ),
    ),
    "resume": Deed(
        N_("Resume"),
        audit.What.ACCOUNT_RESUME,
        (N_("Each permission is tried, and the calendars are read in full."),),
    ),
    "mail": Deed(
        N_("Send the link by mail"),
        audit.What.ACCOUNT_MAIL,
        (N_("Each of them gets a mail now with the personal link. Nobody is mailed twice a day."),),
    ),
    "link": Deed(
        N_("Make a new link"),
        audit.What.ACCOUNT_INVITE,
        (N_("Each gets a new link. Those sent before no longer work."),),
    ),
    "disconnect": Deed(
        N_("Disconnect"),
        audit.What.ACCOUNT_DISCONNECT,
        (
            N_(
                "Google's notifications are stopped, the permission is revoked at Google and "
                "forgotten here, and open links no longer work. To connect again takes a new "
                "invitation."
            ),
            N_("A delegation stays at Google: the Workspace admin ends it in the Admin console."),
        ),
        always_asked=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom an action is for: those named, or ``everyone`` who fits the search."""

    deed: str
    emails: Sequence[str]
    everyone: bool
    search: people.Search

    def fields(self) -> list[tuple[str, str]]:
        """As a form sends them again."""
        whom = [] if self.everyone else [("email", email) for email in self.emails]
        many = [("everyone", "yes")] if self.everyone else []
        return [("act", self.deed), *many, *whom, *fields(self.search)]

    def document(self) -> list[Any]:
        """As it is kept for the page that asks."""
        whom = None if self.everyone else list(self.emails)
        return [self.deed, whom, dict(fields(self.search))]

    @classmethod
    def kept(cls, document: list[Any]) -> Chosen:
        """Everyone who fits the search at this moment, where it is for everyone."""
        deed, whom, search = document
        return chosen(deed, whom, searched(search))


def chosen(
    deed: str, emails: Sequence[str] | None, search: people.Search, after: str = ""
) -> Chosen:
    """``emails`` is None for everyone who fits the search and whose address follows ``after``."""
    if emails is not None:
        return Chosen(deed, emails, False, search)
    with services().db.reading() as session:
        return Chosen(deed, people.emails(session, search, after), True, search)


def searched(given: Mapping[str, str]) -> people.Search:
    """As a form or an address has it."""
    return people.Search(
        text=given.get("q", "").strip(),
        state=given.get("state", ""),
        sort=given.get("sort", ""),
    )


def fields(search: people.Search) -> list[tuple[str, str]]:
    named = (("q", search.text), ("state", search.state), ("sort", search.sort))
    return [(name, value) for name, value in named if value]
