"""Pure: the mail by which an employee is asked to connect. It says who asks, what is read, who will
see it, and how to stop, as the settings have it.

``translate`` takes each English sentence, whole and with its placeholders, and gives it in the
reader's language; by default it stays English.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from watcher.languages import seeing
from watcher.languages.catalogs import Words
from watcher.settings import Settings

PERMISSIONS = "https://myaccount.google.com/permissions"


def english(text: str) -> str:
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Invitation:
    """``name`` is the employee's own, empty where it is not known; ``asker`` the address of the
    admin who asks; ``link`` is a secret. ``seen`` is who sees what of this account.
    ``again``: the account was connected before, and its permission has ended. ``reminds``: this
    mail went out before."""

    email: str
    name: str
    asker: str
    link: str
    ends_at: datetime
    seen: seeing.Seen
    again: bool = False
    reminds: bool = False

    def __repr__(self) -> str:
        return f"Invitation({self.email!r})"


def subject(of: Invitation, translate: Words = english) -> str:
    _ = translate
    if of.reminds:
        return _("Reminder: please connect your Google Calendar to ERPNext")
    if of.again:
        return _("Please connect your Google Calendar to ERPNext again")
    return _("Please connect your Google Calendar to ERPNext")


def body(of: Invitation, settings: Settings, translate: Words = english) -> str:
    """Plain text, one paragraph a line: a mail program breaks them as it likes."""
    _ = translate
    known = {
        "name": of.name,
        "email": of.email,
        "asker": of.asker or _("your administrator"),
        "site": urlsplit(settings.erpnext_url).netloc,
        "mine": f"{settings.public_url}/me",
        "until": f"{of.ends_at:%Y-%m-%d %H:%M} UTC",
        "permissions": PERMISSIONS,
    }
    paragraphs = [
        _("Hello %(name)s,") if of.name else _("Hello,"),
        *_why(of, _),
        _("Open this link, and allow it on Google's page with the account %(email)s:"),
        "%(link)s",
        _(
            "The link is for you alone: do not pass it on. It works once, until %(until)s. If you "
            "did not expect this mail, ask %(asker)s before you open it."
        ),
        " ".join([_("What is copied:"), *map(_plain, seeing.what_is_read(of.seen, _))]),
        " ".join([_("Who will see it:"), *map(_plain, seeing.who_sees(of.seen, _))]),
        _(
            "How to stop: on the page My connection, %(mine)s, or by removing Watcher at "
            "%(permissions)s, or tell %(asker)s. Nothing is read from then on."
        ),
    ]
    return "\n\n".join(text % (known | {"link": of.link}) for text in paragraphs) + "\n"


def _why(of: Invitation, _: Words) -> list[str]:
    if of.again:
        return [
            _(
                "%(asker)s asks you to connect your Google Calendar to ERPNext (%(site)s) again: "
                "the permission by which it was copied has ended, and changes no longer arrive."
            )
        ]
    asked = _(
        "%(asker)s asks you to connect your Google Calendar to ERPNext (%(site)s). Your events "
        "then appear there by themselves, seconds after you change them in Google. It takes a "
        "minute."
    )
    if of.reminds:
        return [_("This is a reminder: your calendar is not connected yet."), asked]
    return [asked]


def _plain(sentence: str) -> str:
    """A sentence that has all its values, among those that still get theirs."""
    return sentence.replace("%", "%%")
