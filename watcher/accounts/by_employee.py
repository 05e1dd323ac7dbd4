"""What an employee does with the own account: pause, go on, disconnect, choose more privacy.

What an admin has decided stays: an admin's pause is not ended here, and a choice only ever shows
less than the admin's.
"""

from __future__ import annotations

from watcher import errors
from watcher.accounts.revive import revive
from watcher.ledger import accounts, audit, calendars, choices, connect, owing
from watcher.ledger.states import HAD_A_GRANT, AccountState
from watcher.services import Services


def pause(services: Services, email: str) -> bool:
    """Nothing is read until the employee goes on. False when the account does not work anyway."""
    return _pause(services, email, errors.Cause.BY_EMPLOYEE, audit.What.ACCOUNT_PAUSE)


def _pause(services: Services, email: str, cause: errors.Cause, what: audit.What) -> bool:
    with services.db.session() as session:
        account, now = accounts.get(session, email), services.clock()
        if not account.is_active and not account.is_paused_by_employee:
            return False
        accounts.set_state(account, AccountState.PAUSED, cause, now)
        audit.record(session, audit.Act(what, account.email, {"cause": cause}), now)
    return True


def resume(services: Services, email: str) -> bool:
    """Go on after a pause of one's own. False when it is somebody else's. Raises ``AccountDead``
    (the permission has ended meanwhile, which is noted), ``AppDead``, ``Transient``."""
    with services.db.reading() as session:
        account = accounts.get(session, email)
    if not account.is_paused_by_employee:
        return False
    revive(services, account.id)
    return True


def leave(services: Services, email: str) -> bool:
    """Disconnect. Who has consented is disconnected by cron within a minute, with the events
    treated as ``WATCHER_LEAVING_EVENTS`` says. A delegation is the company's to end: the account
    is paused at once, and the admins are told of the wish. False when it is under way already."""
    what = audit.What.ACCOUNT_DISCONNECT
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state not in HAD_A_GRANT:
            return False
        if account.source != "service-account":
            account.on_disconnect = services.settings.leaving_events
            cause, now = errors.Cause.ASKED_BY_EMPLOYEE, services.clock()
            accounts.set_state(account, AccountState.DISCONNECTING, cause, now)
            connect.end_invitations(session, account.id, now)
            act = audit.Act(what, account.email, {"events": account.on_disconnect})
            audit.record(session, act, now)
            return True
    return _pause(services, email, errors.Cause.WISHES_TO_LEAVE, what)


def choose(services: Services, email: str, wanted: choices.Choice) -> bool:
    """What others see from now on; what is mirrored follows at once. False when it would show more
    than the admin's choice does, or is what holds already."""
    settings = services.settings
    with services.db.session() as session:
        account = accounts.get(session, email)
        before = choices.effective(settings, choices.Wishes.of(account))
        basis = choices.by_admin(settings, choices.Wishes.of(account))
        account.chosen_event_type = _beyond(choices.TYPES, basis.event_type, wanted.event_type)
        account.chosen_private_events = _beyond(
            choices.PRIVATE, basis.private_events, wanted.private_events
        )
        after = choices.effective(settings, choices.Wishes.of(account))
        if after == before:
            return False
        chosen = {"event_type": after.event_type, "private_events": after.private_events}
        act = audit.Act(audit.What.ACCOUNT_SET, account.email, chosen)
        audit.record(session, act, services.clock())
        mirrored = [calendar.id for calendar in calendars.of_account(session, account.id)]
        owing.owe_listings(session, mirrored, "policy", services.clock())
        active = account.is_active
    if active:
        services.ring_all(mirrored, "backfill", "policy")
    return True


def _beyond(scale: tuple[str, ...], basis: str, wanted: str) -> str | None:
    """A wish that shows less than ``basis``. What is just the admin's choice, or shows more, is
    no wish: it would outlast a change of the admin's mind."""
    return wanted if wanted in choices.at_least(scale, basis)[1:] else None
