"""What a person can do about a cause, and about an account that does not work."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from watcher.errors import Cause
from watcher.languages.sentence import counted
from watcher.ledger import accounts, models
from watcher.ledger.states import AccountState, CalendarState

TESTING_LIFE, TESTING_SLACK = timedelta(days=7), timedelta(hours=12)
"""How long a refresh token lives when the OAuth app is External and in Testing
(https://support.google.com/cloud/answer/15549945)."""
TESTING = (
    "The grant ended 7 days after the consent, as it does while the OAuth app is External and in "
    "Testing. Make it Internal or publish it (docs/google.md), else every account ends so."
)
MAY_BE_A_WISH = (
    "Google has ended the permission and says no more; most often the employee has removed Watcher "
    "in the Google account. Nobody is asked to connect again: talk about it. If it was a wish, "
    "disconnect the account; else send a connect link"
)
_RESTART = "; after a change restart Watcher"
_CLIENT = (
    "look at the OAuth client in the Google Cloud console (a deleted one can be restored for 30 "
    f"days), WATCHER_GOOGLE_CLIENT_ID and WATCHER_GOOGLE_CLIENT_SECRET{_RESTART}"
)
_KEY = "make a new key for the service account, WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE"
_API = "enable the Google Calendar API in the Cloud project"
_SERVICE_OFF = (
    "turn Google Calendar on for this person (Admin console > Apps > Google Workspace > Calendar)"
)
STEPS = {
    Cause.MISSING_FIELDS: "watcher erpnext setup",
    Cause.AUTH: f"check WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET{_RESTART}",
    Cause.PERMISSION: "watcher erpnext setup (names the missing permission)",
    Cause.NO_SITE: f"check WATCHER_ERPNEXT_URL{_RESTART}",
    Cause.ERPNEXT_UNAVAILABLE: "see that ERPNext answers (WATCHER_ERPNEXT_URL); it is tried again "
    "by itself",
    Cause.REDIRECTED: f"check WATCHER_ERPNEXT_URL{_RESTART}",
    Cause.API_USER_ADMINISTRATOR: "make a user of its own for Watcher with the role System "
    "Manager, and set WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET to its key",
    "deleted_client": _CLIENT,
    "invalid_client": _CLIENT,
    "disabled_client": _CLIENT,
    Cause.SERVICE_ACCOUNT_KEY: _KEY,
    Cause.NO_SERVICE_ACCOUNT: _KEY,
    "access_not_configured": _API,
    Cause.NOT_A_CALENDAR_USER: _SERVICE_OFF,
    Cause.NO_OWN_CALENDAR: f"{_SERVICE_OFF}, and check the address",
    Cause.NO_CONNECTED_APP: "watcher erpnext setup --connected-app",
    "insufficient_permissions": "the account has to be connected again, with the box for the "
    "calendar ticked",
    "service_disabled": _API,
    "project_suspended": "look at the Cloud project in the Google Cloud console: it is suspended "
    "or deleted, or its billing is off; what failed goes on by itself",
    Cause.KEY_MISSING: "put the old key back into WATCHER_SECRET_KEYS",
    Cause.INTERNAL_ERROR: "this is a defect of Watcher's own: report it, with the log's "
    "traceback; it is tried again by itself",
    Cause.SETTINGS: "correct the setting that the message names, and restart",
    Cause.SECRET_ALTERED: "connect the account again: its secret was altered, or moved "
    "between rows",
}
"""What to do about a cause, whichever calendar shows it."""


def for_account(session: Session, account: models.Account) -> str:
    """What mends an account that does not work; empty for one that does."""
    if account.state == AccountState.DISCONNECTING:
        return f"watcher accounts disconnect {account.email} (it broke off)"
    if account.state == AccountState.PAUSED and account.cause == Cause.USER_REMOVED:
        return (
            f"enable {account.erpnext_user} in ERPNext again, or "
            f"watcher accounts disconnect {account.email}"
        )
    if account.state == AccountState.PAUSED and account.cause == Cause.WISHES_TO_LEAVE:
        return (
            f"{account.email} asks to leave: talk about it, then "
            f"watcher accounts disconnect {account.email}, or "
            f"watcher accounts resume {account.email}"
        )
    if accounts.is_invited_in_desk(account) or (
        account.state == AccountState.NEEDS_RECONNECT and account.source == "erpnext"
    ):
        desk = session.get(models.Fact, "desk_link")
        again = "" if accounts.is_invited_in_desk(account) else " again"
        where = f": {desk.value}" if desk else ""
        return f"{account.erpnext_user} authorises the Connected App in ERPNext{again}{where}"
    if account.state != AccountState.NEEDS_RECONNECT:
        return ""
    return {
        "oauth": f"watcher accounts invite {account.email}",
        "service-account": "allow the mailbox in the Admin console, then "
        f"watcher accounts resume {account.email}",
    }[account.source]


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
        return counted(
            "nothing more: %(n)s row is confirmed, and the next pass does it",
            "nothing more: %(n)s rows are confirmed, and the next pass does it",
            calendar.sweep_allowed,
        )
    by_state = {
        CalendarState.HELD: f"watcher resync {account.email} --dry-run, then --force if that is "
        "right",
        CalendarState.GONE: f"watcher calendars remove {account.email} {calendar.google_id}",
    }
    known = calendar.step or STEPS.get(calendar.cause) or by_state.get(calendar.state)
    return known or "it is tried again by itself"
