"""Google's notifications: authenticate, record in the ledger, ring, answer 204.

https://developers.google.com/workspace/calendar/api/guides/push: a POST without a body; Google
tries again on 500, 502, 503 and 504 only. No call to Google or ERPNext is made in here.
"""

from __future__ import annotations

import logging

from flask import Blueprint, Response, request
from prometheus_client import Counter

from watcher.errors import Transient
from watcher.handlers.context import services
from watcher.state import calendars, inbox, runs
from watcher.state.inbox import Verdict

log = logging.getLogger(__name__)
bp = Blueprint("notifications", __name__)

MAX_BODY = 65_536
MAX_HEADER = 2_048
RETRY_AFTER_SECONDS = "5"
OUTCOMES = Counter("watcher_notifications", "Notifications by what became of them", ["outcome"])


@bp.post("/webhooks/google")
def receive() -> Response:
    """204 recorded; 404 unknown channel or wrong token (same answer); 400 not a notification;
    413/431 too large; 503 when the ledger could not record it, so that Google tries again.

    When only Redis is away the notification is in the ledger and the sweep rings later: 204.
    When the ledger is away the calendar cannot even be known, so Redis cannot stand in for it.
    """
    refusal = _check_shape()
    if refusal is not None:
        OUTCOMES.labels("malformed").inc()
        return refusal
    try:
        verdict = _record()
    except Transient as error:
        OUTCOMES.labels("unrecorded").inc()
        log.error("notification not recorded: %s", error.message)
        return Response(status=503, headers={"Retry-After": RETRY_AFTER_SECONDS})
    OUTCOMES.labels(verdict.word).inc()
    if verdict.word == "unknown":
        return Response("unknown channel\n", status=404, mimetype="text/plain")
    if verdict.word == "recorded":
        _ring(verdict)
    return Response(status=204)


def _check_shape() -> Response | None:
    headers = request.headers
    if (request.content_length or 0) > MAX_BODY or "chunked" in headers.get(
        "Transfer-Encoding", ""
    ):
        return Response("too large\n", status=413, mimetype="text/plain")
    if any(len(v) > MAX_HEADER for k, v in headers if k.lower().startswith("x-goog-")):
        return Response("header too large\n", status=431, mimetype="text/plain")
    if not headers.get("X-Goog-Channel-ID") or not headers.get("X-Goog-Resource-State"):
        return Response("not a Google Calendar notification\n", status=400, mimetype="text/plain")
    return None


def _record() -> Verdict:
    number = request.headers.get("X-Goog-Message-Number", "")
    now = services().clock()
    with services().db.session() as session:
        verdict = inbox.record(
            session,
            channel_id=request.headers["X-Goog-Channel-ID"][:64],
            token=request.headers.get("X-Goog-Channel-Token", ""),
            resource_id=request.headers.get("X-Goog-Resource-ID", ""),
            message_number=int(number) if number.isdecimal() and len(number) < 18 else None,
            now=now,
        )
        if verdict.word in ("unknown", "retired"):
            runs.count(services().db, session, f"notifications_{verdict.word}")
    return verdict


def _ring(verdict: Verdict) -> None:
    if services().doorbell.ring(verdict.calendar_id, verdict.seq, "live", "push"):
        return
    OUTCOMES.labels("not_rung").inc()
    with services().db.session() as session:
        calendars.note_rung(session, verdict.calendar_id, None)
