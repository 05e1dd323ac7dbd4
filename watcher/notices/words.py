"""Pure: what the notices say. No secret, no title of an event, and always what to do."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from watcher.languages import seeing
from watcher.languages.catalogs import Words, words
from watcher.languages.seeing import Seen
from watcher.languages.sentence import counted, joined, sentence

Links = list[tuple[str, str]]
NAMED = 20
"""So many accounts are named in the notice of a common cause."""


def marker(notice: int) -> str:
    """A class in a notice's ToDo, by which it is found where the answer to its making was lost.
    Nobody sees it; Frappe keeps it when it cleans the HTML."""
    return f'class="watcher-notice-{notice}"'


def subject(what: str, *, times: int = 1) -> str:
    if times < 2:
        return sentence("Watcher: %(what)s", what=what)
    return sentence("Watcher: still: %(what)s", what=what)


def what_is_wrong(who: str, state: str, cause: str) -> str:
    """In one line. The cause is told as the name that the documentation has for it."""
    if who:
        return sentence("%(who)s: %(state)s (%(cause)s)", who=who, state=state, cause=cause)
    return sentence("%(state)s (%(cause)s)", state=state, cause=cause)


def what_many_have(accounts: int, state: str, cause: str) -> str:
    if not accounts:
        return sentence("several accounts: %(state)s (%(cause)s)", state=state, cause=cause)
    return counted(
        "%(n)s accounts: %(state)s (%(cause)s)",
        "%(n)s accounts: %(state)s (%(cause)s)",
        accounts,
        state=state,
        cause=cause,
    )


def among(calendars: int, account: str, text: str) -> str:
    who = counted(
        "%(n)s calendars, among them %(account)s",
        "%(n)s calendars, among them %(account)s",
        calendars,
        account=account,
    )
    return joined(": ", who, text)


def message(text: str, holds: str) -> str:
    """In whose words it is wrong, and what it holds up."""
    return joined(". ", text, holds)


def ended(what: str, *, by_disconnection: bool) -> str:
    if by_disconnection:
        return sentence("ended by a disconnection: %(what)s", what=what)
    return sentence("mended: %(what)s", what=what)


HELD_UP = sentence("Calendars that it holds up")
ONE_CAUSE = sentence(
    "look for one cause: was the app's access taken back in the Admin console, is the OAuth app in "
    "Testing (docs/google.md)? Mend that, then `watcher accounts invite EMAIL` for each"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ForAdmins:
    """A mail or a post: what is the matter, in whose words, what to do, and for which accounts.
    ``links`` are what to look at, and its address; ``who`` are the accounts, each with its own
    address, or an empty one where there is none, and ``all_of_them`` is where all are."""

    what: str
    text: str
    step: str
    links: Sequence[tuple[str, str]]
    who: Sequence[tuple[str, str]] = ()
    all_of_them: str = ""

    @property
    def body(self) -> str:
        lines = [self.what, self.text]
        if self.who:
            lines += [": ".join(filter(None, each)) for each in self.who[:NAMED]]
            more = len(self.who) - NAMED
            if more > 0:
                rest = sentence("... and %(more)s more", more=more)
                lines.append(joined(": ", rest, self.all_of_them))
        step = sentence("What to do: %(step)s", step=self.step)
        where = [joined(": ", name, address) for name, address in self.links]
        parts = (joined("\n", *lines), step, joined("\n", *where))
        return joined("\n\n", *(part for part in parts if part))


def of_one(public_url: str, email: str) -> str:
    """The calendars of an account on the dashboard; empty where it has no address."""
    return f"{public_url}/calendars?q={quote(email)}" if public_url else ""


def of_all(public_url: str, state: str, cause: str) -> str:
    """All whom a cause concerns, on the dashboard; empty where it has no address."""
    if not public_url:
        return ""
    if state in ("needs_reconnect", "disconnecting", "paused"):
        return f"{public_url}/employees?state={quote(state)}"
    return f"{public_url}/calendars?cause={quote(cause)}"


def links(public_url: str, erpnext_url: str, account: tuple[str, str] | None) -> Links:
    """What to look at; of one ``account`` (its address and its user in ERPNext) its calendars on
    the dashboard, and its events in ERPNext's own calendar."""
    if account is None:
        return [(sentence("Dashboard"), public_url)] if public_url else []
    address, user = account[0], quote(account[1])
    found: Links = [(sentence("Calendars"), of_one(public_url, address))] if public_url else []
    if erpnext_url and user:
        page = f"{erpnext_url}/app/event/view/calendar/default?custom_google_user={user}"
        found.append((sentence("Events in ERPNext"), page))
    return found


def _why(cause: str, _: Words) -> str:
    known = {
        "no_refresh_token": _("there is no permission by Google for it"),
        "wrong_account": _("another Google account than yours was chosen"),
        "missing_scope": _("the box for your calendar was not ticked"),
        "key_lost": _("the permission cannot be read any more"),
    }
    return known.get(cause) or _("Google has ended the permission")


def no_link(language: str = "") -> str:
    _ = words(language)
    return f"<p>{_('Ask your administrator for a new connect link.')}</p>"


def by_desk(link: str, language: str = "") -> str:
    """How an employee connects again in ERPNext's Desk; ``link`` is its page."""
    _ = words(language)
    text = _(
        'Open <a href="%(link)s">%(link)s</a>, press <b>Connect to ...</b>, choose your company '
        "account and leave the box for your calendar ticked."
    )
    return f"<p>{text % {'link': html.escape(link)}}</p>"


def by_link(link: str, language: str = "") -> str:
    """How an employee connects again with a connect link."""
    _ = words(language)
    text = _(
        '<a href="%(link)s">Connect it again</a>: choose your company account and leave the box '
        "for your calendar ticked. The link works once."
    )
    return f"<p>{text % {'link': html.escape(link)}}</p>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Invited:
    """Who is to consent in ERPNext's Desk for the first time; ``how`` is ``by_desk``."""

    company: str
    seen: Seen
    how: str
    language: str = ""

    def todo(self, notice: int) -> str:
        """The ToDo, as HTML."""
        _ = words(self.language)
        title = _("Connect your Google Calendar to ERPNext")
        asks = _(
            "%(company)s asks you to connect your Google Calendar: your events are then shown in "
            "ERPNext and follow every change."
        )
        told = [
            asks % {"company": self.company},
            " ".join([_("What is copied:"), *seeing.what_is_read(self.seen, _)]),
            " ".join([_("Who will see it:"), *seeing.who_sees(self.seen, _)]),
        ]
        closes = _("This entry closes by itself when that is done.")
        begins = f"<p {marker(notice)}><b>{title}</b></p>"
        text = "".join(f"<p>{html.escape(each, quote=False)}</p>" for each in told)
        return f"{begins}{text}{self.how}<p>{closes}</p>"


@dataclass(frozen=True, slots=True)
class Again:
    """Why an employee has to connect again; ``how`` is ``by_desk``, ``by_link`` or ``no_link``."""

    cause: str
    how: str
    language: str = ""


def for_employee(notice: int, again: Again) -> str:
    """The ToDo, as HTML."""
    _ = words(again.language)
    text = _(
        "Your Google Calendar is not connected to ERPNext: %(why)s. Your events here stay as they "
        "are, but changes do not arrive."
    )
    closes = _("This entry closes by itself when that is done.")
    why = {"why": _why(again.cause, _)}
    title = _("Connect your Google Calendar to ERPNext again")
    begins = f"<p {marker(notice)}><b>{title}</b></p>"
    return f"{begins}<p>{text % why}</p>{again.how}<p>{closes}</p>"


def mirrored_marker(account: int) -> str:
    """As ``marker``, of what is told once when a calendar is mirrored by delegation."""
    return f'class="watcher-account-{account}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirrored:
    """What is told to whom is mirrored by delegation. ``page`` is *My connection*, empty where it
    needs what is not set up; ``ask`` whom to ask."""

    company: str
    seen: Seen
    page: str
    ask: str
    language: str = ""

    @property
    def subject(self) -> str:
        _ = words(self.language)
        return _("Your Google Calendar is shown in ERPNext")

    def _paragraphs(self) -> Iterator[str]:
        _ = words(self.language)
        begins = _(
            "%(company)s copies your Google Calendar to ERPNext from now on. There is nothing for "
            "you to do."
        )
        yield begins % {"company": self.company}
        yield " ".join([_("What is copied:"), *seeing.what_is_read(self.seen, _)])
        yield " ".join([_("Who will see it:"), *seeing.who_sees(self.seen, _)])
        if self.page:
            how = _("My connection: how it stands, pause it, show less, or ask to leave:")
            yield f"{how} {self.page}"
        if self.ask:
            yield _("Whom to ask: %(who)s") % {"who": self.ask}

    @property
    def text(self) -> str:
        """The mail."""
        return "\n\n".join(self._paragraphs()) + "\n"

    def todo(self, account: int) -> str:
        """The ToDo, as HTML."""
        _ = words(self.language)
        closes = _("You can close this entry when you have read it.")
        begins = f"<p {mirrored_marker(account)}><b>{html.escape(self.subject)}</b></p>"
        told = [*map(self._linked, self._paragraphs()), closes]
        return begins + "".join(f"<p>{each}</p>" for each in told)

    def _linked(self, paragraph: str) -> str:
        text = html.escape(paragraph, quote=False)
        if not self.page:
            return text
        page = html.escape(self.page)
        return text.replace(page, f'<a href="{page}">{page}</a>')
