"""Google's notifications: authenticate, record in the ledger, ring, answer 204.

https://developers.google.com/workspace/calendar/api/guides/push: a POST without a body; Google
tries again on 500, 502, 503 and 504 only. No call to Google or ERPNext is made in here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, current_app, request
from prometheus_client import Counter
from werkzeug.wrappers import Response

from watcher.errors import Transient
from watcher.handlers import acting, context
from watcher.handlers.missed import Missed
from watcher.handlers.pace import MANY, Pace
from watcher.handlers.tally import Tally
from watcher.ledger import calendars, inbox
from watcher.ledger.inbox import Verdict
from watcher.ledger.secrets import PROOF_HEADER
from watcher.services import Services
from watcher.telemetry import counts, traces

log = logging.getLogger(__name__)
bp = Blueprint("notifications", __name__)

DOOR = "watcher.door"
MAX_BODY = 65_536
MAX_HEADER = 2_048
RETRY_AFTER_SECONDS = "5"
OUTCOMES = Counter("watcher_notifications", "Notifications by what became of them", ["outcome"])
_GOOGLE = "HTTP_X_GOOG_"
_PROOF = f"HTTP_{PROOF_HEADER.upper().replace('-', '_')}"
_TALLIED = frozenset({"unknown", "retired"})
_WRITTEN = frozenset({"recorded", "parked"})
_GENUINE = _WRITTEN | {"coalesced"}
_ASKED = re.compile(r"[0-9a-f]{32}")

Environ = Mapping[str, Any]
"""As WSGI hands it."""


@bp.post("/webhooks/google")
@acting.looks
def receive() -> Response:
    """``Door`` takes notifications before they come to Flask; but not those to an address that is
    written in another way, such as with a slash behind it."""
    return Response.from_app(current_app.extensions[DOOR].notified, request.environ)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; ``text`` is plain text."""

    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reception:
    """Who takes notifications, and what the process keeps in its memory for that."""

    services: Services
    pace: Pace
    missed: Missed
    tally: Tally

    @classmethod
    def of(cls, services: Services, app: Flask) -> Reception:
        kept = app.extensions
        return cls(services, kept[context.PACE], kept[context.MISSED], kept[context.TALLY])

    def receive(self, environ: Environ) -> Answer:
        """204 recorded; 404 unknown channel or wrong token (same answer); 400 not a notification;
        413/431 too large; 200 with a proof for ``watcher doctor``; 503 when the ledger could not
        record it, so that Google tries again; every calendar is then looked at once the ledger is
        back, in case Google does not.

        When only Redis is away the notification is in the ledger and the sweep rings later: 204.
        When the ledger is away the calendar cannot even be known, so Redis cannot stand in for it.
        """
        asked = environ.get(_PROOF, "")
        if _ASKED.fullmatch(asked):
            # `watcher doctor`, which looks where the public address leads. It costs no look into
            # the ledger, whoever asks.
            return Answer(200, f"{self.services.keyring.proof(asked)}\n")
        refusal = _check_shape(environ)
        if refusal is not None:
            OUTCOMES.labels("malformed").inc()
            return refusal
        message = _message(environ)
        try:
            verdict = self._record(message)
        except Transient as error:
            level = logging.ERROR if self.missed.note() else logging.DEBUG
            OUTCOMES.labels("unrecorded").inc()
            log.log(level, "notification not recorded: %s", error.message)
            return Answer(503, headers=(("Retry-After", RETRY_AFTER_SECONDS),))
        OUTCOMES.labels(verdict.word).inc()
        self._log(verdict, environ)
        if verdict.word in _GENUINE:
            if environ["HTTP_X_GOOG_RESOURCE_STATE"] == "sync":
                self.pace.opened(verdict.calendar_id)
            self.services.counts.add(f"{counts.HEARD}{verdict.word}")
        if verdict.word in _WRITTEN:
            self.missed.ledger_writes()
        if verdict.word in _TALLIED:
            self.tally.add(f"notifications_{verdict.word}")
        if verdict.word == "unknown":
            return Answer(404, "unknown channel\n")
        return Answer(204)

    def _record(self, message: inbox.Message) -> Verdict:
        services, pace, began = self.services, self.pace, self.pace.now()
        known = inbox.look(services.db, message, services.clock())
        if known.word == "due":
            paced_until: datetime | None = None
            # Of many that come at once one writes; the others look again and find it written.
            with pace.turn(known.calendar_id):
                if pace.was_written(known.calendar_id, began):
                    known = inbox.look(services.db, message, services.clock())
                if known.word == "due":
                    paced_until = pace.until(known.calendar_id)
                    known = self._write(replace(message, paced_until=paced_until))
            if known.word == "recorded" and paced_until is None:
                self._ring(known)
        return known

    def _write(self, message: inbox.Message) -> Verdict:
        services = self.services
        verdict = inbox.record(services.db, message, services.clock())
        if verdict.word == "recorded":
            self.pace.recorded(verdict.calendar_id, paced=message.paced_until is not None)
        return verdict

    def _ring(self, verdict: Verdict) -> None:
        """Wake a worker. A ring that fails is taken back in the ledger, so that the next
        notification rings again; the sweep does so in any case."""
        job_id = self.services.doorbell.ring(verdict.calendar_id, "live", "push")
        if job_id:
            self.pace.rung(verdict.calendar_id, job_id)
            return
        OUTCOMES.labels("not_rung").inc()
        try:
            with self.services.db.session() as session:
                calendars.not_rung(session, verdict.calendar_id)
        except Transient as error:
            log.warning(
                "no worker was woken, which is made up for within a minute: %s", error.message
            )

    def _log(self, verdict: Verdict, environ: Environ) -> None:
        """By these lines one change is followed. In a flood those that a waiting job serves are
        counted alone. What strangers send has counters, and no lines: they could fill a disk."""
        channel = environ["HTTP_X_GOOG_CHANNEL_ID"]
        told = {"calendar": verdict.calendar_id, "channel": channel}
        if verdict.word == "coalesced":
            if self.pace.coalesced(verdict.calendar_id) <= MANY:
                log.info("a waiting job serves it", extra=told | {"with": verdict.served_with})
        elif verdict.word in _WRITTEN:
            told["number"] = environ.get("HTTP_X_GOOG_MESSAGE_NUMBER", "")[:20]
            word = "notification recorded" if verdict.word == "recorded" else "recorded for later"
            log.info(word, extra=told)


def _check_shape(environ: Environ) -> Answer | None:
    """What is wrong with the request as such, before the ledger is asked."""
    if _body_too_large(environ):
        return Answer(413, "too large\n")
    if any(len(v) > MAX_HEADER for k, v in environ.items() if k.startswith(_GOOGLE)):
        return Answer(431, "header too large\n")
    named = environ.get("HTTP_X_GOOG_CHANNEL_ID") and environ.get("HTTP_X_GOOG_RESOURCE_STATE")
    return None if named else Answer(400, "not a Google Calendar notification\n")


def _body_too_large(environ: Environ) -> bool:
    """Google sends none, so it is not looked at. Only a chunked one has to be read to know its
    size: a proxy may have made an empty body into one, which is no reason to lose the message."""
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return len(environ["wsgi.input"].read(MAX_BODY + 1)) > MAX_BODY
    length = environ.get("CONTENT_LENGTH") or ""
    return length.isdecimal() and int(length) > MAX_BODY


def _message(environ: Environ) -> inbox.Message:
    number = environ.get("HTTP_X_GOOG_MESSAGE_NUMBER", "")
    return inbox.Message(
        channel_id=environ["HTTP_X_GOOG_CHANNEL_ID"],
        token=environ.get("HTTP_X_GOOG_CHANNEL_TOKEN", ""),
        resource_id=environ.get("HTTP_X_GOOG_RESOURCE_ID", ""),
        number=int(number) if number.isdecimal() and len(number) < 18 else None,
        request=traces.current(),
    )
