"""Employees are invited to connect, one or many at once, and reminded.

Each gets a personal link, which goes out by mail, into a file for a mail merge, or to the admin's
screen. What is wrong with one address stops no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from watcher import errors
from watcher.accounts import users, verbs
from watcher.accounts.rounds import Act, Answer, Guest
from watcher.languages import catalogs, names
from watcher.languages.sentence import sentence
from watcher.ledger import accounts, audit, choices, connect, people
from watcher.ledger.acts import What
from watcher.ledger.models import Account, Invitation
from watcher.ledger.states import AccountState
from watcher.notices import invitation, media
from watcher.notices.media import Postman as Postman
from watcher.services import Services

LATELY = timedelta(hours=20)
"""Nobody is reminded twice within this time, so that cron or a second click does no harm."""


@dataclass(frozen=True, slots=True)
class How:
    """``asker`` is the admin's address, as the mail names it. Without a ``postman`` the links are
    for the caller. ``reminds``: the links that are open are sent again."""

    asker: str = ""
    postman: Postman | None = None
    reminds: bool = False


def postman(services: Services) -> Postman:
    """Raises ``UserError`` where no mail server is set."""
    url = services.settings.smtp_url.get_secret_value()
    if not url:
        raise errors.UserError(
            sentence("no mail server is set, so that Watcher cannot send mail"),
            next_step=sentence(
                "set WATCHER_SMTP_URL, or write the links for a mail merge: --csv FILE"
            ),
        )
    return Postman(media.Mailbox.parse(url))


def waiting(services: Services) -> list[Guest]:
    """Who was invited and has not connected."""
    with services.db.reading() as session:
        invited = people.Search(state=AccountState.INVITED)
        return [Guest(email) for email in people.emails(session, invited)]


def act(services: Services, how: How) -> Act:
    """What is done for each guest: to invite, or to remind. It raises the errors of
    ``watcher.errors``, which ``Round`` takes."""
    return partial(_remind if how.reminds else _invite, services, how)


def _invite(services: Services, how: How, guest: Guest) -> Answer:
    address = accounts.normal(guest.email)
    left = _left_as_it_is(services, address, how)
    if left:
        audit.nothing()
        return Answer(address, left)
    with services.db.reading() as session:
        known = accounts.find(session, address)
        again = known is not None and known.state == AccountState.NEEDS_RECONNECT
    verbs.invite(services, address, erpnext_user=guest.erpnext_user, invited_by=how.asker)
    return _deliver(services, address, how, again=again)


def _left_as_it_is(services: Services, address: str, how: How) -> str:
    with services.db.reading() as session:
        known = accounts.find(session, address)
        if known is None:
            return ""
        if known.is_active:
            return sentence("left as it is: connected already")
        if known.state == AccountState.NEEDS_RECONNECT and known.source != "oauth":
            return sentence(
                "left as it is: connected by %(source)s, which an admin has to mend",
                source=known.source,
            )
        if known.state == AccountState.PAUSED:
            command = f"watcher accounts resume {address}"
            return sentence("left as it is: paused (%(command)s)", command=command)
        link = people.invitations(session, [known.id]).get(known.id)
    now = services.clock()
    if how.postman and link and link.mailed_at and link.ends_at > now:
        day = f"{link.mailed_at:%Y-%m-%d}"
        return sentence(
            "left as it is: the link was mailed on %(day)s and still works (remind to mail it)",
            day=day,
        )
    return ""


def _remind(services: Services, how: How, guest: Guest) -> Answer:
    with services.db.reading() as session:
        account = accounts.get(session, accounts.normal(guest.email))
        link = people.invitations(session, [account.id]).get(account.id)
    again = account.state == AccountState.NEEDS_RECONNECT and account.source == "oauth"
    if account.state != AccountState.INVITED and not again:
        audit.nothing()
        text = sentence("left as it is: %(state)s", state=names.named(account.state))
        return Answer(account.email, text)
    if accounts.is_invited_in_desk(account):
        audit.nothing()
        return Answer(account.email, sentence("left as it is: asked by a ToDo in ERPNext"))
    mailed_at, now = link.mailed_at if link else None, services.clock()
    if how.postman and mailed_at and now - LATELY < mailed_at:
        audit.nothing()
        time = f"{mailed_at:%H:%M}"
        text = sentence("left as it is: mailed at %(time)s UTC", time=time)
        return Answer(account.email, text)
    return _deliver(services, account.email, how, again=again)


def _deliver(services: Services, address: str, how: How, *, again: bool) -> Answer:
    """The open link of the account, by mail or into the answer."""
    now = services.clock()
    with services.db.reading() as session:
        account = accounts.get(session, address)
    if how.postman and account.erpnext_user and not account.full_name:
        users.learn_names(services, [account.erpnext_user])
    with services.db.session() as session:
        account = accounts.get(session, address)
        number = connect.lasting_invitation(session, account.id, now)
        ends_at = session.get_one(Invitation, number).expires_at
        link = connect.sign_link(services.keyring, services.settings, number, address)
    if how.postman is None:
        return Answer(address, sentence("invited"), link=link, ends_at=ends_at)
    how.postman.send(_mail(services, account, how, _Letter(link, ends_at, again)))
    with services.db.session() as session:
        session.get_one(Invitation, number).mailed_at = now
        audit.record(session, audit.Act(What.ACCOUNT_MAIL, address), now)
    text = sentence("reminded by mail") if how.reminds else sentence("invited by mail")
    return Answer(address, text)


@dataclass(frozen=True, slots=True)
class _Letter:
    link: str = field(repr=False)
    ends_at: datetime
    again: bool


def _mail(services: Services, account: Account, how: How, letter: _Letter) -> media.Mail:
    settings, words = services.settings, catalogs.words(account.language)
    of = invitation.Invitation(
        email=account.email,
        name=account.full_name,
        asker=how.asker,
        link=letter.link,
        ends_at=letter.ends_at,
        seen=choices.seen(settings, account),
        again=letter.again,
        reminds=how.reminds,
    )
    return media.Mail(
        sender=media.sender(settings),
        recipients=(account.email,),
        subject=invitation.subject(of, words),
        text=invitation.body(of, settings, words),
        reply_to=how.asker,
    )
