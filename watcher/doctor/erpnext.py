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
_UPGRADE = "upgrade Frappe: bench update"


def reached(case: Case) -> say.Finding:
    """The site answers, and over https."""
    if not case.settings.erpnext_url:
        return say.skip("WATCHER_ERPNEXT_URL is not set")
    parts = urlsplit(case.settings.erpnext_url)
    began = time.monotonic()
    with suppress(ErpAuthError):  # even a ping is refused for a wrong key: the site answers
        case.erpnext().ping()
    took = time.monotonic() - began
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return say.warn(
            "the API key goes to ERPNext unencrypted",
            f"set WATCHER_ERPNEXT_URL=https://{parts.netloc}",
        )
    if took > _SLOW_SECONDS:
        return say.warn(
            f"ERPNext took {took:.1f} s to answer a ping", "look at the load of its server"
        )
    return say.ok(f"{case.settings.erpnext_url} answers in {took * 1000:.0f} ms")


def user(case: Case) -> say.Finding:
    """The key is good, and belongs to a user of its own."""
    client = case.erpnext()
    name = client.whoami()
    refuse_administrator(name)
    if client.may("read", "User") and not client.user_exists(name):
        return say.warn(
            f"{name} is disabled in ERPNext, where its key works on all the same",
            f"enable {name} in ERPNext, or make a key for another user",
        )
    return say.ok(f"the API user is {name}")


def version(case: Case) -> say.Finding:
    """A version that works, without known faults."""
    found = case.erpnext().versions()
    frappe = found.get("frappe", "")
    known = warnings(frappe)
    named = ", ".join(f"{app} {number}" for app, number in found.items())
    if frappe and not is_supported(frappe):
        return say.fail(known[0], _UPGRADE)
    if len(known) > 1:
        more = f"{_UPGRADE}; `watcher erpnext setup --dry-run` names all {len(known)}"
        return say.warn(f"{named} has {len(known)} known faults, such as: {known[0]}", more)
    return say.warn(f"{named}: {known[0]}", _UPGRADE) if known else say.ok(named)


def fields(case: Case) -> say.Finding:
    """The custom fields on Event are there, and of the right kind."""
    client = case.erpnext()
    report = differences(client, client.whoami())
    if report.missing:
        return say.fail(f"Event lacks {say.listed(report.missing)}", SETUP)
    wrong = [f"{name} {why}" for name, why in report.wrong if why != NOT_UNIQUE]
    if wrong:
        return say.fail("; ".join(wrong), f"correct it in Customize Form, then `{SETUP}`")
    if report.narrowing:
        return say.warn(narrowed(report), WIDEN)
    return say.ok(f"all {len(report.present)} fields are on Event")


def unique(case: Case) -> say.Finding:
    """No two rows can have one key: what keeps an event from standing there twice."""
    client = case.erpnext()
    report = differences(client, client.whoami())
    if any(why == NOT_UNIQUE for _, why in report.wrong):
        return say.fail(
            "the key of an event is not unique: it could come to stand there twice", SETUP
        )
    return say.ok("the key of an event is unique")


def zone(case: Case) -> say.Finding:
    """The site's time zone, in which every event is written."""
    theirs, ours = case.erpnext().time_zone(), case.settings.erpnext_time_zone
    if not theirs and not ours:
        return say.fail(
            "the site names no time zone",
            "set it in ERPNext's System Settings, or WATCHER_ERPNEXT_TIME_ZONE=Asia/Kolkata",
        )
    if ours and theirs and ours != theirs:
        return say.warn(
            f"events are written in {ours}, but the site shows them in {theirs}",
            f"set WATCHER_ERPNEXT_TIME_ZONE={theirs}, or leave it out",
        )
    return say.ok(theirs or ours)


def mandatory(case: Case) -> say.Finding:
    """No field that the site itself demands of an Event."""
    names = peculiarities.mandatory_fields(case.erpnext())
    if names:
        which = tuple(names)
        return say.fail(
            f"ERPNext refuses every event for want of {say.listed(names)}", mandatory_step(which)
        )
    return say.ok("the site demands no field of its own")


def doubles(case: Case) -> say.Finding:
    """Frappe's own integration mirrors nobody a second time."""
    users = peculiarities.pulled_for(case.erpnext())
    if users is None:
        return say.skip("the API user may not look at it")
    if users:
        return say.warn(
            "Frappe's own Google Calendar integration pulls events as well: they are there twice",
            f"switch off 'Pull from Google Calendar' in the Google Calendar of {say.listed(users)}",
        )
    return say.ok("Frappe's own Google Calendar integration pulls nothing")
