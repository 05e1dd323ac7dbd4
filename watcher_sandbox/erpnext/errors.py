"""Frappe's errors as it sends them: a status and ``{exception, exc_type, exc, _server_messages}``,
or an HTML page of the web server in front of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from html import escape
from typing import Any

from watcher_sandbox.erpnext.catalogue import NEW, OLD

FRAPPE = "frappe.exceptions."
DATABASE, DATABASE_16 = "pymysql.err.", "MySQLdb."

Message = dict[str, Any]


class FrappeError(Exception):
    """One refusal. ``text`` follows the exception's name; ``messages`` are shown to people;
    ``module`` is where Python says that the class lives (empty for a builtin one). ``early``:
    made before Frappe knows whom it may show a traceback (16 then says only ``exc_type``)."""

    def __init__(
        self,
        status: int,
        exc_type: str,
        text: str = "",
        *,
        messages: Iterable[Message] = (),
        module: str = FRAPPE,
        error_message: str = "",
        early: bool = False,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.exc_type = exc_type
        self.messages = list(messages)
        self.error_message = error_message
        self.early = early
        self._module, self._text = module, text

    def exception(self, frappe: int = OLD) -> str:
        """The last line of a traceback; 16 speaks to its database by another library."""
        module = self._module
        if frappe == NEW and module == DATABASE:
            module = DATABASE_16
        return f"{module}{self.exc_type}{': ' if self._text else ''}{self._text}"

    def body(self, frappe: int = OLD, *, tracebacks: bool = True) -> dict[str, Any]:
        """The answer's JSON. ``tracebacks``: this user may see them on this site."""
        answer: dict[str, Any] = {"exc_type": self.exc_type}
        if tracebacks and self.status != 404 and not (self.early and frappe == NEW):
            line = self.exception(frappe)
            answer = {"exception": line, **answer, "exc": json.dumps([self.traceback(frappe)])}
        if self.messages:
            answer["_server_messages"] = server_messages(self.messages, frappe)
        if self.error_message:
            answer["_error_message"] = self.error_message
        return answer

    def traceback(self, frappe: int = OLD) -> str:
        return f"Traceback (most recent call last):\n{self.exception(frappe)}\n"


class NoModule(FrappeError):
    """A document of a type that the site does not have is looked for as a module of Python."""

    def __init__(self, doctype: str) -> None:
        module = doctype.lower().replace(" ", "_").replace("-", "_")
        super().__init__(500, "ImportError", f"No module named 'frappe.core.doctype.{module}'")

    def exception(self, frappe: int = OLD) -> str:
        return f"Error: {self}"


def server_messages(messages: Iterable[Message], frappe: int = OLD) -> str:
    """JSON in JSON, which is how Frappe sends them."""
    if frappe == OLD:
        return json.dumps([json.dumps(message) for message in messages])
    tight = (",", ":")
    return json.dumps(
        [json.dumps({**message, "as_table": False}, separators=tight) for message in messages],
        separators=tight,
    )


def shown(text: str) -> Message:
    """A message that was only shown."""
    return {"message": text, "title": "Message"}


def thrown(text: str, title: str = "Message") -> Message:
    """A message that went with an exception."""
    return {
        "message": text,
        "title": title,
        "indicator": "red",
        "raise_exception": 1,
        "__frappe_exc_id": secrets.token_hex(28),
    }


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


def page(status: int, title: str, text: str) -> str:
    """An HTML page as web servers make them."""
    return (
        f"<!doctype html>\n<html lang=en>\n<title>{status} {escape(title)}</title>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n"
    )


def gunicorn_page(text: str, title: str = "Bad Request") -> str:
    """What the server in front of Frappe says to a request that it can't read, or when Frappe
    broke off."""
    return (
        f"<html>\n  <head>\n    <title>{title}</title>\n  </head>\n  <body>\n"
        f"    <h1><p>{title}</p></h1>\n    {escape(text)}\n  </body>\n</html>\n"
    )
