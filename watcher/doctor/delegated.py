"""Google: the service account, and whether it may act for a mailbox."""

from __future__ import annotations

from contextlib import suppress

from watcher.doctor import say
from watcher.doctor.case import TIMEOUT, Case
from watcher.errors import LedgerAway, Permanent
from watcher.google import fetching
from watcher.google.delegation import ServiceAccount, console_line
from watcher.google.endpoints import LIST_SCOPES
from watcher.google.grants import Grant
from watcher.ledger import accounts
from watcher.services import delegation, endpoints

OLD_KEY_DAYS = 365


def service_account(case: Case) -> say.Finding:
    """The key of the service account can be used, and somebody may be acted for."""
    given = delegation(case.settings)
    if given.key is None:
        return say.skip(
            say.sentence("no service account is set: nobody can be connected by delegation")
        )
    if given.key.warnings:
        path = case.settings.google_service_account_file
        said = say.sentence("others can read the service account's key")
        return say.warn(said, f"chmod o-rwx {path}")
    if not case.settings.delegation_allow:
        return say.warn(
            say.sentence("the service account may act for nobody"),
            say.sentence("set WATCHER_DELEGATION_ALLOW to addresses or an @domain"),
        )
    if given.key.age_days > OLD_KEY_DAYS:
        return say.warn(
            say.counted(
                "the service account's key is %(n)s day old",
                "the service account's key is %(n)s days old",
                given.key.age_days,
            ),
            say.sentence(
                "make a new one in the Cloud console, put it in place of the file, delete the old "
                "one"
            ),
        )
    return say.ok(
        say.sentence(
            "%(account)s, for %(whom)s",
            account=given.key.client_email,
            whom=say.listed(case.settings.delegation_allow),
        )
    )


def delegated(case: Case) -> say.Finding:
    """Google lets the service account act for one mailbox, with our scope."""
    given = delegation(case.settings)
    address = _delegated_address(case)
    if given.key is None:
        return say.skip(say.sentence("no service account is set"))
    if not address:
        return say.skip(
            say.sentence(
                "no mailbox is known yet to try it with: name one in WATCHER_DELEGATION_ALLOW"
            )
        )
    source = fetching.TokenSource(
        endpoints=endpoints(case.settings), delegation=given, timeout=max(TIMEOUT)
    )
    try:
        source.fetch(Grant(source="service-account", email=address), lambda _token: None)
    except Permanent as error:
        return say.denied(error.message, _admin_line(case, given.key, error))
    return say.ok(say.sentence("Google lets it act for %(address)s", address=address))


def lists(case: Case) -> say.Finding:
    """Google tells which calendars people have, where the company wants to look for them."""
    if case.settings.find_calendars == "no":
        return say.skip(
            say.sentence("WATCHER_FIND_CALENDARS is no: nobody's list of calendars is asked for")
        )
    given, address = delegation(case.settings), _delegated_address(case)
    if given.key is not None and address:
        source = fetching.list_tokens(endpoints(case.settings), given, max(TIMEOUT))
        grant = Grant(source="service-account", email=address)
        try:
            source.fetch(grant, lambda _token: None)
        except Permanent as error:
            return say.denied(
                say.sentence(
                    "Google does not let the service account read the lists of people's calendars; "
                    "events are read all the same"
                ),
                _admin_line(case, given.key, error),
            )
    with case.made.db.reading() as session:
        consents = [a for a in accounts.everyone(session) if a.source == "oauth" and a.is_active]
    lacking = [a for a in consents if not LIST_SCOPES & accounts.granted(a)]
    if lacking:
        return say.warn(
            say.counted(
                "%(n)s consent (of %(all)s) does not cover the list of the employee's calendars; "
                "events are read all the same",
                "%(n)s consents (of %(all)s) do not cover the list of the employee's calendars; "
                "events are read all the same",
                len(lacking),
                all=len(consents),
            ),
            say.sentence(
                "whose calendars are wanted allows it on My connection, or by a new link: "
                "watcher accounts invite %(email)s",
                email=lacking[0].email,
            ),
        )
    return say.ok(say.sentence("the lists of people's calendars can be read"))


def _admin_line(case: Case, key: ServiceAccount, error: Permanent) -> str:
    if error.cause != "unauthorized_client":
        return error.next_step
    return console_line(key.client_id, endpoints(case.settings).delegated_scopes)


def _delegated_address(case: Case) -> str:
    """A mailbox to try delegation with: one that is connected so, or one that the settings name."""
    if case.services is not None:
        with suppress(LedgerAway), case.services.db.reading() as session:  # ledger.form tells that
            for account in accounts.everyone(session):
                if account.source == "service-account" and account.is_active:
                    return str(account.email)
    named = (each for each in case.settings.delegation_allow if not each.startswith("@"))
    return next(named, "")
