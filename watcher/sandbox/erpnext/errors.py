"""Frappe's errors as it sends them: a status and ``{exception, exc_type, exc, _server_messages}``,
or an HTML page of the web server in front of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from html import escape
from typing import Any

FRAPPE = "frappe.exceptions."
DATABASE = "pymysql.err."

Message = dict[str, Any]


class FrappeError(Exception):
    """One refusal. ``text`` follows the exception's name; ``messages`` are shown to people;
    ``module`` is where Python says that the class lives (empty for a builtin one)."""

    def __init__(
        self,
        status: int,
        exc_type: str,
        text: str = "",
        *,
        messages: Iterable[Message] = (),
        module: str = FRAPPE,
        error_message: str = "",
    ) -> None:
        super().__init__(text)
        self.status = status
        self.exc_type = exc_type
        self.messages = list(messages)
        self.error_message = error_message
        self.exception = f"{module}{exc_type}{': ' if text else ''}{text}"

    def body(self, *, tracebacks: bool = True) -> dict[str, Any]:
        """The answer's JSON. ``tracebacks``: the site's setting ``allow_error_traceback``."""
        answer: dict[str, Any] = {"exc_type": self.exc_type}
        if tracebacks and self.status != 404:
            answer = {"exception": self.exception, **answer, "exc": json.dumps([self.traceback()])}
        if self.messages:
            answer["_server_messages"] = server_messages(self.messages)
        if self.error_message:
            answer["_error_message"] = self.error_message
        return answer

    def traceback(self) -> str:
        return f"Traceback (most recent call last):\n{self.exception}\n"


def server_messages(messages: Iterable[Message]) -> str:
    """JSON in JSON, which is how Frappe sends them."""
    return json.dumps([json.dumps(message) for message in messages])


def shown(text: str) -> Message:
    """A message that was only shown."""
    return {"message": text, "title": "Message"}


def thrown(text: str, title: str = "Message") -> Message:
    """A message that went with an exception."""
    return {
        "message": text, "title": title, "indicator": "red", "raise_exception": 1,
        "__frappe_exc_id": secrets.token_hex(28),
    }  # fmt: skip


def refusal(
    text: str, exc_type: str = "ValidationError", *, title: str = "Message", status: int = 417
) -> FrappeError:
    """What ``frappe.throw`` makes."""
    return FrappeError(status, exc_type, text, messages=[thrown(text, title)])


def missing(doctype: str, name: str) -> FrappeError:
    return refusal(f"{doctype} {name} not found", "DoesNotExistError", status=404)


def database(exc_type: str, code: int, text: str) -> FrappeError:
    """A 500 that the database brought about; permanent all the same when a value is to blame."""
    return FrappeError(500, exc_type, f'({code}, "{text}")', module=DATABASE)


def denied(*lines: str, error_message: str = "") -> FrappeError:
    message = shown("<br>".join(lines))
    return FrappeError(403, "PermissionError", messages=[message], error_message=error_message)


def no_role(user: str, doctype: str, permission: str) -> FrappeError:
    """The user's roles do not allow it, whatever the document."""
    line = (
        f"User <strong>{user}</strong> does not have doctype access via role permission for "
        f"document <strong>{doctype}</strong>"
    )
    if permission == "read":
        return denied(line, error_message=f"No permission for {doctype}")
    access = f"User <strong>{user}</strong> does not have access to this document"
    return denied(line, access, error_message=insufficient(doctype, permission))


def not_theirs(user: str, doctype: str, name: str, permission: str) -> FrappeError:
    """A Private Event of somebody else, for System Managers too."""
    return denied(
        "Not allowed via controller permission check",
        f"User <strong>{user}</strong> does not have access to this document: {doctype} - {name}",
        error_message="" if permission == "read" else insufficient(doctype, permission),
    )


def insufficient(doctype: str, permission: str) -> str:
    return f"Insufficient Permission for {doctype} (<strong>{permission}</strong>)"


def page(status: int, title: str, text: str) -> str:
    """An HTML page as web servers make them."""
    return (
        f"<!doctype html>\n<html lang=en>\n<title>{status} {escape(title)}</title>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n"
    )


def gunicorn_page(text: str) -> str:
    """What the server in front of Frappe says to a request that it can't read."""
    return (
        "<html>\n  <head>\n    <title>Bad Request</title>\n  </head>\n  <body>\n"
        f"    <h1><p>Bad Request</p></h1>\n    {escape(text)}\n  </body>\n</html>\n"
    )
