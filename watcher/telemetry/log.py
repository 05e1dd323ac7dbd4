"""Logs: structlog over the standard library; each message is one line, without secrets.

Every record, Watcher's own or a library's, passes one filter that replaces what looks like a
credential, so that no message of a dependency can leak one.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from watcher.telemetry import journal

_SECRET = re.compile(
    r"(?P<name>\"?(?:access_token|refresh_token|id_token|client_secret|api_secret|code_verifier"
    r"|code|state|assertion|syncToken|private_key|password)\"?\s*[=:]\s*\"?)[^\s\"&,}']+"
    # Frappe's header "token KEY:SECRET" too, but not words such as "token endpoint".
    r"|(?P<auth>\b(?:Bearer|Basic|token(?=\s+\S*(?:\d|:\S)))\s+)[A-Za-z0-9._~+/:=-]{8,}"
    # The password in the URL of a database, queue or mail server; the token of a connect link.
    r"|(?P<url>\b[a-z][a-z0-9+.-]*://)[^\s/\"']+@"
    r"|(?P<link>/connect/)[A-Za-z0-9._~-]{8,}"
    r"|ya29\.[A-Za-z0-9._-]+|1//[A-Za-z0-9._-]+|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9._-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)


LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def redact(text: str) -> str:
    """Replace what looks like a token, a secret parameter or a private key by ``[redacted]``."""
    return _SECRET.sub(_blank, text)


def _blank(found: re.Match[str]) -> str:
    kept = found["name"] or found["auth"] or found["url"] or found["link"] or ""
    return f"{kept}[redacted]{'@' if found['url'] else ''}"


def _redact_values(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in fields.items():
        if isinstance(value, str):
            fields[key] = redact(value)
    return fields


def configure(log_format: str = "", level: int = logging.INFO) -> None:
    """Send all logging to stderr: ``console`` on a terminal, else one JSON object a line."""
    as_console = log_format == "console" or (not log_format and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            # structlog's default formatter shows the local variables of each frame: they may be
            # secrets.
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        )
        if as_console
        else structlog.processors.JSONRenderer()
    )
    # The traceback becomes a text first, so that the filter sees it like every other value.
    tail: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    lines: logging.Formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[*tail, _redact_values, renderer]
    )
    handler.setFormatter(journal.Marked(lines) if journal.is_read_by_it(sys.stderr) else lines)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    # Libraries tell more at DEBUG than a log may hold: Watcher's own lines alone are of that level.
    logging.getLogger("watcher").setLevel(level if level < logging.INFO else logging.NOTSET)
    for noisy in (
        "googleapiclient",
        "urllib3",
        "httplib2",
        "alembic",
        "google.auth",
        "rq",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
