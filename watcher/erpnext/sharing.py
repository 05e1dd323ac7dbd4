"""Shares that are left over from a former row of the same name.

Frappe gives the name of a deleted Event again and removes its shares in a background job, later
or, without a worker, never: a new Private row would be readable by the former row's user.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from watcher.erpnext.client import ErpNextClient


def stale_shares(client: ErpNextClient, names: Sequence[str]) -> dict[str, list[str]]:
    """Names of the DocShares that are older than the Event they are for, by the Event's name.

    What people shared themselves is always newer than the row. ``names``: at most 200. Raises
    ``ErpAuthError`` where the API user may not see shares (it takes System Manager).
    """
    if not names:
        return {}
    shares = client.rows(
        "DocShare",
        [["share_doctype", "=", "Event"], ["share_name", "in", list(names)]],
        ["share_name", "creation"],
    )
    if not shares:
        return {}
    shared = list(dict.fromkeys(str(share["share_name"]) for share in shares))
    created = {
        row["name"]: str(row["creation"])
        for row in client.rows("Event", [["name", "in", shared]], ["creation"])
    }
    stale: dict[str, list[str]] = defaultdict(list)
    for share in shares:
        name = share["share_name"]
        if name in created and str(share["creation"]) < created[name]:
            stale[name].append(str(share["name"]))
    return dict(stale)
