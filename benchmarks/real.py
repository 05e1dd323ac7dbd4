"""A real site in place of the stand-in: what it is, and how it is left as it was found.

All that is measured there belongs to people whose addresses begin with ``bench-``. Their Events are
deleted before the first row, after each row and at the end, with the copies that Frappe keeps of
what is deleted. That is done outside of the process of a row, so that it is done as well after one
that was ended because it took too long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.rows import KEY, SECRET, Options
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.erasure import DELETED
from watcher.erpnext.rows import chunks

OF_BENCH = "bench-"
AT_ONCE = 10
"""How many documents ``delete_items`` deletes while one waits; more of them Frappe leaves to a
background job, which a site for tests may not have."""


def client(options: Options) -> ErpNextClient:
    return ErpNextClient(options.erpnext, os.environ[KEY], os.environ[SECRET])


def described(erpnext: ErpNextClient) -> str:
    """The versions of what the site has."""
    found = erpnext.versions()
    return ", ".join(f"{app} {version}" for app, version in sorted(found.items()))


@contextmanager
def lent(options: Options) -> Iterator[ErpNextClient]:
    """The site for a run; afterwards nothing of the run is there. Raises ``WatcherError`` where it
    does not answer, or the key may not delete."""
    erpnext = client(options)
    erpnext.ping()
    if left := take_back(erpnext):
        print(f"deleted {left} Events that an earlier run had left there", file=sys.stderr)
    try:
        yield erpnext
    finally:
        take_back(erpnext)


def take_back(erpnext: ErpNextClient) -> int:
    """Delete all Events of such people; returns how many there were. Once more where some came
    meanwhile, from a request that the site had still been at."""
    deleted = 0
    while names := [
        row["name"]
        for row in erpnext.rows("Event", [["custom_google_account", "like", f"{OF_BENCH}%"]], [])
    ]:
        for some in chunks(names, AT_ONCE):
            _delete(erpnext, "Event", some)
            copies: list[list[object]] = [["deleted_doctype", "=", "Event"]]
            copies.append(["deleted_name", "in", list(some)])
            copies.append(["data", "like", f'%"{OF_BENCH}%'])  # names are given again
            kept = [row["name"] for row in erpnext.rows(DELETED, copies, [])]
            for few in chunks(kept, AT_ONCE):
                _delete(erpnext, DELETED, few)
        deleted += len(names)
    return deleted


def _delete(erpnext: ErpNextClient, doctype: str, names: Sequence[str]) -> None:
    """Several in one request, where Frappe leaves out without a word what it does not delete: that
    is tried by itself, which says why."""
    params = {"doctype": doctype, "items": list(names)}
    erpnext.method("frappe.desk.reportview.delete_items", params=params)
    for row in erpnext.rows(doctype, [["name", "in", list(names)]], []):
        erpnext.delete(doctype, row["name"])
