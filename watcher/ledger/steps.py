"""What a person can do about a cause, and about an account that does not work."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from watcher import errors
from watcher.google import errors as google
from watcher.ledger import accounts, models
from watcher.ledger.states import AccountState, CalendarState

TESTING_LIFE, TESTING_SLACK = timedelta(days=7), timedelta(hours=12)
"""How long a refresh token lives when the OAuth app is External and in Testing
(https://support.google.com/cloud/answer/15549945)."""
TESTING = errors.sentence(
    "The grant ended 7 days after the consent, as it does while the OAuth app is External and in "
    "Testing. Make it Internal or publish it (docs/google.md), else every account ends so."
)
MAY_BE_A_WISH = errors.sentence(
    "Google has ended the permission and says no more; most often the employee has removed Watcher "
    "in the Google account. Nobody is asked to connect again: talk about it. If it was a wish, "
    "disconnect the account; else send a connect link"
)
_CLIENT = errors.sentence(
    "look at the OAuth client in the Google Cloud console (a deleted one can be restored for 30 "
    "days), WATCHER_GOOGLE_CLIENT_ID and WATCHER_GOOGLE_CLIENT_SECRET; after a change restart "
    "Watcher"
)
_KEY = errors.sentence(
    "make a new key for the service account, WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE"
)
_API = errors.sentence("enable the Google Calendar API in the Cloud project")
_ADDRESS = errors.sentence("check WATCHER_ERPNEXT_URL; after a change restart Watcher")
STEPS = {
    errors.Cause.MISSING_FIELDS: "watcher erpnext setup",
    errors.Cause.AUTH: errors.sentence(
        "check WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET; after a change restart "
        "Watcher"
    ),
    errors.Cause.PERMISSION: errors.sentence(
        "watcher erpnext setup (names the missing permission)"
    ),
    errors.Cause.NO_SITE: _ADDRESS,
    errors.Cause.ERPNEXT_UNAVAILABLE: errors.sentence(
        "see that ERPNext answers (WATCHER_ERPNEXT_URL); it is tried again by itself"
    ),
    errors.Cause.REDIRECTED: _ADDRESS,
    errors.Cause.API_USER_ADMINISTRATOR: errors.sentence(
        "make a user of its own for Watcher with the role System Manager, and set "
        "WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET to its key"
    ),
    "deleted_client": _CLIENT,
    "invalid_client": _CLIENT,
    "disabled_client": _CLIENT,
    errors.Cause.SERVICE_ACCOUNT_KEY: _KEY,
    errors.Cause.NO_SERVICE_ACCOUNT: _KEY,
    "access_not_configured": _API,
    errors.Cause.NOT_A_CALENDAR_USER: errors.sentence(
        "turn Google Calendar on for this person (Admin console > Apps > Google Workspace > "
        "Calendar)"
    ),
    errors.Cause.NO_OWN_CALENDAR: errors.sentence(
        "turn Google Calendar on for this person (Admin console > Apps > Google Workspace > "
        "Calendar), and check the address"
    ),
    errors.Cause.NO_CONNECTED_APP: "watcher erpnext setup --connected-app",
    "insufficient_permissions": errors.sentence(
        "the account has to be connected again, with the box for the calendar ticked"
    ),
    "service_disabled": _API,
    errors.Cause.GOOGLE_QUOTA: google.QUOTA_STEP,
    "project_suspended": errors.sentence(
        "look at the Cloud project in the Google Cloud console: it is suspended or deleted, or its "
        "billing is off; what failed goes on by itself"
    ),
    errors.Cause.KEY_MISSING: errors.sentence("put the old key back into WATCHER_SECRET_KEYS"),
    errors.Cause.INTERNAL_ERROR: errors.sentence(
        "this is a defect of Watcher's own: report it, with the log's traceback; it is tried again "
        "by itself"
    ),
    errors.Cause.SETTINGS: errors.sentence(
        "correct the setting that the message names, and restart"
    ),
    errors.Cause.SECRET_ALTERED: errors.sentence(
        "connect the account again: its secret was altered, or moved between rows"
    ),
}
"""What to do about a cause, whichever calendar shows it."""


def for_account(session: Session, account: models.Account) -> str:
    """What mends an account that does not work; empty for one that does."""
    if account.state == AccountState.DISCONNECTING:
        return errors.sentence(
            "watcher accounts disconnect %(email)s (it broke off)", email=account.email
        )
    if account.state == AccountState.PAUSED and account.cause == errors.Cause.USER_REMOVED:
        return errors.sentence(
            "enable %(user)s in ERPNext again, or watcher accounts disconnect %(email)s",
            user=account.erpnext_user or "",
            email=account.email,
        )
    if account.state == AccountState.PAUSED and account.cause == errors.Cause.WISHES_TO_LEAVE:
        return errors.sentence(
            "%(email)s asks to leave: talk about it, then watcher accounts disconnect %(email)s, "
            "or watcher accounts resume %(email)s",
            email=account.email,
        )
    if accounts.is_invited_in_desk(account) or (
        account.state == AccountState.NEEDS_RECONNECT and account.source == "erpnext"
    ):
        return _in_desk(session, account)
    if account.state != AccountState.NEEDS_RECONNECT:
        return ""
    if account.source == "service-account":
        return errors.sentence(
            "allow the mailbox in the Admin console, then watcher accounts resume %(email)s",
            email=account.email,
        )
    return f"watcher accounts invite {account.email}"


def _in_desk(session: Session, account: models.Account) -> str:
    desk, user = session.get(models.Fact, "desk_link"), account.erpnext_user or ""
    if accounts.is_invited_in_desk(account):
        said = errors.sentence("%(user)s authorises the Connected App in ERPNext", user=user)
    else:
        said = errors.sentence("%(user)s authorises the Connected App in ERPNext again", user=user)
    return errors.sentence("%(what)s: %(link)s", what=said, link=desk.value) if desk else said


def died_of_testing(account: models.Account) -> bool:
    """Google's refusal came just when a refresh token of an app in Testing ends."""
    if account.cause != "invalid_grant" or account.granted_at is None:
        return False
    return abs(account.since - account.granted_at - TESTING_LIFE) <= TESTING_SLACK


def may_be_a_wish(account: models.Account) -> bool:
    """The permission has ended, and the employee may have wanted it: ``invalid_grant`` is all that
    Google says when it was taken back. An account that was deleted or suspended looks the same."""
    ended = (account.state, account.cause) == (AccountState.NEEDS_RECONNECT, "invalid_grant")
    return ended and account.source != "service-account" and not died_of_testing(account)


def for_calendar(calendar: models.Calendar, account: models.Account) -> str:
    """What to do about a calendar whose last pass left something for a person, or failed."""
    if calendar.state == CalendarState.HELD and calendar.sweep_allowed is not None:
        return errors.counted(
            "nothing more: %(n)s row is confirmed, and the next pass does it",
            "nothing more: %(n)s rows are confirmed, and the next pass does it",
            calendar.sweep_allowed,
        )
    by_state = {
        CalendarState.HELD: errors.sentence(
            "watcher resync %(email)s --dry-run, then --force if that is right",
            email=account.email,
        ),
        CalendarState.GONE: f"watcher calendars remove {account.email} {calendar.google_id}",
    }
    known = calendar.step or STEPS.get(calendar.cause) or by_state.get(calendar.state)
    return known or of_cause(calendar.cause)


def of_cause(cause: str) -> str:
    """What to do about a cause, where nothing more is known."""
    return STEPS.get(cause) or errors.sentence("it is tried again by itself")
