"""One HTTP call to the Calendar API through google-api-python-client, as an answer or an error.

The package builds the request (URL, quoting, body, gzip); ``Wire`` sends it over an httplib2
connection of this thread and judges the status before the package can, because its own retry
check fails with a TypeError on a 403 whose JSON is not an object, reads no ``Retry-After`` and
has no limit to its waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from functools import lru_cache
from http.client import HTTPException
from typing import Any, Final

import httplib2  # type: ignore[import-untyped, unused-ignore]
from googleapiclient.discovery import build  # type: ignore[import-untyped, unused-ignore]

from watcher.errors import Transient, why_unreached
from watcher.google import errors
from watcher.languages.sentence import sentence
from watcher.telemetry.counts import Answered, nobody
from watcher.waiting import asked_seconds

API_PATH: Final = "/calendar/v3/"
MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024


def api_endpoint(api_root: str) -> str:
    """The endpoint with the path that ``client_options`` needs; tolerates a root that has it."""
    root = api_root.rstrip("/")
    return (root if root.endswith(API_PATH.rstrip("/")) else root + API_PATH[:-1]) + "/"


@lru_cache(maxsize=16)
def collection(api_root: str, name: str) -> Any:
    """``events``, ``channels`` ... of one API root, from the bundled discovery file.

    The package makes the functions of a collection and their documentation anew each time that it
    is asked for one, which costs milliseconds and memory, so they are kept. They only build
    requests: the ``http`` given here keeps the package from searching for default credentials and
    is never used to send.
    """
    calendar = build(
        "calendar",
        "v3",
        http=httplib2.Http(),
        client_options={"api_endpoint": api_endpoint(api_root)},
        static_discovery=True,
        cache_discovery=False,
    )
    return getattr(calendar, name)()


class _Pool:
    """Connections of one thread, closed when the thread ends or a call on them failed."""

    def __init__(self, timeout: float) -> None:
        # The default limit on the ratio of compression refuses a large page of one series whose
        # instances all carry the same long description; a plain limit on the size does not.
        self.http = httplib2.Http(
            timeout=timeout, decode_limit_ratio=0, decode_limit_hard=MAX_ANSWER_BYTES
        )
        self.http.follow_redirects = False

    def __del__(self) -> None:
        self.http.close()


_thread = threading.local()


def _connection(timeout: float) -> Any:
    """This thread's connection pool; httplib2 is not thread-safe and must not cross a fork."""
    if not _is_kept(timeout):
        _thread.key, _thread.pool = (os.getpid(), timeout), _Pool(timeout)
    return _thread.pool.http


def _is_kept(timeout: float) -> bool:
    return getattr(_thread, "key", None) == (os.getpid(), timeout)


def _drop_connection() -> None:
    _thread.key = _thread.pool = None


class Wire:
    """The ``http`` object handed to ``HttpRequest.execute`` for one call."""

    def __init__(
        self, kind: errors.CallKind, access_token: str, timeout: float, answered: Answered = nobody
    ) -> None:
        self.kind = kind
        self._answered = answered
        self._authorization = f"Bearer {access_token}"
        self._timeout = timeout

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> tuple[httplib2.Response, bytes]:
        """Send; return (response, body) for 2xx; raise ``CallFailed`` for all else."""
        sent = {**(headers or {}), "authorization": self._authorization}
        if self.kind == "watch":
            # The one call that may not be repeated: a kept connection that Google has closed
            # meanwhile would fail it, or have httplib2 send it twice.
            _drop_connection()
        # A kept connection that breaks had mostly been closed by Google while it was idle: the call
        # is sent again at once, on a new one. That is no failure, so no pause is owed.
        kept = _is_kept(self._timeout)
        try:
            try:
                response, content = _connection(self._timeout).request(uri, method, body, sent)
            except ConnectionError:
                if not kept:
                    raise
                _drop_connection()
                response, content = _connection(self._timeout).request(uri, method, body, sent)
        except TimeoutError as error:
            # To wait for as long again would outlast the calendar's lease.
            what = sentence(
                "Google did not answer in time when asked %(asked)s", asked=errors.ASKED[self.kind]
            )
            raise self._lost(what, "never") from error
        except (OSError, HTTPException, httplib2.HttpLib2Error) as error:
            what = sentence(
                "Google could not be reached (%(reason)s) when asked %(asked)s",
                reason=why_unreached(error),
                asked=errors.ASKED[self.kind],
            )
            raise self._lost(what, "unclear") from error
        self._answered(response.status)
        if response.status >= 300:
            asked = asked_seconds(response.get("retry-after"))
            raise errors.classify(response.status, content, self.kind, asked)
        return response, content

    def _lost(self, what: str, retry: errors.Retry) -> errors.CallFailed:
        _drop_connection()
        self._answered(None)
        return errors.CallFailed(Transient(what, side=errors.SIDE), retry)


def execute(request: Any, wire: Wire) -> dict[str, Any]:
    """Send one request of the package; return the JSON object of its answer."""
    kind = wire.kind
    try:
        answer = request.execute(http=wire, num_retries=0)
    except (ValueError, RecursionError):
        if kind == "stop":  # any 2xx is enough: there is nothing to read
            return {}
        raise errors.CallFailed(errors.malformed("not JSON", kind), "unclear") from None
    if kind == "stop":
        return {}
    if not isinstance(answer, dict):
        raise errors.CallFailed(errors.malformed("not an object", kind), "unclear")
    return answer
