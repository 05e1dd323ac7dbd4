"""What each check is called on a page. Its name, such as ``address.dns``, is for programs, commands
and the docs, and stands beside that."""

from __future__ import annotations

from watcher.doctor.rights import PERMISSIONS, VERBS
from watcher.doctor.say import Given, sentence

_TITLES = {
    "settings.complete": sentence("All settings"),
    "settings.files": sentence("Files with secrets"),
    "data.directory": sentence("Data directory"),
    "data.disk": sentence("Room on the disk"),
    "ledger.form": sentence("Version of the ledger"),
    "ledger.writes": sentence("The ledger takes writes"),
    "ledger.keys": sentence("Keys of the secrets"),
    "queue.answers": sentence("The queue answers"),
    "queue.keeps": sentence("The queue keeps its jobs"),
    "queue.evicts": sentence("The queue throws no job away"),
    "processes.running": sentence("Processes"),
    "processes.cron": sentence("Periodic work"),
    "address.dns": sentence("DNS of the public address"),
    "address.certificate": sentence("Certificate of the public address"),
    "address.route": sentence("The public address leads to Watcher"),
    "address.robots": sentence("robots.txt of the public address"),
    "address.channels": sentence("Watch channels"),
    "address.pushes": sentence("Google's notifications arrive"),
    "google.clock": sentence("Clock beside Google's"),
    "google.client": sentence("OAuth client"),
    "google.redirect": sentence("Redirect URI"),
    "google.key": sentence("Key of the service account"),
    "google.delegation": sentence("Delegation to the service account"),
    "google.lists": sentence("Lists of people's calendars"),
    "google.grants": sentence("Consents of employees"),
    "google.accounts": sentence("Accounts"),
    "google.calendar": sentence("A calendar is read"),
    "erpnext.reached": sentence("ERPNext answers"),
    "erpnext.clock": sentence("Clock beside ERPNext's"),
    "erpnext.user": sentence("API user"),
    "erpnext.version": sentence("Version of Frappe"),
    "erpnext.erasing": sentence("Rights to erase what becomes private"),
    "erpnext.rights": sentence("Rights beyond need"),
    "erpnext.fields": sentence("Fields on Event"),
    "erpnext.unique": sentence("Each event has a key of its own"),
    "erpnext.zone": sentence("Time zone of the site"),
    "erpnext.mandatory": sentence("Mandatory fields of the site's own"),
    "erpnext.doubles": sentence("Frappe's own Google Calendar integration"),
    "people.told": sentence("Who is told of trouble"),
}


def title(name: str) -> str:
    """A sentence; the name itself for a check that has none."""
    right = PERMISSIONS.get(name)
    if right is None:
        return _TITLES.get(name, name)
    doctype, permission = right.args
    return sentence("Right: %(verb)s %(doctype)s", verb=VERBS[permission], doctype=Given(doctype))
