"""What the audit trail tells of: a short word for each action. The words are in the database, in
JSON and in exports, and stay as they are."""

from __future__ import annotations

from enum import StrEnum


class What(StrEnum):
    """The part before the dot names what is acted on. New words are added in the same way, to
    the table in docs/commands.md, and to ``languages/acts.py`` for people."""

    INSTALLATION_INIT = "installation.init"
    INSTALLATION_REMOVE = "installation.remove"
    ERPNEXT_SETUP = "erpnext.setup"
    LEDGER_BACKUP = "ledger.backup"
    LEDGER_RESTORE = "ledger.restore"

    ACCOUNT_ADD = "account.add"
    ACCOUNT_IMPORT = "account.import"
    ACCOUNT_INVITE = "account.invite"
    ACCOUNT_MAIL = "account.mail"
    CONSENT_GIVE = "consent.give"
    ACCOUNT_SET = "account.set"
    ACCOUNT_PAUSE = "account.pause"
    ACCOUNT_RESUME = "account.resume"
    ACCOUNT_DISCONNECT = "account.disconnect"
    ACCOUNT_DISCONNECTED = "account.disconnected"
    """What ``account.disconnect`` asked for is done, which may be later and by another process."""

    CALENDAR_ADD = "calendar.add"
    CALENDAR_REMOVE = "calendar.remove"
    CALENDAR_SYNC = "calendar.sync"
    CALENDAR_RESYNC = "calendar.resync"
    CANCELLATION_CONFIRM = "cancellation.confirm"
    """Of a mass cancellation that was held back until a person had seen its figure."""
    QUEUE_RETRY = "queue.retry"
    EVENT_LEAVE = "event.leave"
    """Of an event that was set aside: nobody is to be told of it any more."""
    EVENT_TAKE_UP = "event.take_up"

    CHANNEL_RENEW = "channel.renew"
    CHANNEL_STOP = "channel.stop"
    TOKEN_RENEW = "token.renew"  # noqa: S105 (a word, no password)

    KEY_ADD = "key.add"
    KEY_ROTATE = "key.rotate"
    KEY_FORGET = "key.forget"

    NOTICE_TEST = "notice.test"

    DASHBOARD_SIGN_IN = "dashboard.sign_in"
    DASHBOARD_SIGN_OUT = "dashboard.sign_out"
    EMPLOYEE_SIGN_IN = "employee.sign_in"
    """To *My connection*."""
    EMPLOYEE_SIGN_OUT = "employee.sign_out"
