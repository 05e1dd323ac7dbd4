"""Google: one real look at a calendar, and what employees have consented to."""

from __future__ import annotations

from datetime import UTC, datetime

from watcher.doctor import say
from watcher.doctor.case import Case
from watcher.google.client import Patience
from watcher.google.endpoints import CALENDAR_SCOPES
from watcher.ledger import accounts, calendars, models, states, steps

_APPS = "https://admin.google.com/ac/owl/list?tab=configuredApps"
_QUICK = Patience(timeout=2.5, retries=0)


def calendar(case: Case) -> say.Finding:
    """One calendar can be read: the API is on, and the grant and its scope suffice."""
    found = _one_calendar(case)
    if found is None:
        return say.skip(say.sentence("nobody is connected yet"))
    account, google_id = found
    case.made.google(account.id, account.email, "poll", _QUICK).prove(google_id)
    return say.ok(say.sentence("one calendar was read"))


def _one_calendar(case: Case) -> tuple[models.Account, str] | None:
    with case.made.db.reading() as session:
        for account in accounts.everyone(session):
            mirrored = calendars.of_account(session, account.id) if account.is_active else ()
            for each in mirrored:
                return account, each.google_id
    return None


def grants(case: Case) -> say.Finding:
    """What employees have consented to, and whether their consents last."""
    with case.made.db.reading() as session:
        everyone = list(accounts.everyone(session))
    if any(
        steps.died_of_testing(a) for a in everyone if a.state == states.AccountState.NEEDS_RECONNECT
    ):
        return say.denied(steps.TESTING, "https://console.cloud.google.com/auth/audience")
    blocked = [a for a in everyone if a.cause == "admin_policy_enforced" and not a.is_active]
    if blocked:
        client = case.settings.google_client_id or say.sentence("of the service account")
        return say.denied(
            say.counted(
                "the Workspace admin's API controls block %(n)s account",
                "the Workspace admin's API controls block %(n)s accounts",
                len(blocked),
            ),
            say.sentence("set the client %(client)s to Trusted: %(url)s", client=client, url=_APPS),
        )
    consented = [a for a in everyone if a.source == "oauth" and a.is_active and accounts.granted(a)]
    narrow = [a for a in consented if not CALENDAR_SCOPES & accounts.granted(a)]
    if narrow:
        return say.denied(
            say.counted(
                "%(n)s employee did not tick the box for the calendar",
                "%(n)s employees did not tick the box for the calendar",
                len(narrow),
            ),
            f"watcher accounts invite {narrow[0].email}",
        )
    if not consented:
        return say.skip(say.sentence("nobody has connected by consent"))
    first = min((a.granted_at for a in consented if a.granted_at), default=datetime.now(UTC))
    return say.ok(
        say.counted(
            "%(n)s consent holds, since %(day)s",
            "%(n)s consents hold, the oldest since %(day)s",
            len(consented),
            day=first.date(),
        )
    )
