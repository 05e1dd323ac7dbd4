"""All checks, in the order in which they are shown."""

from __future__ import annotations

from watcher.doctor import (
    address,
    clocks,
    delegated,
    erpnext,
    google,
    grants,
    here,
    queue,
    rights,
    say,
    work,
)
from watcher.doctor.case import Case
from watcher.doctor.examine import Check


def _beside_google(case: Case) -> say.Finding:
    return clocks.beside(case, "Google", case.settings.google_token_url)


def _beside_erpnext(case: Case) -> say.Finding:
    if not case.settings.erpnext_url:
        return say.skip(say.sentence("%(setting)s is not set", setting="WATCHER_ERPNEXT_URL"))
    return clocks.beside(case, "ERPNext", f"{case.settings.erpnext_url}/api/method/ping")


_SITE = ("erpnext.reached",)
_KEY = ("erpnext.user",)
_LEDGER = ("ledger.form",)

CHECKS: tuple[Check, ...] = (
    Check("settings.complete", here.settings),
    Check("settings.files", here.secret_files),
    Check("data.directory", here.data_dir),
    Check("data.disk", here.disk),
    Check("ledger.form", work.ledger),
    Check("ledger.writes", work.writes, _LEDGER),
    Check("ledger.keys", here.secret_keys, _LEDGER),
    Check("queue.answers", queue.answers),
    Check("queue.keeps", queue.keeps, ("queue.answers",)),
    Check("queue.evicts", queue.evicts, ("queue.answers",)),
    Check("processes.running", work.running, _LEDGER),
    Check("processes.cron", work.cron, _LEDGER),
    Check("address.dns", address.dns),
    Check("address.certificate", address.certificate, ("address.dns",)),
    Check("address.route", address.route, ("address.dns",)),
    Check("address.robots", address.robots, ("address.dns",)),
    Check("address.channels", work.channels, _LEDGER),
    Check("address.pushes", work.pushes, _LEDGER),
    Check("google.clock", _beside_google),
    Check("google.client", google.client),
    Check("google.redirect", google.redirect, ("google.client",)),
    Check("google.key", delegated.service_account),
    Check("google.delegation", delegated.delegated, ("google.key",)),
    Check("google.lists", delegated.lists, _LEDGER),
    Check("google.grants", grants.grants, _LEDGER),
    Check("google.accounts", work.accounts, _LEDGER),
    Check("google.calendar", grants.calendar, ("ledger.keys", "ledger.writes")),
    Check("erpnext.reached", erpnext.reached),
    Check("erpnext.clock", _beside_erpnext, _SITE),
    Check("erpnext.user", erpnext.user, _SITE),
    Check("erpnext.version", erpnext.version, _KEY),
    *(Check(name, look, _KEY) for name, look in rights.PERMISSIONS.items()),
    Check("erpnext.erasing", rights.erasing, _KEY),
    Check("erpnext.rights", rights.rights, _KEY),
    Check("erpnext.fields", erpnext.fields, _KEY),
    Check("erpnext.unique", erpnext.unique, ("erpnext.fields",)),
    Check("erpnext.zone", erpnext.zone, _KEY),
    Check("erpnext.mandatory", erpnext.mandatory, _KEY),
    Check("erpnext.doubles", erpnext.doubles, _KEY),
    Check("people.told", here.people),
)

BOTH_SIDES = tuple(
    check
    for check in CHECKS
    if check.name
    in (
        "google.clock",
        "google.client",
        "google.redirect",
        "google.key",
        "google.delegation",
        "erpnext.reached",
        "erpnext.user",
    )
)
"""Those that try Google and ERPNext with what is set, and need nothing else to be there."""

AT_START = tuple(
    check
    for check in CHECKS
    if check.side in ("data", "ledger", "address", "google", "erpnext")
    and check.name
    not in ("address.channels", "address.pushes", "google.calendar", "erpnext.rights")
)
"""Those for the start of ``watcher up``. Left out are what its processes find out by their work,
and rights beyond need, which hinder nothing."""

AT_SETUP = tuple(
    check
    for check in CHECKS
    if (
        check.side in ("settings", "data", "ledger", "google", "erpnext", "people")
        and check.name not in ("erpnext.fields", "erpnext.unique")
    )
    or check.name in ("address.dns", "address.certificate")
)
"""Those for the end of ``watcher init``, when nothing runs yet and ERPNext may not be set up."""
