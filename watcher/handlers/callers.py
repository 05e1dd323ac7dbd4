"""Who calls: the client's address, as far as the proxies in front can be believed."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from flask import request

from watcher.given import addresses
from watcher.handlers.context import services

MOST_PROXIES = 10


def address() -> str:
    """The client of this request. ``X-Forwarded-For`` is read from its end, where our own proxies
    have written, as long as who has written is one of ``WATCHER_TRUSTED_PROXIES``; whatever a
    client has put there itself stands before that."""
    caller, proxies = request.remote_addr or "", services().settings.trusted_proxies
    given = ",".join(request.headers.getlist("X-Forwarded-For")).split(",")
    for told in [each.strip() for each in reversed(given)][:MOST_PROXIES]:
        if not is_trusted(caller, proxies) or not _is_address(told):
            break
        caller = told
    return caller


def is_trusted(caller: str, proxies: tuple[str, ...]) -> bool:
    """Whether this address is one of our own ``proxies``, which are given as networks."""
    networks = _networks(proxies)
    return _is_address(caller) and any(ip_address(caller) in network for network in networks)


@lru_cache(maxsize=4)
def _networks(given: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return addresses.networks(given)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
