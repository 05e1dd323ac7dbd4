"""Employees are invited to connect, one or many at once, and reminded.

Each gets a personal link, which goes out by mail, into a file for a mail merge, or to the admin's
screen. What is wrong with one address stops no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from watcher import errors
from watcher.accounts import users, verbs
from watcher.ledger import accounts, connect, people
from watcher.ledger.models import Account, Invitation
from watcher.ledger.states import AccountState
from watcher.notices import invitation, media
from watcher.services import Services

LATELY = timedelta(hours=20)
"""Nobody is reminded twice within this time, so that cron or a second click does no harm."""
ENOUGH = 3
"""So many in a row that a side did not answer for: the others are not tried."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is to be invited, as somebody wrote it."""

    email: str
    erpnext_user: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one guest; ``code`` is an exit code. ``link`` is a secret; there is none
    where nothing was made, and none to be shown where it went out by mail."""

    email: str
    text: str
    code: int = 0
    link: str = field(default="", repr=False)
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class How:
    """``asker`` is the admin's address, as the mail names it. Without a ``postman`` the links are
    for the caller. ``reminds``: the links that are open are sent again."""

    asker: str = ""
    postman: media.Postman | None = None
    reminds: bool = False


def postman(services: Services) -> media.Postman:
    """Raises ``UserError`` where no mail server is set."""
    url = services.settings.smtp_url.get_secret_value()
    if not url:
        raise errors.UserError(
            "no mail server is set, so that Watcher cannot send mail",
            next_step="set WATCHER_SMTP_URL, or write the links for a mail merge: --csv FILE",
        )
    return media.Postman(media.Mailbox.parse(url))


def waiting(services: Services) -> list[Guest]:
    """Who was invited and has not connected."""
    with services.db.reading() as session:
        invited = people.Search(state=AccountState.INVITED)
        return [Guest(email) for email in people.emails(session, invited)]


class Round:
    """Guests are invited, or reminded, one after the other, as long as ``goes_on`` says so: who
    comes later is answered that nothing was tried, and so is everybody after a side has not
    answered ``ENOUGH`` times in a row."""

    def __init__(
        self, services: Services, how: How, goes_on: Callable[[], bool] = lambda: True
    ) -> None:
        self._services, self._how, self._goes_on = services, how, goes_on
        self._in_a_row = 0

    def answer(self, guest: Guest) -> Answer:
        """What becomes of this guest; raises nothing of ``watcher.errors``."""
        if self._in_a_row >= ENOUGH:
            return Answer(guest.email, NOT_TRIED, errors.ExitCode.UNAVAILABLE)
        if not self._goes_on():
            return Answer(guest.email, NOT_YET, errors.ExitCode.PARTLY)
        invite = _remind if self._how.reminds else _invite
        return errors.contained(
            partial(self._answered, invite, guest), partial(self._refused, guest)
        )

    def _answered(self, invite: Callable[..., Answer], guest: Guest) -> Answer:
        answer = invite(self._services, guest, self._how)
        self._in_a_row = 0
        return answer

    def _refused(self, guest: Guest, error: errors.WatcherError) -> Answer:
        text = f"{error.message} ({error.next_step})" if error.next_step else error.message
        away = isinstance(error, errors.Transient) and not isinstance(error, media.NotTaken)
        self._in_a_row = self._in_a_row + 1 if away else 0
        return Answer(guest.email, text, error.exit_code)


NOT_YET = "not yet: the time for one request was up"
NOT_TRIED = "not tried: what failed for those before would fail again"


def _invite(services: Services, guest: Guest, how: How) -> Answer:
    address = accounts.normal(guest.email)
    left = _left_as_it_is(services, address, how)
    if left:
        return Answer(address, left)
    with services.db.reading() as session:
        known = accounts.find(session, address)
        again = known is not None and known.state == AccountState.NEEDS_RECONNECT
    verbs.invite(services, address, erpnext_user=guest.erpnext_user)
    return _deliver(services, address, how, again=again)


def _left_as_it_is(services: Services, address: str, how: How) -> str:
    with services.db.reading() as session:
        known = accounts.find(session, address)
        if known is None:
            return ""
        if known.is_active:
            return "left as it is: connected already"
        if known.state == AccountState.NEEDS_RECONNECT and known.source != "oauth":
            return f"left as it is: connected by {known.source}, which an admin has to mend"
        if known.state == AccountState.PAUSED:
            return f"left as it is: paused (watcher accounts resume {address})"
        link = people.invitations(session, [known.id]).get(known.id)
    now = services.clock()
    if how.postman and link and link.mailed_at and link.ends_at > now:
        day = f"{link.mailed_at:%Y-%m-%d}"
        return f"left as it is: the link was mailed on {day} and still works (remind to mail it)"
    return ""


def _remind(services: Services, guest: Guest, how: How) -> Answer:
    with services.db.reading() as session:
        account = accounts.get(session, accounts.normal(guest.email))
        link = people.invitations(session, [account.id]).get(account.id)
    again = account.state == AccountState.NEEDS_RECONNECT and account.source == "oauth"
    if account.state != AccountState.INVITED and not again:
        return Answer(account.email, f"left as it is: {account.state.replace('_', ' ')}")
    mailed_at, now = link.mailed_at if link else None, services.clock()
    if how.postman and mailed_at and now - LATELY < mailed_at:
        return Answer(account.email, f"left as it is: mailed at {mailed_at:%H:%M} UTC")
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
        return Answer(address, "invited", link=link, ends_at=ends_at)
    how.postman.send(_mail(services, account, how, _Letter(link, ends_at, again)))
    with services.db.session() as session:
        session.get_one(Invitation, number).mailed_at = now
    return Answer(address, "reminded by mail" if how.reminds else "invited by mail")


@dataclass(frozen=True, slots=True)
class _Letter:
    link: str = field(repr=False)
    ends_at: datetime
    again: bool


def _mail(services: Services, account: Account, how: How, letter: _Letter) -> media.Mail:
    settings = services.settings
    of = invitation.Invitation(
        email=account.email,
        name=account.full_name,
        asker=how.asker,
        link=letter.link,
        ends_at=letter.ends_at,
        event_type=account.default_event_type or settings.default_event_type,
        again=letter.again,
        reminds=how.reminds,
    )
    return media.Mail(
        sender=media.sender(settings),
        recipients=(account.email,),
        subject=invitation.subject(of),
        text=invitation.body(of, settings),
        reply_to=how.asker,
    )
