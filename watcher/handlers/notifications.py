"""Google's notifications: authenticate, record in the ledger, ring, answer 204.

https://developers.google.com/workspace/calendar/api/guides/push: a POST without a body; Google
tries again on 500, 502, 503 and 504 only. No call to Google or ERPNext is made in here.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import datetime

from flask import Blueprint, Response, request
from prometheus_client import Counter

from watcher.errors import Transient
from watcher.handlers import acting, context
from watcher.handlers.pace import MANY
from watcher.ledger import calendars, inbox
from watcher.ledger.inbox import Verdict
from watcher.ledger.secrets import PROOF_HEADER
from watcher.telemetry import counts, traces

log = logging.getLogger(__name__)
bp = Blueprint("notifications", __name__)

MAX_BODY = 65_536
MAX_HEADER = 2_048
RETRY_AFTER_SECONDS = "5"
OUTCOMES = Counter("watcher_notifications", "Notifications by what became of them", ["outcome"])
_GOOGLE = "HTTP_X_GOOG_"
_TALLIED = frozenset({"unknown", "retired"})
_WRITTEN = frozenset({"recorded", "parked"})
_GENUINE = _WRITTEN | {"coalesced"}
_ASKED = re.compile(r"[0-9a-f]{32}")


@bp.post("/webhooks/google")
@acting.looks
def receive() -> Response:
    """204 recorded; 404 unknown channel or wrong token (same answer); 400 not a notification;
    413/431 too large; 200 with a proof for ``watcher doctor``; 503 when the ledger could not record
    it, so that Google tries again; every calendar is then looked at once the ledger is back, in
    case Google does not.

    When only Redis is away the notification is in the ledger and the sweep rings later: 204.
    When the ledger is away the calendar cannot even be known, so Redis cannot stand in for it.
    """
    asked = request.headers.get(PROOF_HEADER, "")
    if _ASKED.fullmatch(asked):
        # `watcher doctor`, which looks where the public address leads. It costs no look into the
        # ledger, whoever asks.
        return _plain(context.services().keyring.proof(asked), 200)
    refusal = _check_shape()
    if refusal is not None:
        OUTCOMES.labels("malformed").inc()
        return refusal
    try:
        verdict = _record()
    except Transient as error:
        level = logging.ERROR if context.missed().note() else logging.DEBUG
        OUTCOMES.labels("unrecorded").inc()
        log.log(level, "notification not recorded: %s", error.message)
        return Response(status=503, headers={"Retry-After": RETRY_AFTER_SECONDS})
    OUTCOMES.labels(verdict.word).inc()
    _log(verdict)
    if verdict.word in _GENUINE:
        if request.headers["X-Goog-Resource-State"] == "sync":
            context.pace().opened(verdict.calendar_id)
        context.services().counts.add(f"{counts.HEARD}{verdict.word}")
    if verdict.word in _WRITTEN:
        context.missed().ledger_writes()
    if verdict.word in _TALLIED:
        context.tally().add(f"notifications_{verdict.word}")
    if verdict.word == "unknown":
        return _plain("unknown channel", 404)
    return Response(status=204)


def _check_shape() -> Response | None:
    """What is wrong with the request as such, before the ledger is asked."""
    headers = request.headers
    if _body_too_large():
        return _plain("too large", 413)
    if any(len(v) > MAX_HEADER for k, v in request.environ.items() if k.startswith(_GOOGLE)):
        return _plain("header too large", 431)
    if not headers.get("X-Goog-Channel-ID") or not headers.get("X-Goog-Resource-State"):
        return _plain("not a Google Calendar notification", 400)
    return None


def _body_too_large() -> bool:
    """Google sends none, so it is not looked at. Only a chunked one has to be read to know its
    size: a proxy may have made an empty body into one, which is no reason to lose the message."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return len(request.environ["wsgi.input"].read(MAX_BODY + 1)) > MAX_BODY
    return (request.content_length or 0) > MAX_BODY


def _plain(text: str, status: int) -> Response:
    return Response(f"{text}\n", status=status, mimetype="text/plain")


def _record() -> Verdict:
    headers = request.headers
    number = headers.get("X-Goog-Message-Number", "")
    message = inbox.Message(
        channel_id=headers["X-Goog-Channel-ID"],
        token=headers.get("X-Goog-Channel-Token", ""),
        resource_id=headers.get("X-Goog-Resource-ID", ""),
        number=int(number) if number.isdecimal() and len(number) < 18 else None,
        request=traces.current(),
    )
    services, pace = context.services(), context.pace()
    known = inbox.look(services.db, message, services.clock())
    if known.word == "due":
        paced_until: datetime | None = None
        # Of many that come at once one writes; the others look again and find it written.
        with pace.turn(known.calendar_id):
            known = inbox.look(services.db, message, services.clock())
            if known.word == "due":
                paced_until = pace.until(known.calendar_id)
                known = _write(replace(message, paced_until=paced_until))
        if known.word == "recorded" and paced_until is None:
            _ring(known)
    return known


def _log(verdict: Verdict) -> None:
    """By these lines one change is followed. In a flood those that a waiting job serves are counted
    alone. What strangers send has counters, and no lines: they could fill a disk."""
    told = {"calendar": verdict.calendar_id, "channel": request.headers["X-Goog-Channel-ID"]}
    if verdict.word == "coalesced":
        if context.pace().coalesced(verdict.calendar_id) <= MANY:
            log.info("a waiting job serves it", extra=told | {"with": verdict.served_with})
    elif verdict.word in _WRITTEN:
        told["number"] = request.headers.get("X-Goog-Message-Number", "")[:20]
        word = "notification recorded" if verdict.word == "recorded" else "recorded for later"
        log.info(word, extra=told)


def _write(message: inbox.Message) -> Verdict:
    services = context.services()
    verdict = inbox.record(services.db, message, services.clock())
    if verdict.word == "recorded":
        context.pace().recorded(verdict.calendar_id, paced=message.paced_until is not None)
    return verdict


def _ring(verdict: Verdict) -> None:
    """Wake a worker. A ring that fails is taken back in the ledger, so that the next notification
    rings again; the sweep does so in any case."""
    job_id = context.services().doorbell.ring(verdict.calendar_id, "live", "push")
    if job_id:
        context.pace().rung(verdict.calendar_id, job_id)
        return
    OUTCOMES.labels("not_rung").inc()
    try:
        with context.services().db.session() as session:
            calendars.not_rung(session, verdict.calendar_id)
    except Transient as error:
        log.warning("no worker was woken, which is made up for within a minute: %s", error.message)
