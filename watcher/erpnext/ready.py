"""Whether the site would take what there is to write: asked without writing anything."""

from __future__ import annotations

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.rows import KEY
from watcher.erpnext.site import refuse_administrator
from watcher.errors import ErpForbidden
from watcher.languages.sentence import sentence

WRITING = ("read", "create", "write", "delete")
"""Permissions on Event without which mirroring, or erasing what has become private, fails. All but
the last Frappe gives to each of its desk users."""


def require_ready(client: ErpNextClient) -> None:
    """Raises what a pass that writes would raise: ``Transient`` where the site does not answer,
    ``ErpAuthError`` for the key or its user, ``ErpForbidden`` for a right that was taken away,
    ``ErpSetupMissing`` where the fields are not there."""
    refuse_administrator(client.whoami())
    for permission in WRITING:
        if not client.may(permission):
            raise ErpForbidden(
                sentence("the API user may not %(permission)s Event", permission=permission),
                next_step=sentence(
                    "`watcher doctor` names it; `watcher erpnext setup --role yes "
                    "--admin-key` gives the API user all that Watcher needs"
                ),
            )
    client.get_list("Event", ["name", KEY], limit_page_length=1)
