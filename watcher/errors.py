"""The family of errors that every room shares.

An error carries two facts its handler needs: whether trying again can help, and what a
person can do about it. Nobody parses the text of a message to decide.

    WatcherError
    ├── UserError         bad input or a setting; shown without a traceback
    ├── Transient         trying again later can help; may carry ``retry_after``
    └── Permanent         trying again without a change cannot help
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TypeVar

from watcher.languages.sentence import counted as counted
from watcher.languages.sentence import joined as joined
from watcher.languages.sentence import sentence as sentence
from watcher.languages.sentence import unended as unended

T = TypeVar("T")
log = logging.getLogger(__name__)


class ExitCode:
    """Exit codes of the command line (see docs/commands.md)."""

    OK = 0
    ERROR = 1
    USAGE = 2
    PARTLY = 3
    PERMISSION = 4
    NOT_FOUND = 5
    UNAVAILABLE = 6
    UNHEALTHY = 7
    INTERRUPTED = 130


class Cause(StrEnum):
    """Causes that Watcher names itself. Google's own words (``invalid_grant`` ...) and those of an
    event that ERPNext refuses stand beside them in the ledger."""

    # The installation, as Watcher finds it.
    ADDRESS_UNREACHABLE = "address_unreachable"
    CRON_FAILS = "cron_fails"
    CRON_NOT_RUNNING = "cron_not_running"
    CHANNEL_SILENT = "channel_silent"
    CRASH_LOOP = "crash_loop"
    INTERNAL_ERROR = "internal_error"
    LEDGER_REFUSES_WRITES = "ledger_refuses_writes"
    NO_PUSH_ARRIVES = "no_push_arrives"
    PROCESS_SILENT = "process_silent"
    REDIS_REFUSES_JOBS = "redis_refuses_jobs"
    REDIS_UNREACHABLE = "redis_unreachable"
    SETTINGS = "settings"
    WAITING_FOR_ANSWER = "waiting_for_answer"
    WAITING_FOR_TURN = "waiting_for_turn"
    WAITING_FOR_WORKER = "waiting_for_worker"
    WATCHER_NOT_RUNNING = "watcher_not_running"
    WEB_NOT_ANSWERING = "web_not_answering"
    WEB_NOT_RUNNING = "web_not_running"
    WORKER_NOT_RUNNING = "worker_not_running"
    GOOGLE_QUOTA = "google_quota"
    GOOGLE_UNAVAILABLE = "google_unavailable"
    ERPNEXT_UNAVAILABLE = "erpnext_unavailable"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    KEY_MISSING = "key_missing"
    SECRET_ALTERED = "secret_altered"  # noqa: S105 (a word, no password)
    # Accounts and calendars.
    BY_ADMIN = "by_admin"
    BY_EMPLOYEE = "by_employee"
    ASKED_BY_EMPLOYEE = "asked_by_employee"
    WISHES_TO_LEAVE = "wishes_to_leave"
    USER_REMOVED = "erpnext_user_removed"
    NO_CHANNEL = "no_channel"
    SHORT_LIVED_CHANNEL = "short_lived_channel"
    SWEEP_HELD = "sweep_held"
    NOT_A_CALENDAR_USER = "not_a_calendar_user"
    NO_OWN_CALENDAR = "no_own_calendar"
    SERVICE_ACCOUNT_KEY = "service_account_key"
    NO_SERVICE_ACCOUNT = "no_service_account"
    NO_REFRESH_TOKEN = "no_refresh_token"  # noqa: S105
    # ERPNext's site.
    ANOTHER_WATCHER = "another_watcher"
    API_USER_ADMINISTRATOR = "api_user_administrator"
    AUTH = "auth"
    ERPNEXT_QUEUE_FULL = "erpnext_queue_full"
    KEY_NOT_UNIQUE = "key_not_unique"
    MISSING_FIELDS = "missing_fields"
    NO_CONNECTED_APP = "no_connected_app"
    NO_SITE = "no_site"
    PERMISSION = "permission"
    REDIRECTED = "redirected"
    REFUSED_BY_ERPNEXT = "refused_by_erpnext"


OUTAGES = {
    "google": Cause.GOOGLE_UNAVAILABLE,
    "erpnext": Cause.ERPNEXT_UNAVAILABLE,
    "ledger": Cause.LEDGER_UNAVAILABLE,
}
"""What a pass that failed shows when this side (``Transient.side``) did not answer."""


LATER = {
    "google": sentence(
        "try again later; https://www.google.com/appsstatus shows what Google knows"
    ),
    "erpnext": sentence("check WATCHER_ERPNEXT_URL and that the site runs, then try again"),
    "ledger": sentence("check WATCHER_DATABASE_URL and that the database runs, then try again"),
    "": sentence("try again"),
    "queue": sentence("check that Redis or Valkey runs, then try again"),
}
"""What a person can do when this side did not answer; ``""`` is no outage."""


class WatcherError(Exception):
    """Base of all errors that Watcher raises on purpose.

    ``next_step`` is a sentence or a command for the person who reads the message.
    ``exit_code`` is what a command that ends with this error returns.
    """

    exit_code: int = ExitCode.ERROR

    def __init__(self, message: str, *, next_step: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        if exit_code is not None:
            self.exit_code = exit_code


class UserError(WatcherError):
    """Input or a setting that a person has to correct; shown without a traceback."""

    exit_code = ExitCode.USAGE


class NotFound(WatcherError):
    """A named account, calendar or channel is not in the ledger."""

    exit_code = ExitCode.NOT_FOUND


class Transient(WatcherError):
    """Google, ERPNext, the queue or the ledger failed in a way that may pass: try again later.

    ``retry_after`` is how many seconds the other side asked to wait, or None. ``side`` is the
    outside system: "google", "erpnext", "queue", or "ledger" (``LedgerAway``). It is empty for
    ``Elsewhere`` and ``Defect``, which are no outage. ``unanswered``: a write got no answer, and
    the other side may still carry it out. ``bare_500``: the answer was a 500 with an HTML page and
    no error. Frappe 16 answers so after it has written, when its queue of background jobs is full.
    ``cause`` is what a pass shows then, where that is not the outage of the side.
    """

    exit_code = ExitCode.UNAVAILABLE
    unanswered = bare_500 = False
    cause = ""

    def __init__(
        self,
        message: str,
        *,
        side: str,
        retry_after: float | None = None,
        next_step: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.side = side
        self.retry_after = retry_after


class BudgetSpent(Transient):
    """We have made as many calls to Google as we allow ourselves: Google itself is well."""


class LedgerAway(Transient):
    """The ledger's database does not answer, or its file is gone: nothing can be noted now."""

    def __init__(self, message: str, *, next_step: str = "", reason: str = "") -> None:
        super().__init__(message, side="ledger", next_step=next_step)
        self.reason = reason or message


class Elsewhere(Transient):
    """Another process does this work, or has just done it. That is no failure."""

    def __init__(
        self, message: str, *, retry_after: float | None = None, next_step: str = ""
    ) -> None:
        super().__init__(message, side="", retry_after=retry_after, next_step=next_step)


class Overtaken(Elsewhere):
    """Another process does this work or has done it, or it is no longer wanted: do not repeat
    it."""


class CapReached(Elsewhere):
    """All processes together have asked for as many channels as a minute may have."""


_UNREACHED = {
    "gaierror": sentence("DNS knows no address of it"),
    "NameResolutionError": sentence("DNS knows no address of it"),
    "ServerNotFoundError": sentence("DNS knows no address of it"),
    "ConnectionRefusedError": sentence("it refuses connections"),
    "SSLCertVerificationError": sentence("its certificate is not trusted"),
    "SSLError": sentence("no encrypted connection came about"),
    "ProxyError": sentence("the proxy in between gives none"),
    "TimeoutError": sentence("no answer in time"),
    "Timeout": sentence("no answer in time"),
    "BrokenPipeError": sentence("it broke off the connection"),
    "ConnectionResetError": sentence("it broke off the connection"),
    "RemoteDisconnected": sentence("it broke off the connection"),
    "IncompleteRead": sentence("it broke off the connection"),
}
"""Why another side was not reached, by the class of the error or of one that it was made from. By
name: the classes are those of several libraries, and every command would have to load them."""
_UNREACHED_BY_NUMBER = {
    errno.ENETUNREACH: sentence("no way leads there"),
    errno.EHOSTUNREACH: sentence("no way leads there"),
    errno.ENOENT: sentence("nothing listens there"),
}
_DEEP = 8


def why_unreached(error: BaseException) -> str:
    """In words, why another side was not reached. Never the error's own text, which may hold an
    address with its query, or what was sent."""
    for each in innermost_first(error):  # the innermost says most
        for kind in type(each).__mro__:
            if kind.__name__ in _UNREACHED:
                return _UNREACHED[kind.__name__]
        number = getattr(each, "errno", None)
        if number in _UNREACHED_BY_NUMBER:
            return _UNREACHED_BY_NUMBER[number]
    return type(error).__name__


def innermost_first(error: BaseException) -> Sequence[BaseException]:
    """The error, behind those that it was made from."""
    todo: list[BaseException] = [error]
    for _ in range(_DEEP):
        inner = [each for each in _made_from(todo[-1]) if each not in todo]
        if not inner:
            break
        todo.append(inner[0])
    return todo[::-1]


def _made_from(error: BaseException) -> Iterator[BaseException]:
    """urllib3 keeps an error in ``reason``, requests among the arguments."""
    for each in (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__):
        if isinstance(each, BaseException):
            yield each


class Defect(Transient):
    """A bug of Watcher: an exception that no code expected. The work is tried again all the
    same."""

    exit_code = ExitCode.ERROR

    def __init__(self, error: Exception) -> None:
        super().__init__(sentence("internal error: %(kind)s", kind=type(error).__name__), side="")


class Permanent(WatcherError):
    """Trying again without a change by a person cannot help.

    ``cause`` is a short stable word (``invalid_grant``, ``missing_fields`` ...) that is kept in
    the ledger and shown in ``watcher status``.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str,
        side: str = "",
        next_step: str = "",
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step, exit_code=exit_code)
        self.cause = cause
        self.side = side


# --- Google -----------------------------------------------------------------------------


class SyncTokenExpired(Permanent):
    """Google answered a call with a sync token by 410, or by 400: a full sync is needed."""


class AccountDead(Permanent):
    """The account's grant is gone (``invalid_grant`` and kin); only its owner can mend it.

    ``noted``: it is already noted in the ledger, for exactly the grant that was tried.
    """

    exit_code = ExitCode.PERMISSION
    noted = False


class AppDead(Permanent):
    """The OAuth client or the service account itself is refused, for every account alike."""

    exit_code = ExitCode.PERMISSION


class AccessLost(Permanent):
    """A 403 that does not pass by itself: scope missing, API off, or no right to the calendar."""

    exit_code = ExitCode.PERMISSION


class CalendarGone(Permanent):
    """404: the calendar never existed or the account can no longer see it."""

    exit_code = ExitCode.NOT_FOUND


class PushNotSupported(Permanent):
    """The calendar cannot be watched (holidays and other generated calendars); poll it."""


# --- ERPNext ----------------------------------------------------------------------------


class ErpAuthError(Permanent):
    """ERPNext refused the API key, or its user (``ErpForbidden``)."""

    exit_code = ExitCode.PERMISSION


class ErpForbidden(ErpAuthError):
    """The API key is good, and its user lacks a permission. ``cause`` is ``permission``."""

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(message, cause=Cause.PERMISSION, side="erpnext", next_step=next_step)


class ErpSetupMissing(Permanent):
    """The custom fields are not on the site: run ``watcher erpnext setup``."""


class ErpRefused(Permanent):
    """ERPNext refused one document or request; ``message`` is ERPNext's own text.

    ``exc_type`` is the class of Frappe's exception (``MandatoryError`` ...), ``fields`` the names
    or labels of the fields that it complains of; both are empty where the answer does not say.
    """

    exc_type: str = ""
    fields: tuple[str, ...] = ()


class DuplicateKey(ErpRefused):
    """417 UniqueValidationError: a row with this sync key is already there."""


# --- Ledger -----------------------------------------------------------------------------


class LeaseLost(Elsewhere):
    """The lease has lapsed and another process has the calendar: this one must store nothing."""

    def __init__(
        self, message: str = sentence("another process has taken this calendar over")
    ) -> None:
        super().__init__(message)


class SweepHeld(Permanent):
    """A sweep would cancel more than half of a calendar; a person has to confirm it."""


def contained(work: Callable[[], T], failed: Callable[[WatcherError], T]) -> T:
    """One item of a loop over calendars, accounts or notices: its failure is not the loop's.

    Returns what ``work`` returns, or what ``failed`` makes of its error. An exception that nobody
    foresaw is logged with its traceback and given to ``failed`` as a ``Defect``. Raises
    ``LedgerAway``, because then nothing could be noted of the other items either.
    """
    try:
        return work()
    except LedgerAway:
        raise
    except WatcherError as error:
        return failed(error)
    except Exception as error:
        log.exception("failed unexpectedly; the others are gone on with")
        return failed(Defect(error))
