"""Remove an installation: no channel and no grant is left at Google, and in ERPNext no more than
the admin wants to keep.

Every step is safe to repeat and finds by itself what is still to be done, so that a run which broke
off anywhere is finished by the same command. What one step cannot do is noted, and the others are
gone on with. Files and tables of the ledger are the command's own matter: they go last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from watcher import errors
from watcher.accounts.disconnect import disconnect
from watcher.erpnext import connected_app, desk, removal, role, todos
from watcher.erpnext.client import ErpNextClient
from watcher.google.consent import revoke
from watcher.ledger import accounts, channels, notices, presence
from watcher.ledger.states import AccountState
from watcher.services import Services

log = logging.getLogger(__name__)

ENOUGH = 3
"""After so many failures in a row for want of the same outside system its step is broken off: each
of them takes up to a minute."""
ONE_OF = {
    "accounts": "{}",
    "todos": "the ToDo {}",
    "authorisations": "the authorisation of {} in the Desk",
}
"""What is said of one that is left, by kind."""
AGAIN = "run `watcher uninstall` again with the same options"
ADMIN_KEY = "give the key of a System Manager for once: run it again with --admin-key"
STOP = (
    "stop it first, e.g. `systemctl stop watcher.socket watcher` or `docker compose stop`; what "
    "was killed counts as running for 90 seconds more"
)


@dataclass(frozen=True, slots=True)
class Choices:
    """``rows`` and ``fields`` are ``keep`` or ``delete``: the mirrored Events, and the custom
    fields with the Connected App and the role."""

    rows: str = "keep"
    fields: str = "keep"


@dataclass(kw_only=True, slots=True)
class Found:
    """What an installation has at Google, in ERPNext, and in its ledger. ``erpnext`` is None where
    ERPNext could not be asked; ``why`` says what it was then."""

    accounts: list[str] = field(default_factory=list)
    channels: int = 0
    consented: int = 0
    in_desk: int = 0
    delegated: int = 0
    todos: int = 0
    erpnext: removal.Found | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be done, why, and what to do about it."""

    what: str
    why: str
    step: str


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What was done, counted by kind, and what is left."""

    done: dict[str, int] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)

    def did(self, kind: str, number: int = 1) -> None:
        if number:
            self.done[kind] = self.done.get(kind, 0) + number


def look(services: Services, admin: ErpNextClient | None = None) -> Found:
    """What there is to remove; changes nothing, and may run beside everything. ``admin`` has the
    key of a System Manager, where the API user's is not one."""
    found = Found()
    with services.db.reading() as session:
        everyone = accounts.everyone(session)
        found.channels = len(channels.everything(session))
        found.todos = sum(notice.todo is not None for notice in notices.open_now(session))
    found.accounts = [a.email for a in everyone if a.state != AccountState.DISCONNECTED]
    open_ones = [a for a in everyone if a.email in set(found.accounts)]
    found.consented = sum(a.source == "oauth" and a.refresh_token is not None for a in open_ones)
    found.in_desk = sum(a.source == "erpnext" for a in open_ones)
    found.delegated = sum(a.source == "service-account" for a in open_ones)
    try:
        found.erpnext = removal.look(_keys(services, admin), [a.email for a in everyone])
    except errors.WatcherError as error:
        found.why = error.message
    return found


def _keys(services: Services, admin: ErpNextClient | None) -> removal.Keys:
    client = services.erpnext
    return removal.Keys(client, admin or client, services.settings.google_client_id)


def require_stopped(services: Services) -> None:
    """Raises ``UserError`` while a process of this installation runs: cron would open a channel, or
    an employee connect, after everything was ended."""
    with services.db.reading() as session:
        running = presence.counts(session, services.clock())
    named = [f"{kind} {number}" for kind, number in asdict(running).items() if number]
    if named:
        raise errors.UserError(f"Watcher is running ({', '.join(named)})", next_step=STOP)


Told = Callable[[str, int, int], None]
"""Called with a step's words, how much of it is done, and how much there is."""


class Uninstall:
    """One run of it. Raises ``LedgerAway``: then nothing could be noted any more."""

    def __init__(
        self,
        services: Services,
        choices: Choices,
        told: Told = lambda *_: None,
        admin: ErpNextClient | None = None,
    ) -> None:
        self._services = services
        self._admin = admin
        self._choices = choices
        self._told = told
        self.outcome = Outcome()

    def run(self) -> Outcome:
        require_stopped(self._services)
        self._disconnect_all()
        self._channels_left()
        self._close_todos()
        found = self._step("what is in ERPNext", self._look)
        if isinstance(found, removal.Found):
            if self._choices.rows == "delete":
                self._step("mirrored events", partial(self._delete_rows, found))
            if found.refused:
                self._note("forms, lists and fields in ERPNext", found.refused, ADMIN_KEY)
            else:
                self._as_admin(found)
        return self.outcome

    def _as_admin(self, found: removal.Found) -> None:
        """The role goes last: it may be what the API user does all of this with."""
        self._step("authorisations in the Desk", partial(self._end_authorisations, found))
        self._step("forms and lists", self._take_back_desk)
        if self._choices.fields == "delete":
            self._step("custom fields", partial(self._delete_fields, found))
            self._step("the Connected App", partial(self._delete_app, found))
            self._step("the role Watcher", self._remove_role)

    # --- Google -----------------------------------------------------------------------------

    def _disconnect_all(self) -> None:
        with self._services.db.reading() as session:
            todo = [
                account.email
                for account in accounts.everyone(session)
                if account.state != AccountState.DISCONNECTED
            ]
        self._each("accounts", todo, self._disconnect)

    def _disconnect(self, email: str) -> None:
        disconnect(self._services, email, events=self._choices.rows)

    def _channels_left(self) -> None:
        """Channels that Google refused to stop are closed in the ledger and end by themselves."""
        with self._services.db.reading() as session:
            left = channels.unstopped(session, self._services.clock())
        for channel, email in left:
            until = f"{channel.expires_at:%Y-%m-%d %H:%M}" if channel.expires_at else "its expiry"
            step = f"nothing: it ends by itself at {until} UTC, and its messages come to nobody"
            self.outcome.left.append(Left(f"a channel of {email}", channel.error, step))

    # --- ERPNext ----------------------------------------------------------------------------

    def _look(self) -> removal.Found:
        with self._services.db.reading() as session:
            everyone = accounts.everyone(session)
        return removal.look(self._keys, [account.email for account in everyone])

    @property
    def _keys(self) -> removal.Keys:
        return _keys(self._services, self._admin)

    def _close_todos(self) -> None:
        with self._services.db.reading() as session:
            todo = [each.todo for each in notices.open_now(session) if each.todo is not None]
        self._each("todos", todo, self._close_todo)

    def _close_todo(self, name: str) -> None:
        todos.close(self._services.erpnext, name)
        with self._services.db.session() as session:
            notices.forget_todo(session, name, self._services.clock())

    def _end_authorisations(self, found: removal.Found) -> None:
        """Of those, too, who have authorised the Connected App and were never taken up."""
        self._each("authorisations", found.authorised, partial(self._end_authorisation, found.app))

    def _end_authorisation(self, app: str, user: str) -> None:
        client, url = self._keys.admin, self._services.settings.google_revoke_url
        try:
            revoke(connected_app.refresh_token(client, app, user), url)
        except errors.AccountDead as error:
            log.info("nothing to revoke: %s", error.message)  # a row without a token
        connected_app.forget(client, app, user)

    def _delete_rows(self, found: removal.Found) -> None:
        total = len(found.rows)
        refused = 0
        for looked_at, applied in removal.delete_rows(self._services.erpnext, found.rows):
            self.outcome.did("rows", applied.deleted)
            for refusal in applied.refused[: max(0, ENOUGH - refused)]:
                self._note(f"an event of {refusal.event_id}", refusal.message, refusal.step)
            refused += len(applied.refused)
            self._told("rows", looked_at, total)
        if refused > ENOUGH:
            self._note(f"{refused - ENOUGH} more events", "ERPNext refuses to delete them", AGAIN)

    def _take_back_desk(self) -> None:
        report = desk.take_back(self._keys.admin)
        self.outcome.did("desk", len(report.changed))

    def _delete_fields(self, found: removal.Found) -> None:
        """Raises ``WatcherError`` while another installation's rows need them."""
        if found.foreign:
            named = ", ".join(sorted(found.foreign)[:ENOUGH])
            number = sum(found.foreign.values())
            raise errors.WatcherError(
                f"{number} events of accounts that this installation does not know have them "
                f"({named})",
                next_step="if no other Watcher writes them, delete those events or remove the "
                "fields in Customize Form",
            )
        removal.delete_fields(self._keys.admin, lambda _: self.outcome.did("fields"))

    def _delete_app(self, found: removal.Found) -> None:
        if found.app:
            removal.delete_app(self._keys.admin, found.app)
            self.outcome.did("connected_app")

    def _remove_role(self) -> None:
        report = role.remove(self._keys.admin, self._keys.api_user.whoami())
        self.outcome.did("role", len(report.changed))
        for sentence in report.left:
            self._note("the role Watcher", sentence, "delete it in ERPNext's list of roles")

    # --- what cannot be done is noted ---------------------------------------------------------

    def _each(self, kind: str, names: Sequence[str], work: Callable[[str], None]) -> None:
        """One after the other. After some failures in a row for want of the same outside system
        the rest is left."""
        away: list[str] = []
        for number, name in enumerate(names):
            self._told(kind, number, len(names))
            error = errors.contained(partial(self._done, kind, work, name), _as_it_is)
            if error is None:
                away.clear()
                continue
            self._note(ONE_OF[kind].format(name), error.message, error.next_step)
            side = error.side if isinstance(error, errors.Transient) else ""
            away = [*away, side] if side and side in away else [side] if side else []
            if len(away) >= ENOUGH and number + 1 < len(names):
                rest = len(names) - number - 1
                self._note(f"{rest} more {kind}", "not tried, for the same reason", AGAIN)
                return
        self._told(kind, len(names), len(names))

    def _done(
        self, kind: str, work: Callable[[str], None], name: str
    ) -> errors.WatcherError | None:
        work(name)
        self.outcome.did(kind)
        return None

    def _step(self, what: str, work: Callable[[], object]) -> object:
        return errors.contained(work, partial(self._not_done, what))

    def _not_done(self, what: str, error: errors.WatcherError) -> None:
        self._note(what, error.message, error.next_step)

    def _note(self, what: str, why: str, step: str) -> None:
        self.outcome.left.append(Left(what, why, step or AGAIN))


def _as_it_is(error: errors.WatcherError) -> errors.WatcherError | None:
    return error
