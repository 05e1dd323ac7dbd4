"""The state of everything in one document: ``watcher status --json``, dashboard and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from watcher import __version__
from watcher.ledger import aside, budget, channels, erpnext, notices
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Channel, Fact, Run, Tick
from watcher.ledger.problems import iso, problem

DELAYED_AFTER = timedelta(seconds=90)
FAILING_AFTER = 5
FRESHNESS_OVER = timedelta(hours=24)
CHANNEL_GRACE = timedelta(minutes=15)
TICK_ALARMS = {"sweep": timedelta(minutes=5), "renew": timedelta(minutes=30)}
DISCONNECT_GRACE = timedelta(minutes=15)
TESTING_LIFE, TESTING_SLACK = timedelta(days=7), timedelta(hours=12)
"""How long a refresh token lives when the OAuth app is External and in Testing
(https://support.google.com/cloud/answer/15549945)."""
USER_REMOVED = "erpnext_user_removed"
_CLIENT = (
    "look at the OAuth client in the Google Cloud console (a deleted one can be restored for 30 "
    "days), WATCHER_GOOGLE_CLIENT_ID and WATCHER_GOOGLE_CLIENT_SECRET"
)
_KEY = "make a new key for the service account, WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE"
_API = "enable the Google Calendar API in the Cloud project"
_SERVICE_OFF = (
    "turn Google Calendar on for this person (Admin console > Apps > Google Workspace > Calendar)"
)
STEPS = {
    "missing_fields": "watcher erpnext setup",
    "auth": "check WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET",
    "permission": "watcher erpnext setup (names the missing permission)",
    "no_site": "check WATCHER_ERPNEXT_URL",
    "redirected": "check WATCHER_ERPNEXT_URL",
    "api_user_administrator": "make a user of its own for Watcher with the role System Manager, "
    "and set WATCHER_ERPNEXT_API_KEY and WATCHER_ERPNEXT_API_SECRET to its key",
    "deleted_client": _CLIENT,
    "invalid_client": _CLIENT,
    "disabled_client": _CLIENT,
    "service_account_key": _KEY,
    "no_service_account": _KEY,
    "access_not_configured": _API,
    "not_a_calendar_user": _SERVICE_OFF,
    "no_own_calendar": f"{_SERVICE_OFF}, and check the address",
    "no_connected_app": "watcher erpnext setup --connected-app",
    "insufficient_permissions": "the account has to be connected again, with the box for the "
    "calendar ticked",
    "service_disabled": _API,
    "key_missing": "put the old key back into WATCHER_SECRET_KEYS",
    "secret_altered": "connect the account again: its secret was altered, or moved between rows",
}
"""What to do about a cause, whichever calendar shows it."""
PERMANENT_STATES = frozenset({"failing", "gone", "held", "refused"})


def calendar_state(calendar: Calendar, account: Account, now: datetime, epoch: float) -> str:
    """One word: up_to_date, syncing, delayed, failing or paused."""
    if account.state != "active":
        return "paused"
    if calendar.state in PERMANENT_STATES or calendar.failures >= FAILING_AFTER:
        return "failing"
    if calendar.dirty_seq <= calendar.synced_seq:
        return "up_to_date"
    working = calendar.lease_owner is not None and calendar.lease_until > epoch
    known_for = now - (calendar.dirty_at or calendar.rung_at or now)
    if not working and (calendar.failures > 0 or known_for > DELAYED_AFTER):
        return "delayed"
    return "syncing"


def status(
    db: Database, session: Session, now: datetime, waiting: Mapping[str, int] | None
) -> dict[str, Any]:
    """The document of interface.md. ``waiting`` maps lanes to queue lengths; None: Redis away."""
    pairs = _pairs(session)
    epoch = db.now_epoch(session)
    states = {c.id: calendar_state(c, a, now, epoch) for c, a in pairs}
    live = _live_channels(session, now)
    stand_aside = [row for row, _, _ in aside.everything(session)]
    problems = _problems(session, pairs, states, live, now)
    problems += erpnext.erpnext_problems(session, now)
    if waiting is None:
        problems.append(
            problem(
                None,
                None,
                "queue_down",
                "redis_unreachable",
                None,
                "start Redis/Valkey",
            )
        )
    oldest = [
        (now - c.dirty_at).total_seconds()
        for c, a in pairs
        if a.state == "active" and c.dirty_at and c.dirty_seq > c.synced_seq
    ]
    return {
        "version": __version__,
        "healthy": not problems,
        "accounts": _account_counts(session),
        "calendars": {
            **{
                word: sum(1 for s in states.values() if s == word)
                for word in ("up_to_date", "syncing", "delayed", "failing", "paused")
            },
            "poll_only": sum(
                1 for c, a in pairs if a.state == "active" and c.push_supported is False
            ),
        },
        "channels": {
            "live": len(live),
            "missing": sum(1 for c, a in pairs if _channel_missing(c, a, live)),
            "next_expiry": iso(min(live.values())) if live else None,
        },
        "queue": {
            "live": (waiting or {}).get("live", 0),
            "backfill": (waiting or {}).get("backfill", 0),
            "oldest_seconds": round(max(oldest, default=0.0), 1),
        },
        "freshness_seconds": freshness(session, now),
        "google_calls": {
            "today": budget.today(session, now),
            "forecast_day": budget.forecast(session, now),
            "day_line": budget.DAY_LINE,
        },
        "quarantined": sum(1 for _ in stand_aside),
        "set_aside": erpnext.set_aside(stand_aside),
        "erpnext": erpnext.site(session),
        "problems": problems,
    }


def freshness(session: Session, now: datetime) -> dict[str, float | int | None]:
    """Seconds from Google's ``updated`` to ERPNext over the last day's pushed changes."""
    lags = session.scalars(
        select(Run.lag_google).where(
            Run.lag_google.is_not(None),
            Run.started_at > now - FRESHNESS_OVER,
            Run.reason == "push",
        )
    )
    values = sorted(float(lag) for lag in lags if lag is not None)
    return {
        "p50": percentile(values, 0.50),
        "p95": percentile(values, 0.95),
        "p99": percentile(values, 0.99),
        "count": len(values),
    }


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile of sorted values; None when there are none."""
    if not values:
        return None
    return round(values[min(len(values) - 1, int(len(values) * share))], 3)


def _pairs(session: Session) -> list[tuple[Calendar, Account]]:
    rows = session.execute(
        select(Calendar, Account)
        .join(Account)
        .where(Calendar.removed.is_(False), Account.state != "disconnected")
        .order_by(Account.email, Calendar.id)
    )
    return [(row[0], row[1]) for row in rows]


def _live_channels(session: Session, now: datetime) -> dict[int, datetime]:
    """Calendar id -> latest expiry of its live channels."""
    rows = session.execute(
        select(Channel.calendar_id, func.max(Channel.expires_at))
        .join(Calendar, Channel.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .where(Channel.state == "live", Channel.expires_at > now, Account.state == "active")
        .group_by(Channel.calendar_id)
    )
    return {row[0]: row[1] for row in rows if row[1] is not None}


def _channel_missing(calendar: Calendar, account: Account, live: Mapping[int, datetime]) -> bool:
    return (
        account.state == "active"
        and calendar.push_supported is not False
        and calendar.id not in live
    )


def _account_counts(session: Session) -> dict[str, int]:
    rows = session.execute(select(Account.state, func.count()).group_by(Account.state))
    counts: dict[str, int] = {row[0]: row[1] for row in rows}
    return {
        word: counts.get(word, 0) for word in ("active", "needs_reconnect", "paused", "invited")
    }


def _problems(
    session: Session,
    pairs: Sequence[tuple[Calendar, Account]],
    states: Mapping[int, str],
    live: Mapping[int, datetime],
    now: datetime,
) -> list[dict[str, Any]]:
    found = [_account_problem(session, a) for a in _broken_accounts(session, now)]
    for calendar, account in pairs:
        word = states[calendar.id]
        if word in ("failing", "delayed"):
            found.append(_calendar_problem(calendar, account, word))
        elif _channel_missing(calendar, account, live) and _overdue(calendar, now):
            found.append(
                problem(
                    account.email,
                    calendar.google_id,
                    "no_channel",
                    calendar.cause or "no_channel",
                    calendar.since,
                    f"watcher channels renew {account.email}",
                )
            )
    found = _with_short_lived(session, pairs, found)
    found += _tick_problems(session, now, bool(pairs))
    return found + [
        problem(None, None, "notices_undelivered", medium, since, f"{error}: watcher notify test")
        for medium, error, since in notices.undelivered(session, now)
    ]


def _with_short_lived(
    session: Session, pairs: Sequence[tuple[Calendar, Account]], found: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Channels that live for minutes only, in place of the channels that are missing for that."""
    short = channels.short_lived(session)
    hit = [(c, a) for c, a in pairs if c.id in short and a.state == "active"]
    names = {(a.email, c.google_id) for c, a in hit}
    rest = [
        each
        for each in found
        if each["state"] != "no_channel" or (each["account"], each["calendar"]) not in names
    ]
    for calendar, account in hit:
        since, life = short[calendar.id]
        seconds = max(0, round(life.total_seconds()))
        short_one = problem(
            account.email,
            calendar.google_id,
            "short_channel",
            "short_lived_channel",
            since,
            "compare this machine's clock with Google's, and look whether a proxy "
            "changes Google's answers",
        )
        said = f"Google lets its channels live {seconds} s; it is polled every few minutes"
        rest.append(short_one | {"message": said})
    return rest


def _overdue(calendar: Calendar, now: datetime) -> bool:
    """A calendar may be without a channel for a while: connecting, or waiting for a retry."""
    return calendar.watch_failures >= 3 or now - calendar.since > CHANNEL_GRACE


def _broken_accounts(session: Session, now: datetime) -> Sequence[Account]:
    unfinished = and_(Account.state == "disconnecting", Account.since < now - DISCONNECT_GRACE)
    removed = and_(Account.state == "paused", Account.cause == USER_REMOVED)
    return session.scalars(
        select(Account)
        .where(or_(Account.state == "needs_reconnect", unfinished, removed))
        .order_by(Account.email)
    ).all()


def _account_problem(session: Session, account: Account) -> dict[str, Any]:
    step = way_out(session, account)
    found = problem(account.email, None, account.state, account.cause, account.since, step)
    if died_of_testing(account):
        found["message"] = (
            "The grant ended 7 days after the consent, as it does while the OAuth app is External "
            "and in Testing. Make it Internal or publish it (docs/google.md), else every account "
            "ends so."
        )
    return found


def way_out(session: Session, account: Account) -> str:
    """What mends an account that does not work; empty for one that does."""
    desk = session.get(Fact, "desk_link")
    if account.state == "disconnecting":
        return f"watcher accounts disconnect {account.email} (it broke off)"
    if account.state == "paused" and account.cause == USER_REMOVED:
        return (
            f"enable {account.erpnext_user} in ERPNext again, or "
            f"watcher accounts disconnect {account.email}"
        )
    if account.state != "needs_reconnect":
        return ""
    where = f": {desk.value}" if desk else ""
    return {
        "oauth": f"watcher accounts invite {account.email}",
        "erpnext": f"{account.erpnext_user} authorises the Connected App in ERPNext again{where}",
        "service-account": "allow the mailbox in the Admin console, then "
        f"watcher accounts resume {account.email}",
    }[account.source]


def died_of_testing(account: Account) -> bool:
    """Google's refusal came just when a refresh token of an app in Testing ends."""
    if account.cause != "invalid_grant" or account.granted_at is None:
        return False
    return abs(account.since - account.granted_at - TESTING_LIFE) <= TESTING_SLACK


def _calendar_problem(calendar: Calendar, account: Account, word: str) -> dict[str, Any]:
    own = {
        "held": f"watcher resync {account.email} --dry-run, then --force if that is right",
        "gone": f"watcher calendars remove {account.email} {calendar.google_id}",
    }
    known = calendar.step or STEPS.get(calendar.cause) or own.get(calendar.state)
    step = known or "it is tried again by itself"
    found = problem(
        account.email,
        calendar.google_id,
        word,
        calendar.cause or calendar.state,
        calendar.since,
        step,
    )
    return found | {"message": calendar.message}


def _tick_problems(session: Session, now: datetime, used: bool) -> list[dict[str, Any]]:
    if not used:
        return []
    found = []
    for name, patience in TICK_ALARMS.items():
        tick = session.get(Tick, name)
        last = tick.last_run_at if tick else None
        if last is None or now - last > patience:
            found.append(
                problem(
                    None,
                    None,
                    f"no_{name}_run",
                    "cron_not_running",
                    last,
                    "start `watcher up` (or `watcher cron`)",
                )
            )
    return found
