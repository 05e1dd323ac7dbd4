"""Who has come back from Google: an admin, an employee, the one who was invited, or none of these.

Nothing is stored for whoever is turned away.
"""

from __future__ import annotations

from flask import url_for

from watcher.errors import UserError
from watcher.google.identity import Identity
from watcher.handlers import employee
from watcher.handlers.context import services
from watcher.handlers.messages import N_, ErrorPage
from watcher.handlers.speech import speak
from watcher.ledger.models import Account


def admin(identity: Identity) -> None:
    admins = services().settings.admin_emails
    if identity.email.lower() in admins:
        return
    mine = f"@{identity.email.lower().rpartition('@')[2]}"
    ask = [each for each in admins if each.endswith(mine)]
    known = N_(
        "%(email)s may not see this page: it is for the administrators of Watcher. If you need it, "
        "ask %(who)s. Your own connection is on the page My connection."
    )
    stranger = N_(
        "%(email)s may not see this page: it is for the administrators of Watcher. If you need it, "
        "ask your administrator."
    )
    raise ErrorPage(
        N_("No access"),
        known if ask else stranger,  # who they are is told to their colleagues alone
        403,
        retry=url_for("oauth.sign_in"),
        label=N_("Use another account"),
        email=identity.email,
        who=", ".join(ask),
    ) from UserError("who has signed in is not among WATCHER_ADMIN_EMAILS")


def an_employee(identity: Identity) -> Account:
    found = employee.find(identity)
    if found is None:
        raise ErrorPage(
            N_("There is no connection here"),
            N_(
                "No calendar is connected for %(email)s. If it is another address, use that one; "
                "else ask your administrator for a connect link."
            ),
            403,
            retry=url_for("oauth.employee_sign_in"),
            label=N_("Use another account"),
            email=identity.email,
        )
    speak(found.language)
    return found


def invited(account: Account, identity: Identity, again: str) -> None:
    """The invited address must be the one that consented. Its token is dropped otherwise; it is
    not revoked, since that would end the person's other grants to this project."""
    if identity.email.lower() != account.email:
        raise ErrorPage(
            N_("This is another Google account"),
            N_(
                "You signed in as %(other)s, but this link is for %(email)s. Nothing was stored. "
                "Choose the right account on Google's page."
            ),
            403,
            retry=f"{again}/another",
            label=N_("Use another account"),
            other=identity.email,
            email=account.email,
        )
    if account.google_sub is not None and account.google_sub != identity.sub:
        raise ErrorPage(
            N_("This is another Google account"),
            N_(
                "%(email)s was connected with a different Google account of that address. Ask your "
                "administrator to disconnect it first."
            ),
            403,
            email=account.email,
        )
