"""The states that the ledger knows. Their values are the words in the database and in JSON."""

from __future__ import annotations

from enum import StrEnum


class AccountState(StrEnum):
    """Whether Watcher may work for an account, and what it waits for where it may not."""

    INVITED = "invited"
    ACTIVE = "active"
    PAUSED = "paused"
    NEEDS_RECONNECT = "needs_reconnect"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"


LEAVING = (AccountState.DISCONNECTING, AccountState.DISCONNECTED)
"""States of an account for which nothing is begun any more."""


NOT_ACTIVE = tuple(state for state in AccountState if state != AccountState.ACTIVE)
"""To ask for these states, and not for every state but one, is what an index can answer."""


UNLISTED = (AccountState.DISCONNECTED, AccountState.INVITED)
"""States in which an account's calendars are mirrored no more, or not yet."""

HAD_A_GRANT = (AccountState.ACTIVE, AccountState.PAUSED, AccountState.NEEDS_RECONNECT)
"""States of an account that was connected once and is not being left."""


class CalendarState(StrEnum):
    """How the last pass over a calendar ended."""

    WAITING = "waiting"
    """It was taken up, and no pass has ended yet."""
    OK = "ok"
    RETRYING = "retrying"
    """The last pass failed in a way that may pass by itself."""
    FAILING = "failing"
    """The last pass failed for a reason that a person has to mend."""
    GONE = "gone"
    """Google has said three times that it does not know the calendar."""
    HELD = "held"
    """The pass went through, but cancellations wait to be confirmed by a person."""
    REFUSED = "refused"
    """The pass went through, but ERPNext takes no event of it."""


FOR_A_PERSON = frozenset(
    {CalendarState.FAILING, CalendarState.GONE, CalendarState.HELD, CalendarState.REFUSED}
)
"""States of a calendar that do not end before somebody has done something."""


class CalendarStatus(StrEnum):
    """The one word that ``watcher status`` has for a calendar; see ``standing``."""

    UP_TO_DATE = "up_to_date"
    SYNCING = "syncing"
    DELAYED = "delayed"
    FAILING = "failing"
    PAUSED = "paused"


class ChannelState(StrEnum):
    """The life of a watch channel."""

    REQUESTING = "requesting"
    """Its row is written, and Google's answer is not there yet."""
    LIVE = "live"
    RETIRING = "retiring"
    """Another one has taken its place, or nobody wants it any more: it is to be stopped."""
    STOPPED = "stopped"
    EXPIRED = "expired"
    FAILED = "failed"
    """Google has refused it."""


ACCEPTED = (ChannelState.REQUESTING, ChannelState.LIVE, ChannelState.RETIRING)
"""States of a channel whose notifications are taken."""
