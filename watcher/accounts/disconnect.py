"""Disconnect an account: stop channels, revoke at Google, treat the mirrored events, purge.

Every step is safe to repeat, so that a run which broke off anywhere is finished by another one:
the admin's, or cron's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from watcher import errors
from watcher.channels.registry import stop_all
from watcher.erpnext import connected_app
from watcher.erpnext.events import EventMirror
from watcher.events.mapping import data_id
from watcher.events.model import Action, Cancel
from watcher.google.consent import revoke
from watcher.google.grants import Grant
from watcher.ledger import accounts, admins, audit, calendars, connect, leases
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.acts import What
from watcher.ledger.models import Account
from watcher.ledger.states import AccountState
from watcher.notices import media
from watcher.services import Services

log = logging.getLogger(__name__)

BY_EMPLOYEE = errors.Cause.BY_EMPLOYEE
ASKED = (errors.Cause.ASKED_BY_EMPLOYEE, BY_EMPLOYEE)
"""Of an account that is being disconnected because the employee wants it."""
BROKEN_OFF_AFTER = timedelta(minutes=5)
DRAIN_SECONDS, PULSE_SECONDS = 90.0, 20.0


def disconnect(
    services: Services,
    email: str,
    *,
    events: str,
    told: Callable[[str], None] = lambda _: None,
) -> None:
    """Stop channels, revoke at Google, purge the credential, treat the mirrored events.

    ``events`` is ``keep``, ``cancel`` or ``delete``. Each step is safe to repeat, so a run that
    broke off is finished by running it again.
    """
    account, mirrored = begin(services, email, events)
    told("waiting for a sync that is under way")
    drain(services, [number for number, _ in mirrored])
    told("stopping Google's notifications")
    try:
        stop_all(services, account)
    except (errors.AccountDead, errors.Permanent) as error:
        log.warning("channels are left to expire: %s", error.message)
    if not _goes_on(services, email):
        return
    told("revoking the permission")
    _revoke(services, account)
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state != AccountState.DISCONNECTING:
            return
        account.refresh_token = account.access_token = account.access_expires_at = None
    told(f"events in ERPNext: {events}")
    of_account = Calendars(account.email, [google_id for _, google_id in mirrored])
    treat_events(services, of_account, events, _pulse(services, account.email))
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state != AccountState.DISCONNECTING:
            return
        account.full_name = account.employee = ""
        account.google_sub = None  # who gets this address, or this person another, starts afresh
        # Once more: a refresh that was under way may have ended after the purge.
        account.access_token = account.access_expires_at = None
        for calendar in calendars.of_account(session, account.id):
            calendar.removed = True
            calendar.sync_token = None
            calendar.last_snapshot_at = None
        now = services.clock()
        account.chosen_event_type = account.chosen_private_events = account.informed_at = None
        accounts.set_state(account, AccountState.DISCONNECTED, account.cause, now)
        audit.record(session, _act(What.ACCOUNT_DISCONNECTED, account), now)


def _act(what: What, account: Account) -> audit.Act:
    return audit.Act(what, account.email, {"events": account.on_disconnect})


def begin(services: Services, email: str, events: str) -> tuple[Account, list[tuple[int, str]]]:
    """The first step: from now on nothing is begun for the account, and its links lead nowhere.
    What follows, ``disconnect`` does, or ``finish`` where nobody else has done it. Returns the
    account, and number and Google's id of its calendars. Raises ``UserError``."""
    with services.db.session() as session:
        account = accounts.get(session, email)
        if account.state == AccountState.DISCONNECTED:
            raise errors.UserError(
                errors.sentence("%(email)s is disconnected already", email=account.email)
            )
        goes_on = account.state == AccountState.DISCONNECTING and account.on_disconnect == events
        account.on_disconnect = events
        is_asked = account.state == AccountState.DISCONNECTING and account.cause in ASKED
        cause = BY_EMPLOYEE if is_asked else errors.Cause.BY_ADMIN
        accounts.set_state(account, AccountState.DISCONNECTING, cause, services.clock())
        if not goes_on:
            audit.record(session, _act(What.ACCOUNT_DISCONNECT, account), services.clock())
        connect.end_invitations(session, account.id, services.clock())
        mirrored = [(c.id, c.google_id) for c in calendars.of_account(session, account.id)]
    return account, mirrored


def _goes_on(services: Services, email: str) -> bool:
    """False when another run was at it too and has finished: by now the account may be connected
    again."""
    with services.db.reading() as session:
        return accounts.get(session, email).state == AccountState.DISCONNECTING


def drain(services: Services, calendar_ids: Sequence[int]) -> None:
    """Wait for syncs of these calendars that are under way. They give up by themselves once nobody
    wants them, and none is begun any more: who takes a lease looks again whether he may.

    Raises ``Elsewhere`` when one does not end; a killed worker's lease lapses after a minute.
    """
    deadline = time.monotonic() + DRAIN_SECONDS
    for calendar_id in calendar_ids:
        while not _is_free(services, calendar_id):
            if time.monotonic() > deadline:
                raise errors.Elsewhere(
                    errors.sentence("a sync is still at work"),
                    next_step=errors.sentence("run it again in a minute"),
                )
            time.sleep(0.2)


def _is_free(services: Services, calendar_id: int) -> bool:
    with services.db.session() as session:
        lease = leases.take_calendar(session, calendar_id, services.owner)
        if lease is not None:
            leases.release_calendar(session, lease)
    return lease is not None


def _pulse(services: Services, email: str) -> Callable[[], None]:
    """Tells cron, now and then, that this run has not broken off."""
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > PULSE_SECONDS:
            with services.db.session() as session:
                accounts.still_disconnecting(session, email, services.clock())
            last = time.monotonic()

    return alive


def _revoke(services: Services, account: Account) -> None:
    if account.source == "service-account":
        return  # the Workspace admin ends a delegation, in Google's Admin console
    grant = LedgerTokens(services.db, services.keyring).grant(account.id)
    token = grant.refresh_token or grant.access_token
    if account.source == "erpnext":
        token = _token_of_desk(services, grant) or token
    if token is not None:
        revoke(token, services.settings.google_revoke_url)
    if account.source == "erpnext":
        _purge_desk(services, account)


def _token_of_desk(services: Services, grant: Grant) -> str | None:
    """None when Frappe holds nothing (any more) that could be revoked."""
    try:
        return services.desk_token(grant.desk_user)
    except errors.Transient:
        raise
    except errors.WatcherError as error:
        log.info("nothing to revoke in ERPNext: %s", error.message)
        return None


def _purge_desk(services: Services, account: Account) -> None:
    """What Frappe kept is dead now; left there, it would be taken for an authorisation."""
    user = account.erpnext_user or account.email
    try:
        connected_app.forget(services.erpnext, services.desk_app(), user)
    except errors.Transient:
        raise
    except errors.WatcherError as error:
        log.warning("the Token Cache row of %s stays in ERPNext: %s", user, error.message)


@dataclass(frozen=True, slots=True)
class Calendars:
    """Calendars of an account, by Google's ids."""

    email: str
    google_ids: Sequence[str]


def treat_events(
    services: Services,
    mirrored: Calendars,
    events: str,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """``keep``, ``cancel`` or ``delete`` what is mirrored of these calendars. ``alive`` is called
    before each request that writes.

    Raises ``WatcherError`` when ERPNext refuses some of them; repeat it then.
    """
    if events == "keep":
        return
    mirror = EventMirror(services.erpnext, delete_cancelled=events == "delete")
    refused = 0
    for google_id in mirrored.google_ids:
        held = mirror.rows_of_calendar(data_id(mirrored.email), data_id(google_id))
        actions: list[Action] = [
            Cancel(name=row.name, key=row.key, event_id=row.event_id, reason="disconnected")
            for row in held
            if events == "delete" or not row.is_cancelled
        ]
        refused += len(mirror.apply(actions, before_batch=alive).refused)
    if refused:
        raise errors.WatcherError(
            f"ERPNext refused to change {refused} events",
            next_step="run the same command again, or leave them in ERPNext: --events keep",
            exit_code=errors.ExitCode.PARTLY,
        )


def finish(services: Services) -> int:
    """Go on with disconnections that broke off, and do those that employees have asked for; returns
    how many were finished."""
    before = services.clock() - BROKEN_OFF_AFTER
    with services.db.reading() as session:
        pending = [
            (account.email, account.on_disconnect)
            for account in accounts.disconnecting_since(session, before)
        ]
    return sum(
        errors.contained(partial(_go_on, services, email, events), partial(_not_yet, email))
        for email, events in pending
    )


def _go_on(services: Services, email: str, events: str) -> bool:
    disconnect(services, email, events=events)
    with services.db.reading() as session:
        account = accounts.get(session, email)
    if (account.state, account.cause) == (AccountState.DISCONNECTED, BY_EMPLOYEE):
        for medium in media.configured(services.settings):
            errors.contained(partial(_tell_admins, services, account, medium), _not_told)
    return True


def _tell_admins(services: Services, account: Account, medium: str) -> None:
    subject = errors.sentence(
        "Watcher: %(email)s has disconnected the own calendar", email=account.email
    )
    text = errors.sentence(
        "%(email)s has disconnected the own calendar, on My connection. The permission is taken "
        "back at Google, and nothing more is read. The mirrored events: %(events)s "
        "(WATCHER_LEAVING_EVENTS). There is nothing to do.",
        email=account.email,
        events=account.on_disconnect,
    )
    with services.db.reading() as session:
        languages = admins.languages(session, services.settings.admin_emails)
    told = media.Told(subject=subject, text=text)
    media.send(services.settings, medium, told, languages)


def _not_told(error: errors.WatcherError) -> None:
    """It is in the audit trail all the same."""
    log.warning("the admins are not told of a disconnection: %s", error.message)


def _not_yet(email: str, error: errors.WatcherError) -> bool:
    log.warning("%s is not disconnected yet: %s", email, error.message)
    return False
