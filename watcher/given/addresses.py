"""Addresses that are set: what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import SplitResult, urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def checked(value: str) -> str:
    """An http or https address without a slash at its end. Raises ``ValueError``."""
    value = value.strip().rstrip("/")
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https address")
    if parts.username or parts.password:
        raise ValueError("must not carry a user name or password")
    return value


def bare(value: str, why: str) -> None:
    """Raises ``ValueError`` for an address with anything behind the host and port."""
    parts = urlsplit(value)
    if parts.path or parts.query or parts.fragment:
        raise ValueError(f"must end with the host: {_root(parts)} ({why})")


def _root(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}"


def public(value: str) -> None:
    """Raises ``ValueError`` for an address that Google does not push to."""
    parts = urlsplit(value)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https (Google pushes to https only); http is for loopback")


def of_kind(value: str, kinds: tuple[str, str]) -> None:
    """Raises ``ValueError`` for what is no address of one of two schemes; nothing at all is one."""
    try:
        parts = urlsplit(value)
        fits = not value or (parts.scheme in kinds and parts.hostname and (parts.port or 1))
    except ValueError:  # ``.port`` raises it when the port is no number
        fits = False
    if not fits:
        raise ValueError(f"must be an address that begins with {kinds[0]}:// or {kinds[1]}://")


def networks(values: Iterable[str]) -> list[IPv4Network | IPv6Network]:
    """IP addresses and networks such as ``10.0.0.0/8``. Raises ``ValueError``."""
    try:
        return [ip_network(value) for value in values]
    except ValueError as error:
        raise ValueError(f"must be IP addresses or networks such as 10.0.0.0/8: {error}") from None
