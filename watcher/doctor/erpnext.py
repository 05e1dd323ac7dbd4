"""ERPNext: the site, its API user, and the fields that Watcher writes."""

from __future__ import annotations

import time
from contextlib import suppress
from urllib.parse import urlsplit

from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.erpnext import peculiarities
from watcher.erpnext.errors import SETUP, mandatory_step
from watcher.erpnext.fields import NOT_UNIQUE, WIDEN, differences, narrowed
from watcher.erpnext.site import refuse_administrator
from watcher.erpnext.versions import is_supported, warnings
from watcher.errors import ErpAuthError
from watcher.settings import LOOPBACK

_SLOW_SECONDS = 1.0
_UPGRADE_ALL = say.sentence(
    "upgrade Frappe: bench update; `watcher erpnext setup --dry-run` names all known faults"
)
_UPGRADE = say.sentence("upgrade Frappe: bench update")


def reached(case: Case) -> say.Finding:
    """The site answers, and over https."""
    if not case.settings.erpnext_url:
        return say.skip(say.sentence("%(setting)s is not set", setting="WATCHER_ERPNEXT_URL"))
    parts = urlsplit(case.settings.erpnext_url)
    began = time.monotonic()
    with suppress(ErpAuthError):  # even a ping is refused for a wrong key: the site answers
        case.erpnext().ping()
    took = time.monotonic() - began
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return say.warn(
            say.sentence("the API key goes to ERPNext unencrypted"),
            say.sentence("set WATCHER_ERPNEXT_URL=https://%(host)s", host=parts.netloc),
        )
    if took > _SLOW_SECONDS:
        return say.warn(
            say.sentence("ERPNext took %(seconds)s s to answer a ping", seconds=took),
            say.sentence("look at the load of its server"),
        )
    return say.ok(
        say.sentence(
            "%(url)s answers in %(ms)s ms",
            url=case.settings.erpnext_url,
            ms=round(took * 1000),
        )
    )


def user(case: Case) -> say.Finding:
    """The key is good, and belongs to a user of its own."""
    client = case.erpnext()
    name = client.whoami()
    refuse_administrator(name)
    if client.may("read", "User") and not client.user_exists(name):
        return say.warn(
            say.sentence(
                "%(user)s is disabled in ERPNext, where its key works on all the same", user=name
            ),
            say.sentence("enable %(user)s in ERPNext, or make a key for another user", user=name),
        )
    return say.ok(say.sentence("the API user is %(user)s", user=name))


def version(case: Case) -> say.Finding:
    """A version that works, without known faults."""
    found = case.erpnext().versions()
    frappe = found.get("frappe", "")
    known = warnings(frappe)
    named = ", ".join(f"{app} {number}" for app, number in found.items())
    if frappe and not is_supported(frappe):
        return say.fail(known[0], _UPGRADE)
    if len(known) > 1:
        several = say.counted(
            "%(apps)s has %(n)s known fault: %(fault)s",
            "%(apps)s has %(n)s known faults, such as: %(fault)s",
            len(known),
            apps=named,
            fault=known[0],
        )
        return say.warn(several, _UPGRADE_ALL)
    if known:
        return say.warn(say.joined(": ", named, known[0]), _UPGRADE)
    return say.ok(say.sentence("the site has %(apps)s", apps=named))


def fields(case: Case) -> say.Finding:
    """The custom fields on Event are there, and of the right kind."""
    client = case.erpnext()
    report = differences(client, client.whoami())
    if report.missing:
        return say.fail(
            say.sentence("Event lacks %(fields)s", fields=say.listed(report.missing)), SETUP
        )
    wrong = [
        say.sentence("%(field)s %(why)s", field=name, why=why)
        for name, why in report.wrong
        if why != NOT_UNIQUE
    ]
    if wrong:
        do = say.sentence("correct it in Customize Form, then `%(command)s`", command=SETUP)
        return say.fail(say.joined("; ", *wrong), do)
    if report.narrowing:
        return say.warn(narrowed(report), WIDEN)
    return say.ok(say.sentence("all %(many)s fields are on Event", many=len(report.present)))


def unique(case: Case) -> say.Finding:
    """No two rows can have one key: what keeps an event from standing there twice."""
    client = case.erpnext()
    report = differences(client, client.whoami())
    if any(why == NOT_UNIQUE for _, why in report.wrong):
        return say.fail(
            say.sentence("the key of an event is not unique: it could come to stand there twice"),
            SETUP,
        )
    return say.ok(say.sentence("the key of an event is unique"))


def zone(case: Case) -> say.Finding:
    """The site's time zone, in which every event is written."""
    theirs, ours = case.erpnext().time_zone(), case.settings.erpnext_time_zone
    if not theirs and not ours:
        return say.fail(
            say.sentence("the site names no time zone"),
            say.sentence(
                "set it in ERPNext's System Settings, or WATCHER_ERPNEXT_TIME_ZONE=Asia/Kolkata"
            ),
        )
    if ours and theirs and ours != theirs:
        return say.warn(
            say.sentence(
                "events are written in %(ours)s, but the site shows them in %(theirs)s",
                ours=ours,
                theirs=theirs,
            ),
            say.sentence("set WATCHER_ERPNEXT_TIME_ZONE=%(zone)s, or leave it out", zone=theirs),
        )
    return say.ok(say.sentence("events are written in %(zone)s", zone=theirs or ours))


def mandatory(case: Case) -> say.Finding:
    """No field that the site itself demands of an Event."""
    names = peculiarities.mandatory_fields(case.erpnext())
    if names:
        which = tuple(names)
        return say.fail(
            say.sentence(
                "ERPNext refuses every event for want of %(fields)s", fields=say.listed(names)
            ),
            mandatory_step(which),
        )
    return say.ok(say.sentence("the site demands no field of its own"))


def doubles(case: Case) -> say.Finding:
    """Frappe's own integration mirrors nobody a second time."""
    users = peculiarities.pulled_for(case.erpnext())
    if users is None:
        return say.skip(say.sentence("the API user may not look at it"))
    if users:
        return say.warn(
            say.sentence(
                "Frappe's own Google Calendar integration pulls events as well: they are there "
                "twice"
            ),
            say.sentence(
                "switch off 'Pull from Google Calendar' in the Google Calendar of %(users)s",
                users=say.listed(users),
            ),
        )
    return say.ok(say.sentence("Frappe's own Google Calendar integration pulls nothing"))
