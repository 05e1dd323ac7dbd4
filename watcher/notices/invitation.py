"""Pure: the mail by which an employee is asked to connect. It says who asks, what is read, who will
see it, and how to stop, as the settings have it.

``translate`` takes each English sentence, whole and with its placeholders, and gives it in the
reader's language; by default it stays English.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from watcher.settings import Settings

PERMISSIONS = "https://myaccount.google.com/permissions"

Translate = Callable[[str], str]


def english(text: str) -> str:
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Invitation:
    """``name`` is the employee's own, empty where it is not known; ``asker`` the address of the
    admin who asks; ``link`` is a secret. ``event_type`` is what ordinary events of this account
    become. ``again``: the account was connected before, and its permission has ended. ``reminds``:
    this mail went out before."""

    email: str
    name: str
    asker: str
    link: str
    ends_at: datetime
    event_type: str
    again: bool = False
    reminds: bool = False

    def __repr__(self) -> str:
        return f"Invitation({self.email!r})"


def subject(of: Invitation, translate: Translate = english) -> str:
    _ = translate
    if of.reminds:
        return _("Reminder: please connect your Google Calendar to ERPNext")
    if of.again:
        return _("Please connect your Google Calendar to ERPNext again")
    return _("Please connect your Google Calendar to ERPNext")


def body(of: Invitation, settings: Settings, translate: Translate = english) -> str:
    """Plain text, one paragraph a line: a mail program breaks them as it likes."""
    _ = translate
    known = {
        "name": of.name,
        "email": of.email,
        "asker": of.asker or _("your administrator"),
        "site": urlsplit(settings.erpnext_url).netloc,
        "past": settings.window_past_days,
        "future": settings.window_future_days,
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
        _(
            "What is read: the events of your calendar, from %(past)d days ago to %(future)d days "
            "ahead. Guests and attachments are not copied, and nothing in your Google Calendar can "
            "be changed."
        ),
        *_who_sees(of, settings, _),
        _(
            "How to stop: tell %(asker)s, or remove Watcher at %(permissions)s. Nothing is read "
            "from then on."
        ),
    ]
    return "\n\n".join(text % (known | {"link": of.link}) for text in paragraphs) + "\n"


def _why(of: Invitation, _: Translate) -> list[str]:
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


def _who_sees(of: Invitation, settings: Settings, _: Translate) -> list[str]:
    if of.event_type == "Private":
        ordinary = _(
            "Who sees it: your events are marked Private in ERPNext and shared with you, so that "
            "your colleagues do not find them there. Administrators can read them."
        )
    else:
        ordinary = _(
            "Who sees it: your colleagues. Everybody who signs in to ERPNext's desk can read the "
            "title, time, place and text of your events."
        )
    private = {
        "busy": _(
            "Events that you have marked private in Google appear as Busy, without title, place "
            "or text."
        ),
        "private": _(
            "Events that you have marked private in Google are marked Private in ERPNext, too, and "
            "shared with you."
        ),
        "skip": _("Events that you have marked private in Google are left out."),
    }[settings.private_events]
    if settings.declined_events == "mirror":
        return [ordinary, private, _("Events that you have declined are copied as well.")]
    return [ordinary, private, _("Events that you have declined are left out.")]
