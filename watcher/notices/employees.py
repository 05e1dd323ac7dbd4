"""What employees are told: to connect in ERPNext, or again, by a ToDo with the way; and, once, that
their calendar is mirrored by delegation.

A permission that Google has ended without another reason may be one that the employee has taken
back. That is taken for a wish: the admins are told, and nobody is asked to connect again.
"""

from __future__ import annotations

import logging
from functools import partial

from watcher.erpnext import todos
from watcher.erpnext.connected_app import desk_link
from watcher.errors import Cause, ErpRefused, WatcherError, contained
from watcher.ledger import accounts, choices, connect, steps
from watcher.ledger import erpnext as known_site
from watcher.ledger.models import Account
from watcher.ledger.notices import Notice
from watcher.ledger.states import AccountState
from watcher.notices import media, words
from watcher.notices.decide import Trouble
from watcher.services import Services

log = logging.getLogger(__name__)

MOST_AT_ONCE = 50
"""So many employees are told in one run, of the many that an import brings."""


def to_invite(services: Services) -> list[Trouble]:
    """Who has to consent in ERPNext first: no problem of anybody's, and told as if it were one."""
    with services.db.reading() as session:
        return [
            Trouble(
                account=account.email,
                calendar=None,
                state=AccountState.INVITED,
                cause=Cause.NO_REFRESH_TOKEN,
                text="",
                step=steps.for_account(session, account),
            )
            for account in accounts.invited_in_desk(session)
        ]


def who_can_mend(services: Services, notice: Notice) -> Account | None:
    """Who is to be asked to do it himself. A delegation is the admins' to mend; without an
    ERPNext user there is nobody to give a ToDo to; and what may be a wish is respected."""
    asked = (AccountState.NEEDS_RECONNECT, AccountState.INVITED)
    if notice.state not in asked or notice.account_id is None:
        return None
    with services.db.reading() as session:
        account = session.get_one(Account, notice.account_id)
    own = account.source != "service-account" and account.erpnext_user is not None
    return account if own and not steps.may_be_a_wish(account) else None


def ask(services: Services, notice: Notice) -> str | None:
    """A ToDo with the link to connect; its name."""
    account = who_can_mend(services, notice)
    if account is None or account.erpnext_user is None:
        return None
    how = _how_to_connect(services, account)
    if notice.state == AccountState.INVITED:
        text = _invited(services, account, how).todo(notice.id)
    else:
        text = words.for_employee(notice.id, words.Again(notice.cause, how, account.language))
    todo = todos.ToDo(user=account.erpnext_user, text=text, marker=words.marker(notice.id))
    return todos.put(services.erpnext, todo, notice.todo)


def _invited(services: Services, account: Account, how: str) -> words.Invited:
    with services.db.reading() as session:
        company = known_site.company(session, services.settings)
    seen = choices.seen(services.settings, account)
    return words.Invited(company=company, seen=seen, how=how, language=account.language)


def _how_to_connect(services: Services, account: Account) -> str:
    if account.source == "erpnext":
        link = desk_link(services.settings.erpnext_url, services.desk_app())
        return words.by_desk(link, account.language)
    if not services.settings.public_url or not services.settings.google_client_id:
        return words.no_link(account.language)
    with services.db.session() as session:
        invitation = connect.lasting_invitation(session, account.id, services.clock())
    link = connect.sign_link(services.keyring, services.settings, invitation, account.email)
    return words.by_link(link, account.language)


# --- delegation ---------------------------------------------------------------------------


def inform(services: Services) -> int:
    """Tell each whose calendar is mirrored by delegation, once: what is copied, who sees it, and
    whom to ask. Returns how many were told."""
    with services.db.reading() as session:
        new = accounts.to_inform(session, MOST_AT_ONCE)
    told = 0
    for account in new:
        done = contained(partial(_tell_once, services, account), partial(_not_told, account))
        if done is None:
            break  # what this one met, the next one would meet as well
        with services.db.session() as session:
            session.get_one(Account, account.id).informed_at = services.clock()
        told += done
    return told


def _tell_once(services: Services, account: Account) -> int | None:
    """1 when it is told, 0 when there is no way to tell it."""
    settings = services.settings
    with services.db.reading() as session:
        company = known_site.company(session, settings)
    of = words.Mirrored(
        company=company,
        seen=choices.seen(settings, account),
        page=f"{settings.public_url}/me" if _has_page(services) else "",
        ask=", ".join(settings.admin_emails),
        language=account.language,
    )
    if account.erpnext_user is not None:
        text, marker = of.todo(account.id), words.mirrored_marker(account.id)
        todo = todos.ToDo(user=account.erpnext_user, text=text, marker=marker, priority="Low")
        todos.put(services.erpnext, todo)
    elif settings.smtp_url.get_secret_value():
        mail = media.Mail(
            sender=media.sender(settings),
            recipients=(account.email,),
            subject=of.subject,
            text=of.text,
        )
        media.send_mail(media.Mailbox.parse(settings.smtp_url.get_secret_value()), mail)
    else:
        log.warning("%s is not told: no user in ERPNext, and no mail server", account.email)
        return 0
    return 1


def _has_page(services: Services) -> bool:
    return bool(services.settings.public_url and services.settings.google_client_id)


def _not_told(account: Account, error: WatcherError) -> int | None:
    """None where it is to be tried again later."""
    refused = isinstance(error, ErpRefused)
    log.warning("%s is not told%s: %s", account.email, "" if refused else " yet", error.message)
    return 0 if refused else None
