"""What Google's refusals of a consent are for the employee who sees them, in their language.

The English sentences with the admin's steps stay in the log and on the command line.
"""

from __future__ import annotations

from watcher.errors import AppDead, Permanent, Transient, WatcherError
from watcher.google.errors import ConsentDenied, ConsentFailed
from watcher.handlers.messages import N_, ErrorPage

BY_CAUSE = {
    "access_denied": N_("You declined access to the calendar. Nothing has been stored."),
    "admin_policy_enforced": N_(
        "Your organisation's Google administrator does not allow this app yet. Nothing has been "
        "stored. Please show this page to your administrator (Admin console > API controls)."
    ),
    "policy_enforced": N_(
        "Your organisation, or Advanced Protection of your Google account, does not allow this "
        "app. Nothing has been stored. Please show this page to your administrator."
    ),
    "org_internal": N_(
        "Only accounts of the organisation that owns this app may use it. Sign in with your "
        "company account."
    ),
    "disallowed_useragent": N_("Open the link in an ordinary browser, not inside another app."),
    "invalid_grant": N_("The answer came too late or twice. Open the invitation link again."),
}
CLIENT = N_(
    "Google does not accept the app (%(cause)s). Please show this page to your administrator."
)
OTHER = N_("Google refused the consent (%(cause)s). Open the invitation link again.")


def page(error: WatcherError, again: str) -> ErrorPage:
    """``again`` is the link to begin once more."""
    if isinstance(error, Transient):
        text = N_("Try again in a minute.")
        return ErrorPage(N_("Google does not answer"), text, 503, retry=again)
    if isinstance(error, ConsentDenied):
        text = BY_CAUSE.get(error.cause, OTHER)
        return ErrorPage(N_("Nothing was connected"), text, 200, retry=again, cause=error.cause)
    if isinstance(error, AppDead | ConsentFailed):
        text = CLIENT if isinstance(error, AppDead) else BY_CAUSE.get(error.cause, OTHER)
        return ErrorPage(N_("Google refused"), text, retry=again, cause=error.cause)
    cause = error.cause if isinstance(error, Permanent) else ""
    return ErrorPage(N_("That did not work"), OTHER, retry=again, cause=cause)
