"""Each request has an id, which is in every line that is logged for it and goes back with the
answer."""

from __future__ import annotations

from flask import Response, request

from watcher.handlers import callers
from watcher.handlers.context import services
from watcher.telemetry import traces


def begin() -> None:
    """Keep the id that a proxy of ours has given, if it is one; a client's own counts for nothing,
    since it could pass for that of another request."""
    given = request.headers.get(traces.HEADER, "")
    traces.begin_request(
        chosen(given, request.remote_addr or "", services().settings.trusted_proxies)
    )


def chosen(given: str, caller: str, proxies: tuple[str, ...]) -> str:
    """The id ``given`` by ``caller``, if he is one of ``proxies``; else a new one."""
    kept = traces.is_well_formed(given) and callers.is_trusted(caller, proxies)
    return given if kept else traces.new()


def tell(response: Response) -> Response:
    response.headers[traces.HEADER] = traces.current()
    return response
